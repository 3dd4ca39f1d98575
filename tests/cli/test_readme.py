"""What the README says, done: its commands on a shortened quickstart, its grid, its file map."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.grid.expand import load_grid

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHORT = ["--set", "train.epochs=1", "--only", "method=S4D-Lin", "--only", "method=S4D-Real", "--only", "seed=0",
         "--only", "seed=1"]


def commands() -> list[list[str]]:
    lines = re.findall(r"^ {4}python run_grid\.py (.*?)(?: {2,}.*)?$", README, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_the_files_that_it_names_are_there() -> None:
    named = re.findall(r"`((?:suite|grids|reports|datasets|results)/[\w/.-]*)`", README)
    assert len(named) > 10
    for name in named:
        assert (ROOT / name).exists() or any(ROOT.glob(name + "*")), name
    mapped = [name for row in re.findall(r"^\| (`suite/.*?) \|", README, re.MULTILINE)
              for name in re.findall(r"`([\w/]+\.py|[\w/]+/)`", row)]
    assert len(mapped) > 5
    for name in mapped:
        assert (ROOT / name).exists() or (ROOT / "suite" / name).exists(), name


def test_its_grid_expands(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert block is not None
    shutil.copy(ROOT / "grids/quickstart.yaml", tmp_path)
    (tmp_path / "mine.yaml").write_text(block.group(1), encoding="utf-8")
    grid = load_grid(tmp_path / "mine.yaml")
    assert "Mine" in grid.axes["method"] and "S4D-Lin" in grid.axes["method"] and grid.runs


def test_its_verbs_are_the_command_line_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    also = re.search(r"^ {4}also: (.*)$", README, re.MULTILINE)
    assert also is not None
    named = {words[0] for words in commands() if not words[0].startswith("grids/")} | set(also.group(1).split(", "))
    assert named and all(re.search(rf"^ +{verb} ", told, re.MULTILINE) for verb in named)


@pytest.mark.slow
def test_its_commands_work_on_a_shortened_quickstart(tmp_path: Path) -> None:
    where = ["--store", str(tmp_path / "runs")]
    out = ["--out", str(tmp_path / "reports")]
    told = {}
    for words in commands():
        # Not here: all tables (test_table_grids plans them), a cluster (test_slurm*), and what runs until Ctrl-C.
        if any("*" in word for word in words) or {"slurm", "--watch"} & set(words):
            continue
        verb = words[0] if not words[0].startswith("grids/") else "run"
        more = SHORT + where + (out if verb in ("run", "report") else [])
        done = subprocess.run([sys.executable, "run_grid.py", *words, *more], cwd=ROOT, capture_output=True, text=True,
                              timeout=300)
        assert done.returncode == 0, (words, done.stderr)
        assert "Traceback" not in done.stderr
        told[verb] = done.stdout
    assert "S4D-Real" in told["run"] and "±" in told["run"] and "quickstart.md" in told["run"]
    assert "8 done" in told["status"] and "would run: 0" in told["plan"] and "best val/accuracy" in told["why"]
    for name in ("quickstart.md", "quickstart.tex", "index.html", "quickstart.cells.json"):
        assert (tmp_path / "reports" / name).stat().st_size > 500, name
    assert list((tmp_path / "reports/figures").glob("quickstart*.png"))
