"""What README and documentation say, done: commands, grids, Python, files that they name, generated parts."""

import argparse
import html
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from docs_pages import MARK, filled_in
from docs_pictures import LARGEST, PICTURES, pictures

from suite.cli.arguments import make_parser
from suite.cli.main import main
from suite.config.run_config import fields
from suite.grid.expand import load_grid

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SHORT = ["--set", "train.epochs=1", "--only", "method=S4D-Lin", "--only", "method=S4D-Real", "--only", "seed=0",
         "--only", "seed=1"]
OWN = "../gated/gated.yaml"  # the reader's own grid
LOOKS = {"plan", "status", "why", "logs", "report", "export"}  # commands that only look, tried on the kept quickstart


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands(page: Path) -> list[list[str]]:
    """The words behind `run_grid.py` of each command of a page, in a block of code or indented."""
    lines = re.findall(r"^(?: {4})?python run_grid\.py (.*)$", text(page), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_its_commands_are_parsed(name: str) -> None:
    parser, verbs = make_parser()
    for words in commands(ROOT / name):
        words = words if words[0] in verbs else ["run", *words]
        mixed = verbs[words[0]].parse_intermixed_args(words[1:]) if words[0] in ("why", "logs") else \
            parser.parse_args(words)
        for path in getattr(mixed, "grids", None) or ():
            assert str(path) == OWN or any(ROOT.glob(str(path))), words
    for words in re.findall(r"^(?: {4})?make ([a-z-]+)", text(ROOT / name), re.MULTILINE):
        assert re.search(rf"^{words}:", text(ROOT / "Makefile"), re.MULTILINE), words


def test_commands_that_look_work_on_the_kept_quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    tried = set()
    for words in (words for page in PAGES for words in commands(page)):
        elsewhere = {"--watch", "--cluster", "--set"} & {*words}
        if words[0] not in LOOKS or "grids/quickstart.yaml" not in words or elsewhere:
            continue
        if {"wandb", "trackio"} & {*words}:  # read back in tests/report/test_trackers.py
            continue
        out = {"report": ["--out", str(tmp_path), "--no-figures"], "export": ["--out", str(tmp_path)]}.get(words[0], [])
        words = [word for word in words if word not in ("--store", "runs")] if "--store" in words else words
        key = tuple(words)
        if key not in tried:
            tried.add(key)
            assert main([*words, "--store", "results/quickstart/store", *out]) == 0, (words, capsys.readouterr().err)
    assert {words[0] for words in tried} == LOOKS
    printed = capsys.readouterr().out
    assert "would run: 0" in printed and "30 done" in printed and "best val/accuracy 0.3890 in epoch 5" in printed


def test_each_command_is_named_on_the_first_page() -> None:
    _, verbs = make_parser()
    page = text(ROOT / "docs/index.md")
    named = {words[0] for words in commands(ROOT / "docs/index.md")} | set(re.findall(r"`([a-z]+)`", page))
    assert set(verbs) - named <= {"run"}


@pytest.mark.parametrize("name", NAMES)
def test_the_files_that_it_names_are_there(name: str) -> None:
    named = re.findall(r"`((?:suite|grids|reports|datasets|results|tests|tools|docs)/[\w/.*-]*)`", text(ROOT / name))
    study = ("reports/mine", "reports/tables/mine", "grids/mine", "reports/quickstart", "reports/tables.tex")
    for one in named:
        assert one.startswith(study) or any(ROOT.glob(one.rstrip("/"))), one
    for link in re.findall(r"\]\(([\w./-]+?)(?:#[\w-]+)?\)|^\[\w+\]: ([\w./-]+)", text(ROOT / name), re.MULTILINE):
        place = (ROOT / name).parent / (link[0] or link[1])
        assert place.exists() or "gallery/" in str(place), link


def test_anchors_of_the_readme_are_headings() -> None:
    for page, anchor in re.findall(r"\(?(docs/[\w/-]+\.md)#([\w-]+)", text(ROOT / "README.md")):
        heads = re.findall(r"^#+ (.*)$", text(ROOT / page), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, anchor


def test_the_readme_is_short_and_its_picture_small() -> None:
    lines = text(ROOT / "README.md").splitlines()
    assert len(lines) <= 120 and max(map(len, lines)) <= 100
    shown = re.findall(r'(?:src|srcset)="(.*?)"', text(ROOT / "README.md"))
    assert len(shown) == 2 and all((ROOT / name).stat().st_size <= LARGEST for name in shown)


def test_pictures_are_what_the_script_draws() -> None:
    for name, content in pictures().items():
        assert (PICTURES / name).read_bytes() == content, f"{name}: make pictures"


@pytest.mark.parametrize("name", ["README.md", "docs/your-ablation.md"])
def test_its_grid_expands(name: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "grids/quickstart.yaml", tmp_path)
    (tmp_path / "my_models.py").write_text(next(one for one in blocks(ROOT / name, "python") if "GatedConv" in one))
    (tmp_path / "mine.yaml").write_text(next(one for one in blocks(ROOT / name, "yaml") if "extends" in one))
    grid = load_grid(tmp_path / "mine.yaml")
    assert {"Mine", "Gated 9"} & {*grid.axes["method"]} and "S4D-Lin" in grid.axes["method"] and grid.runs


@pytest.mark.parametrize("name", NAMES)
def test_its_yaml_and_python_can_be_read(name: str) -> None:
    for one in blocks(ROOT / name, "yaml"):
        assert isinstance(yaml.safe_load(one), dict)
    for one in blocks(ROOT / name, "python"):
        compile(one, name, "exec")


@pytest.mark.parametrize("name", ["docs/kernels.md", "docs/gallery.md"])
def test_its_python_runs(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"u": torch.zeros(2, 16, 64)}
    for one in blocks(ROOT / name, "python"):
        exec(compile(one, name, "exec"), names)  # noqa: S102 - our own page
    if "y" in names:
        assert names["y"].shape == (2, 16, 64) and len(names["my_init"](8, 1, None)) == 4
    else:
        assert "40.2" in capsys.readouterr().out


def test_generated_parts_hold_every_command_option_and_field() -> None:
    made = {name: filled_in(text(ROOT / name)) for name in NAMES}
    assert not any(MARK.search(page) for page in made.values())
    line = html.unescape(made["docs/reference/command-line.md"]).replace("\\|", "|")
    _, verbs = make_parser()
    for name, parser in verbs.items():
        assert f"## {name}\n" in line
        for action in parser._actions:
            assert action.help == argparse.SUPPRESS or all(f"`{flag}" in line for flag in action.option_strings
                                                           if flag not in ("-h", "--help"))
    for name in fields():
        assert f"`{name}`" in made["docs/reference/fields.md"] or name == "seed" or name.endswith("_source"), name
    assert "(gallery/table3b-scifar-epoch1/index.html) | 42 |" in made["docs/gallery.md"]
    assert "| quickstart, no effects |" in made["docs/verdicts.md"]


@pytest.mark.slow
def test_commands_that_run_work_on_a_shortened_quickstart(tmp_path: Path) -> None:
    where, out = ["--store", str(tmp_path / "runs")], ["--out", str(tmp_path / "reports")]
    printed = ""
    for words in commands(ROOT / "docs/index.md"):
        if words[0] != "grids/quickstart.yaml" and words[0] != "status":
            continue
        more = SHORT + where + (out if words[0] != "status" else [])
        done = subprocess.run([sys.executable, "run_grid.py", *words, *more], cwd=ROOT, capture_output=True, text=True,
                              timeout=300)
        assert done.returncode == 0 and "Traceback" not in done.stderr, (words, done.stderr)
        printed += done.stdout
    assert "S4D-Real" in printed and "±" in printed and "quickstart.md" in printed and "8 done" in printed
    for name in ("quickstart.md", "quickstart.tex", "index.html", "quickstart.cells.json"):
        assert (tmp_path / "reports" / name).stat().st_size > 500, name
    assert list((tmp_path / "reports/figures").glob("quickstart*.png"))


@pytest.mark.slow
def test_the_own_layer_of_the_readme_gets_its_rows(tmp_path: Path) -> None:
    """Its two blocks are files with the names in their first comments, and its command runs them."""
    readme = ROOT / "README.md"
    for one in (block for language in ("python", "yaml") for block in blocks(readme, language)):
        name = re.search(r"# \.\./(gated/\S+)", one)
        assert name
        (tmp_path / name[1]).parent.mkdir(exist_ok=True)
        (tmp_path / name[1]).write_text(one)
    words, = (words for words in commands(readme) if OWN in words)
    short = ["--only", "task=SC", "--only", "seed=0", "--only", "method=Gated*", "--set", "train.epochs=1"]
    done = subprocess.run([sys.executable, "run_grid.py", str(tmp_path / "gated/gated.yaml"), *words[1:], *short,
                           "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "reports")], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Gated 3 .*\(n=1", done.stdout, re.MULTILINE) and re.search(r"^Gated 9 .*\(n=1", done.stdout,
                                                                                   re.MULTILINE), done.stdout
