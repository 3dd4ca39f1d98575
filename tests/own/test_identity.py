"""What identifies own code: all local files that it is made of, by what they say and not by how it is written."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from suite.config import plugin, signature
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.launch import snapshot
from suite.own import modules, tree

BASE = {"task": "scifar", "data.variant": "sample", "model.name": "study_m:Mine"}
FILES = {
    "study_m.py": '"""Mine."""\nimport os\n\nimport numpy\n\nfrom study_p import part\n'
                  "from study_h import helper as h\n\n\nclass Mine:\n    version = 2\n\n"
                  "    def __init__(self, features):\n        self.x = h(features)\n",
    "study_h.py": "def helper(x):\n    import study_deep\n    return x + 1  # one\n",
    "study_deep.py": "import study_m\nVALUE = {'a': None, **{}}\n",
    "study_p/__init__.py": "from .inner import thing\n",
    "study_p/inner.py": "from ..study_none import x\nfrom . import sister\nthing = 1\n",
    "study_p/sister.py": "S = f'{1:>{2}} {3!r}'\n", "study_p/part.py": "P = 1\n", "study_p/stranger.py": "X = 1\n",
    "unused.py": "1 / 0\n"}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with a method in several files."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_it_covers_every_local_module_that_is_imported(study: Path) -> None:
    assert list(modules.closure("study_m").modules) == [
        "study_deep", "study_h", "study_m", "study_p", "study_p.inner", "study_p.part", "study_p.sister"]
    source = RunConfig.build(BASE).model.name_source
    assert source.endswith(" version=2") and "numpy" not in source and "study_m" not in sys.modules
    assert set(snapshot.own_modules([RunConfig.build(BASE)])) >= {"study_m", "study_h", "study_p"}


@pytest.mark.parametrize("name", ["study_h.py", "study_deep.py", "study_p/__init__.py", "study_p/sister.py",
                                  "study_p/part.py", "study_m.py"])
def test_an_edit_of_any_file_makes_another_run_and_a_comment_does_not(study: Path, name: str) -> None:
    before = RunConfig.build(BASE)
    path = study / name
    path.write_text("# a comment\n\n\n" + path.read_text().replace("'", '"').replace("1", "(1)") + "\n\n# the end\n")
    assert RunConfig.build(BASE).run_id == before.run_id
    path.write_text(path.read_text() + "more = 0\n")
    after = RunConfig.build(BASE)
    assert after.run_id != before.run_id
    told = plugin.differences(before.model.name_source, after.model.name_source)
    assert told == [f"{name.removesuffix('.py').replace('/__init__', '').replace('/', '.')} was edited"]
    with pytest.raises(UserError, match="has changed since the run was planned: .* was edited"):
        plugin.check("study_m:Mine", "model.name", before.model.name_source)


@pytest.mark.parametrize("field", ["ssm.kernel", "ssm.discretization", "ssm.re_constraint", "ssm.init"])
def test_a_part_of_a_layer_is_identified_in_the_same_way(study: Path, field: str) -> None:
    settings = {"task": "scifar", "data.variant": "sample", field: "study_h:helper"}
    before = RunConfig.build(settings)
    assert before.get(f"{field}_source").startswith("files:study_deep=")
    edit(study / "study_deep.py", "None", "1")
    after = RunConfig.build(settings)
    assert after.run_id != before.run_id and after.shape == before.shape


def test_what_is_not_imported_does_not_matter_nor_do_docstrings(study: Path) -> None:
    before = RunConfig.build(BASE).run_id
    (study / "study_p/stranger.py").write_text("X = 2\n")
    (study / "unused.py").write_text("")
    edit(study / "study_m.py", '"""Mine."""', '"""Hers."""')
    assert RunConfig.build(BASE).run_id == before


def test_installed_packages_count_by_version(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    for version in ("1.0", "1.1"):
        (site / f"toolbox-{version}.dist-info").mkdir(parents=True)
        (site / f"toolbox-{version}.dist-info/METADATA").write_text(f"Name: toolbox\nVersion: {version}\n")
        (site / "toolbox.py").write_text("raise RuntimeError\n")
        monkeypatch.syspath_prepend(str(site))
        modules._version.cache_clear()
        edit(study / "study_p/part.py", "P = 1", "import toolbox\nP = 1") if version == "1.0" else None
        plugin._known().clear()
        assert f" toolbox=={version} " in RunConfig.build(BASE).model.name_source
        (site / f"toolbox-{version}.dist-info/METADATA").unlink()
        (site / f"toolbox-{version}.dist-info").rmdir()
    assert plugin.differences("files:a=1 b==1", "files:a=1 b==2 c=3") == ["b 1, now 2", "c is imported now"]


@pytest.mark.parametrize("version", ["", "1.0"])
def test_an_installed_method_is_known_by_what_it_says_and_not_by_its_place(
        study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    before = RunConfig.build(BASE).run_id
    site = tmp_path / "lib/site-packages"
    site.mkdir(parents=True)
    for name in ("study_m.py", "study_h.py", "study_deep.py", "study_p"):
        (study / name).rename(site / name)
    if version:  # a distribution has the module; its helpers lie there as plain files
        (site / f"study_m-{version}.dist-info").mkdir()
        (site / f"study_m-{version}.dist-info/METADATA").write_text(f"Name: study_m\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(site))
    modules._version.cache_clear()
    plugin._known().clear()
    assert RunConfig.build(BASE).run_id == before
    assert signature.of_file("study_m:Mine") is not None  # so that `plan` knows its arguments, too
    edit(site / "study_h.py", "x + 1", "x + 2")
    assert RunConfig.build(BASE).run_id != before


def test_earlier_identities_are_known(study: Path) -> None:
    import inspect
    from hashlib import sha256

    before = plugin.earlier("study_m:Mine")
    sys.path.insert(0, str(study))
    (study / "study_deep.py").write_text("VALUE = 0\n")
    (study / "study_p/inner.py").write_text("thing = 1\n")
    try:
        text = inspect.getsource(plugin.load("study_m:Mine", "model.name"))
    finally:
        for name in [name for name in sys.modules if name.startswith("study_")]:
            del sys.modules[name]
    assert before == f"2:{sha256(text.encode()).hexdigest()[:16]}" and plugin.is_earlier(before)
    assert not plugin.is_earlier(RunConfig.build(BASE).model.name_source)
    plugin.check("study_m:Mine", "model.name", before)
    edit(study / "study_m.py", "h(features)", "h(features) + 1")
    with pytest.raises(UserError, match="has changed since the run was planned"):
        plugin.check("study_m:Mine", "model.name", before)


def test_two_modules_of_one_name_are_told(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "another study"
    other.mkdir()
    (other / "study_m.py").write_text("class Mine: ...\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(other)])
    with pytest.raises(UserError, match="there are 2 modules called 'study_m'.*another study"):
        RunConfig.build(BASE)


def test_no_code_runs_to_identify_a_broken_module(study: Path) -> None:
    for text in ("open('ran', 'w')\n1 / 0\n", "def f(:\n", "\0"):
        (study / "study_m.py").write_text(text)
        assert RunConfig.build(BASE).run_id
    assert not Path("ran").exists()
    with pytest.raises(UserError, match="cannot import 'study_none'"):
        RunConfig.build(BASE | {"model.name": "study_none:X"})


SYNTAX = '''
"""Docstring."""
from __future__ import annotations
import a.b as c, d
from .e import *
@decorator(1, *args, key=2, **more)
class A(B, metaclass=C):
    """Docstring."""
    x: int = 3
    y: "str"
    async def f(self, a, /, b: int = 1, *rest, c=None, d, **more) -> None:
        """Docstring."""
        async with x as y, z: await y
        async for i in range(3): yield i
        else: pass
        return [i async for i in x if i if not i]
def g():
    global q
    try: raise X from y
    except (A, B) as e: del e[0], e.x
    except C: ...
    else: assert x, "no"
    finally: x @= 1
    while True: break
    for i, *j in k: continue
    if (n := 1) < 2 <= 3 and a or b is not c: nonlocal_ = lambda *a, k=1: (yield)
    elif a in b: x = {1: 2, **c, 'd': None}; y = {1, 2.5, 1e-300, 3j, b"\\x00\\xff", True, ...}
    else: return f"a{b!r:>{c}}d" "e" f"{f=}" 'é', x[1:2, ::3], -x ** ~y, (yield from z)
    match x:
        case 1 | None: pass
        case [A(b, c=d), *e] if f: pass
        case {"k": v, **w}: pass
        case _ as z: pass
try: pass
except* E: pass
'''


def test_the_digest_of_every_kind_of_syntax_stays_as_it_is() -> None:
    """A golden digest: where it changes, all runs with own code would be other runs."""
    assert tree.digest(ast.parse(SYNTAX)) == GOLDEN
    assert tree.digest(ast.parse("x = 1")) == tree.digest(ast.parse("\n\nx  =  (1) # one")) == "9b530cc4505c5d71"
    known = {kind for kind in tree.FIELDS if hasattr(ast, kind)}
    for node in ast.walk(ast.parse(SYNTAX)):
        kind = type(node).__name__
        assert kind in known or not node._fields or kind == "Constant", kind
        extra = set(node._fields) - set(tree.FIELDS.get(kind, ()))
        assert extra <= {"ctx", "type_comment", "type_ignores", "value", "kind"}, (kind, extra)


GOLDEN = "16adf321895216b7"


def test_fields_of_later_pythons_are_left_out_where_they_are_empty() -> None:
    before, parsed = ast.parse(SYNTAX), ast.parse(SYNTAX)
    for node in ast.walk(parsed):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            later(node, type_params=[])
        if not node._fields:  # operators, which all trees share
            continue
        later(node, future_list=[], future_thing=None, type_comment=None, lineno=7, col_offset=9)
        if isinstance(node, ast.JoinedStr):  # 3.12 splits texts in other places
            node.values = [part for value in node.values for part in (
                [ast.Constant(value.value[:1]), ast.Constant(value.value[1:])]
                if isinstance(value, ast.Constant) else [value])]
    assert tree.text(parsed) == tree.text(before)
    later(parsed.body[4], type_params=[ast.Name("T")])
    assert tree.text(parsed) != tree.text(before)


def later(node: ast.AST, **fields: Any) -> None:
    """Give a node fields that a later Python has."""
    kind = type(node)
    node.__class__ = type(kind.__name__, (kind,), {"_fields": (*kind._fields, *fields)})
    for name, value in fields.items():
        setattr(node, name, value)


def test_a_long_sum_is_no_problem() -> None:
    term: ast.expr = ast.Name("a")
    for _ in range(20_000):
        term = ast.BinOp(term, ast.Add(), ast.Name("a"))
    assert len(tree.digest(term)) == 16


def test_the_path_to_an_identity_needs_neither_torch_nor_the_code(study: Path) -> None:
    code = ("import sys\nfrom suite.config.run_config import RunConfig\n"
            f"print(RunConfig.build({BASE!r}).run_id, 'torch' in sys.modules, 'study_m' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": f"{study}:{Path(__file__).parents[2]}", "PATH": "/usr/bin:/bin"})
    assert done.stdout == f"{RunConfig.build(BASE).run_id} False False\n"
