"""A user's own function or class, named in a grid as `module:name`, and its identity.

It is identified by its files (`suite.own.modules`), by the installed packages that these import, and by a declared
version: `files:my_methods=0123456789abcdef my_helpers=89abcdef01234567 einops==0.8.1 version=2`. Earlier
releases identified it by the text of the function or class alone, as `2:0123456789abcdef`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from suite.errors import UserError
from suite.own import modules
from suite.own.fault import OwnError

FIX = "give module:name of an installed module, or of one in a folder on PYTHONPATH"
EARLIER = re.compile(r".*:[0-9a-f]{16}", re.DOTALL)
NOW = "files:"


def load(name: str, field: str) -> Any:
    """The function or class behind `module:name`. Raises UserError, naming `field`, if it cannot be imported."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise OwnError(f"importing {module!r} raises {_text(error)}", field, "install it, or fix the module",
                           error) from error
        raise UserError(f"cannot import {module!r}: {error}", field, FIX) from error
    except AttributeError as error:
        if module not in sys.modules or hasattr(sys.modules[module], attribute) or error.obj is not sys.modules[module]:
            raise OwnError(f"importing {module!r} raises {_text(error)}", field, "fix the module", error) from error
        raise UserError(f"module {module!r} has no {attribute!r}", field, FIX) from error
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        fix = "fix the module"
        if isinstance(error, ImportError) and "partially initialized" in str(error):
            fix = "two modules import each other: move one of the imports into the function that needs it"
        raise OwnError(f"importing {module!r} raises {_text(error)}", field, fix, error) from error
    if not (inspect.isfunction(found) or inspect.isclass(found)):
        raise UserError(f"{name!r} is neither a function nor a class", field, FIX)
    return found


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def source(name: str, field: str) -> str:
    """The identity of the function or class, see above. It is read from files; nothing is imported.

    Raises UserError, naming `field`, if there is no such file, or two of that name.
    """
    module = name.partition(":")[0]
    text = _source(name, field)
    if modules.is_local(module) and (files := modules.doubles(module.partition(".")[0])):
        raise UserError(f"there are {len(files)} modules called {module.partition('.')[0]!r}: "
                        f"{' and '.join(map(str, files))}", field, "rename one of them: Python imports only the first")
    return text


def check_name(name: str, field: str) -> None:
    """Raises UserError if the name does not occur in the module's file, so it cannot be defined there."""
    module, _, attribute = name.partition(":")
    found = modules.find(module)
    file = found.file if found is not None else None
    text = file.read_text(errors="replace") if file is not None and file.suffix == ".py" else ""
    if text and "import *" not in text and not re.search(rf"\b{re.escape(attribute)}\b", text):
        raise UserError(f"module {module!r} has no {attribute!r}", field, FIX)


@cache
def _known() -> dict[tuple[str, tuple[str, ...]], tuple[dict[Path, modules.Signature], str]]:
    return {}


def _source(name: str, field: str) -> str:
    key = (name, tuple(sys.path))
    files, text = _known().get(key, ({}, ""))
    try:
        if not text or any(modules.signature(path) != before for path, before in files.items()):
            files, text = _read(name, field)
            _known()[key] = files, text
    except OSError as error:
        raise UserError(f"the source of {name!r} cannot be read: {error}", field,
                        "its source is part of the run's identity") from error
    return text


def _read(name: str, field: str) -> tuple[dict[Path, modules.Signature], str]:
    module = name.partition(":")[0]
    closure = modules.closure(module)
    if not closure.modules and not modules.is_there(module):
        raise UserError(f"cannot import {module!r}: there is no such module", field, FIX)
    parts = [f"{one}={modules.read(closure.modules[one]).digest}" for one in closure.files]
    parts += [f"{package}=={version}" for package, version in closure.packages.items()]
    version = _version(name)
    parts += [f"version={version}"] if version else []
    files = {path: modules.signature(path) for path in closure.files.values()}
    return files, NOW + " ".join(parts)


def _version(name: str) -> str:
    """The declared version of the class or function, else of its module. Only constants count. "" if not declared."""
    module, _, attribute = name.partition(":")
    found = modules.find(module)
    tree = modules.read(found).tree if found is not None else None
    if tree is None:
        return ""
    node = definition(tree, attribute)
    inner = _constants(node.body, "version") if isinstance(node, ast.ClassDef) else {}
    declared = [inner.get("version"), _constants(tree.body, "version", attribute).get("version"),
            _constants(tree.body, "__version__").get("__version__")]
    return next((str(one) for one in declared if one is not None), "")


def definition(tree: ast.Module, name: str) -> ast.ClassDef | ast.FunctionDef | None:
    """The last class or function of that name in a module's tree. None if the name is defined in another way."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name]
    return next((node for node in reversed(found) if node in tree.body), found[-1] if found else None)


def _constants(body: list[ast.stmt], name: str, of: str = "") -> dict[str, str | int | float]:
    """`name = "1"` among these statements, or `of.name = "1"`."""
    found: dict[str, str | int | float] = {}
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        plain = isinstance(target, ast.Name) and target.id == name and not of
        held = isinstance(target, ast.Attribute) and target.attr == name and isinstance(
            target.value, ast.Name) and target.value.id == of
        if (plain or held) and isinstance(value, ast.Constant) and isinstance(value.value, str | int | float):
            found[name] = value.value
    return found


def is_earlier(recorded: str) -> bool:
    """Whether a run identifies user code by the text of one function or class alone, as in earlier releases."""
    return not recorded.startswith(NOW) and EARLIER.fullmatch(recorded) is not None


def earlier(name: str) -> str:
    """The identity that earlier releases gave: `version:hash` of the present function or class. "" if not found."""
    module, _, attribute = name.partition(":")
    found = modules.find(module)
    tree = modules.read(found).tree if found is not None and found.file is not None else None
    node = definition(tree, attribute) if tree is not None else None
    if node is None or found is None or found.file is None:
        return ""
    lines = [f"{line}\n" for line in found.file.read_text(encoding="utf-8").splitlines()]
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    text = "".join(inspect.getblock(lines[first - 1:]))
    return f"{_version(name) or '0'}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def check(name: str, field: str, recorded: str) -> None:
    """Raises UserError if the code has changed since the run was planned. An empty `recorded` is not checked."""
    if not recorded:
        return
    now = earlier(name) if is_earlier(recorded) else _source(name, field)
    if now != recorded:
        raise UserError(f"{name} has changed since the run was planned: {'; '.join(differences(recorded, now))}",
                        f"{field}_source", "plan again, or restore its source")


def parts(recorded: str) -> dict[str, str]:
    """The parts of an identity by name: modules with their digests, packages and `version` with their versions."""
    if not recorded.startswith(NOW):
        version, _, text = recorded.rpartition(":")
        return {"text of the class or function": text, "version": version}
    found: dict[str, str] = {}
    body, _, version = recorded.removeprefix(NOW).partition("version=")
    for part in body.split():
        name, _, value = part.replace("==", "=").partition("=")
        found[name] = value
    return found | ({"version": version} if version else {})


def differences(before: str, now: str) -> list[str]:
    """The differences between two identities, in words: edited, added and removed files, and changed versions."""
    if is_earlier(before) != is_earlier(now):
        return ["identified by its files now, and by the text of one class or function before"]
    then, today = parts(before), parts(now)
    changes = []
    for name in dict.fromkeys([*then, *today]):
        if then.get(name) == today.get(name):
            continue
        if name == "version" or f"{name}==" in before + now:
            changes.append(f"{name} {then.get(name, 'none')}, now {today.get(name, 'none')}")
        elif name not in then or name not in today:
            changes.append(f"{name} is imported now" if name in today else f"{name} is no longer imported")
        else:
            changes.append(f"{name} was edited")
    return changes
