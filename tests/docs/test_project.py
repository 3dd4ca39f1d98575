"""Licence, citation, versions and the files around the code agree with each other and with the code."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from oldest import oldest
from packaging.requirements import Requirement
from test_street import MAY_USE

from suite.data import cards
from suite.version import VERSION

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
ONE_RUN = ["--only", "task=SC", "--only", "method=S4D-Lin", "--only", "seed=0", "--set", "train.epochs=1",
           "--set", "model.features=4", "--set", "ssm.state_size=4"]


def test_the_version_is_in_one_place() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == VERSION and citation["license"] == PROJECT["license"] == "MIT"
    assert PROJECT["dynamic"] == ["version"]
    said = subprocess.run([sys.executable, "run_grid.py", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert said.stdout == f"s4d-suite {VERSION}\n"


def test_each_sample_has_its_licence() -> None:
    said = (ROOT / "datasets/LICENSES.md").read_text(encoding="utf-8")
    for name in {path.name.rsplit("-", 1)[0] for path in (ROOT / "datasets/samples").glob("*.parquet")}:
        part = said[said.index(f"`{name}-{{"):].partition("\n## ")[0]
        licence = cards.load(name).licence
        assert ("none is stated" if licence.startswith("none") else licence) in part
        for row in ("Source", "Licence", "Attribution", "What changed"):
            assert f"| {row} |" in part, (name, row)


def test_bounds_are_below_the_pins() -> None:
    pins = {name.lower().replace("_", "-"): version for name, version in PINS.items()}
    extras = [wanted for one in PROJECT["optional-dependencies"].values() for wanted in one]
    for wanted in map(Requirement, [*PROJECT["dependencies"], *extras]):
        if wanted.name not in ("s4d-suite", "trackio"):  # Trackio needs an older pillow than the pin
            assert wanted.specifier.contains(pins[wanted.name.lower()]), wanted
    lines = list(oldest())
    assert f"torch=={PINS['torch']}" in lines and "numpy==2.0" in lines and len(lines) > 15


def test_ci_runs_what_a_maintainer_runs() -> None:
    flow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    job = flow["jobs"]["test"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    named = [one.rsplit(" ", 1)[1] for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)]
    assert job["strategy"]["matrix"]["python"] == named
    for form in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        assert yaml.safe_load(form.read_text())
    assert yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]


@pytest.mark.parametrize("name", ["AGENTS.md", "CONTRIBUTING.md"])
def test_the_street_is_the_one_that_is_tested(name: str) -> None:
    said = (ROOT / name).read_text(encoding="utf-8")
    line = re.search(r"`(cli → [a-z →]+)`", said)
    assert line and line[1].split(" → ") == [package for package in MAY_USE if package != "api"]
    for path in re.findall(r"`((?:suite|tests|tools|grids|reports|datasets|docs)/[\w/.-]*\w)`", said):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "AGENTS.md"])
def test_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


EACH_MODULE = """
import importlib, importlib.util, pkgutil, suite
gpu_only = set() if importlib.util.find_spec("triton") else {"suite.ssm.passes"}  # which only suite.ssm.fused imports
names = [one.name for one in pkgutil.walk_packages(suite.__path__, "suite.") if one.name not in gpu_only]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """An environment in which pykeops and submitit fail to import, as without a compiler."""
    for name in ("pykeops", "submitit"):
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "__init__.py").write_text("raise OSError('no compiler here')\n")
    env = os.environ | {"PYTHONPATH": f"{tmp_path / 'broken'}{os.pathsep}{ROOT}"}
    blocked = subprocess.run([sys.executable, "-c", "import submitit"], env=env, capture_output=True, text=True)
    assert "no compiler here" in blocked.stderr
    return env


def test_no_module_needs_pykeops_or_submitit_to_be_imported(broken: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", EACH_MODULE], env=broken, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150


@pytest.mark.slow
def test_the_quickstart_runs_without_pykeops_and_submitit(broken: dict[str, str], tmp_path: Path) -> None:
    where = ["--store", str(tmp_path / "runs"), "--out", str(tmp_path / "reports")]
    done = subprocess.run([sys.executable, "run_grid.py", "grids/quickstart.yaml", *ONE_RUN, *where], cwd=ROOT,
                          env=broken, timeout=200, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "(n=1" in done.stdout and "no compiler" not in done.stdout + done.stderr
