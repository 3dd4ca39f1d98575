"""The suite from an installed wheel, in an environment and a folder of its own, without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from suite.grid.expand import load_grid

ROOT = Path(__file__).parents[2]
PARTS = ("suite", "datasets", "examples", "grids", "reports", "study", "pyproject.toml", "setup.py", "MANIFEST.in",
         "README.md", "LICENSE")
ONE_RUN = ("--only", "task=SC", "--only", "method=S4D-Lin", "--only", "seed=0", "--set", "train.epochs=1")
COPIED = """
import sys
from pathlib import Path
from suite.launch import snapshot
print(snapshot.freeze(Path("store"), []))
"""
IDS = """
from pathlib import Path
from suite.grid.expand import load_grid
runs = load_grid(Path("suite:synthetic.yaml"), only=["method=S6"]).runs
print(*(run.run_id for run in runs))
"""


@dataclass(frozen=True)
class Installed:
    """A wheel and an environment that it is installed in, beside the packages of this one; and an empty folder."""

    wheel: Path
    venv: Path
    folder: Path

    def call(self, *words: str | Path, program: str = "s4d-suite",
             folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """What a program of the environment prints in the folder."""
        env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SUITE_DATA")}
        return subprocess.run([self.venv / "bin" / program, *words], cwd=folder or self.folder, capture_output=True,
                              text=True, timeout=300, env=env | {
                                  "SUITE_CACHE": str(self.folder.parent / "cache"),
                                  "SUITE_MIRROR": "http://127.0.0.1:9", **variables})  # nothing listens there


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Made once; what is in the repository and not in the copy plays no part."""
    pytest.importorskip("setuptools")
    base = tmp_path_factory.mktemp("wheel")
    source, venv = base / "source", base / "venv"
    source.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(base), str(source))
    wheel = next(base.glob("*.whl"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=60)
    packages = next(venv.glob("lib/python*/site-packages"))
    (packages / "first.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    _pip("--python", str(venv / "bin/python"), "install", "--no-deps", "--no-index", str(wheel))
    (base / "empty").mkdir()
    return Installed(wheel, venv, base / "empty")


def _pip(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *words], capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_what_it_may(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"suite", f"{installed.wheel.stem.rsplit('-', 3)[0]}.dist-info"}
    for name in ("py.typed", "_data/datasets/LICENSES.md", "_data/datasets/samples/bidmc-train.parquet",
                 "_data/datasets/samples/speech_commands-val.parquet", "_data/grids/_profiles/mini.yaml",
                 "_data/reports/published/s4d.yaml", "_data/reports/templates/page.js", "_data/reports/claims.yaml"):
        assert f"suite/{name}" in names
    for kind in ("datasets/*.yaml", "grids/*.yaml", "grids/_base/*.yaml", "reports/tables/*.yaml"):
        assert {f"suite/_data/{path.relative_to(ROOT)}" for path in ROOT.glob(kind)} <= set(names)
    assert not [name for name in names if "samples/cifar10" in name or "samples/imdb" in name]


def test_it_plans_a_grid_of_the_suite(installed: Installed) -> None:
    done = installed.call("plan", "suite:quickstart.yaml")
    assert done.returncode == 0, done.stderr
    assert "30 runs" in done.stdout and not [*installed.folder.iterdir()]
    words = ("suite:table3a", "--only", "task=SC")
    command = "s4d-suite data prepare suite:table3a.yaml --only task=SC"
    assert f"\n  {command}\n" in installed.call("plan", *words).stdout
    assert f"    `{command}` downloads and prepares them" in installed.call(*words).stderr
    assert "run_grid.py" not in installed.call("data", "list", "--verbose").stdout
    assert "quickstart.yaml" in installed.call("plan", "suite:quickstrat.yaml").stderr
    assert "s4d-suite suite:quickstart.yaml" in installed.call("--help").stdout


def test_runs_of_an_example_have_the_ids_that_they_have_in_a_clone(installed: Installed) -> None:
    """They depend on what its code says, and not on its place, which is among installed packages."""
    done = installed.call("-c", IDS, program="python")
    assert done.returncode == 0, done.stderr
    runs = load_grid(ROOT / "grids/synthetic.yaml", only=["method=S6"]).runs
    assert all(run.config.model.name_source.startswith("files:mamba=") for run in runs)
    assert done.stdout.split() == [run.run_id for run in runs] and len(runs) == 6


def test_a_sample_that_has_no_licence_is_named_with_the_command_that_makes_it(installed: Installed) -> None:
    """Nothing is at the mirror, so a run cannot fetch it by itself."""
    for words in (("data", "prepare", "cifar10", "--variant", "sample"),
                  ("suite:quickstart.yaml", "--only", "task=sCIFAR", "--set", "train.epochs=1")):
        done = installed.call(*words)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert "127.0.0.1 cannot be reached" in done.stderr
    assert "the sample cifar10-train.parquet is missing: these data have no formal licence" in done.stderr
    assert "`s4d-suite data prepare cifar10 --variant sample` makes it" in done.stderr


@pytest.mark.skipif(not os.environ.get("SUITE_DATA"), reason="SUITE_DATA is not set: the full files are not here")
def test_a_sample_that_has_no_licence_is_made_of_the_full_files(installed: Installed) -> None:
    done = installed.call("data", "prepare", "cifar10", "--variant", "sample", SUITE_DATA=os.environ["SUITE_DATA"])
    assert done.returncode == 0, done.stderr
    assert "cifar10 sample for scifar: train 5,000, val 1,000, test 1,000" in done.stdout
    made = installed.folder.parent / "cache/downloads/samples/cifar10-train.parquet"
    assert made.read_bytes() == (ROOT / "datasets/samples/cifar10-train.parquet").read_bytes()


def test_jobs_of_a_cluster_get_all_of_it(installed: Installed) -> None:
    done = installed.call("-c", COPIED, program="python")
    assert done.returncode == 0, done.stderr
    copy = installed.folder / done.stdout.strip()
    assert [path.name for path in copy.iterdir()] == ["suite"]
    assert (copy / "suite/_data/datasets/samples/bidmc-val.parquet").is_file()
    shutil.rmtree(installed.folder / "store")


@pytest.mark.slow
def test_it_trains_from_the_wheel(installed: Installed) -> None:
    done = installed.call("suite:quickstart.yaml", *ONE_RUN)
    assert done.returncode == 0, done.stderr
    assert "1 done" in installed.call("status", "suite:quickstart.yaml", *ONE_RUN).stdout
    assert (installed.folder / "reports/index.html").stat().st_size > 1000


@pytest.mark.slow
def test_a_new_study_runs_from_the_wheel(installed: Installed) -> None:
    assert installed.call("init", "my study").returncode == 0
    folder = installed.folder / "my study"
    done = installed.call("grids/mine.yaml", "--only", "seed=0", "--until", "epoch=1", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "Gated" in done.stdout and "1/5 epochs" in done.stdout and "20.2 ± 0.7" in done.stdout
    assert (folder / "reports/mine.md").is_file() and (folder / "runs").is_dir()
