"""A store of many finished runs: what status and report take of CPU time and memory, and how that grows.

Seconds depend on the machine, so the quick test compares one command with another. The slow test has limits in
seconds, too. `python tools/big_store.py` makes the store, for a quiet machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from big_store import write_grids, write_runs

ROOT = Path(__file__).parents[2]
MEASURE = """
import contextlib, json, os, resource, sys
from suite.cli.main import main
with contextlib.redirect_stdout(open(os.devnull, "w")):
    assert main(sys.argv[1:]) == 0
used = resource.getrusage(resource.RUSAGE_SELF)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # of this program alone
print(json.dumps({"s": used.ru_utime + used.ru_stime, "mb": int(peak.split()[1]) / 1024}))
"""


def measure(place: Path, verb: str, *more: str) -> dict[str, float]:
    """Processor seconds and peak memory of a verb on the whole store, imports included."""
    grids = sorted(map(str, (place / "grids").iterdir()))
    words = [verb, *grids, "--store", str(place / "runs"), *more]
    done = subprocess.run([sys.executable, "-c", MEASURE, *words], cwd=ROOT, capture_output=True, text=True, check=True,
                          env={"OMP_NUM_THREADS": "1"})
    return dict(json.loads(done.stdout))


def make(place: Path, runs: int, grids: int) -> None:
    assert write_runs(place / "runs", write_grids(place / "grids", runs, grids)) == runs


def test_a_thousand_runs(tmp_path: Path) -> None:
    make(tmp_path, 1000, 5)
    status = measure(tmp_path, "status")
    report = measure(tmp_path, "report", "--no-figures", "--out", str(tmp_path / "out"))
    again = measure(tmp_path, "report", "--no-figures", "--out", str(tmp_path / "out"))
    print(status, report, again)
    assert status["s"] < report["s"] / 2  # 0.2 to 0.3 of it when the machine is quiet
    assert again["s"] < report["s"] / 2  # it is only printed
    assert max(status["mb"], report["mb"]) < 500
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert page.count("data-cell=") == 5 * 40
    assert "200 done" in page


@pytest.mark.slow
def test_ten_thousand_runs(tmp_path: Path) -> None:
    sizes = {1000: 5, 10_000: 50}
    used = {}
    for runs, grids in sizes.items():
        make(tmp_path / str(runs), runs, grids)
        used[runs] = (measure(tmp_path / str(runs), "status"),
                      measure(tmp_path / str(runs), "report", "--no-figures", "--out", str(tmp_path / f"out{runs}")))
    print(used)
    assert used[1000][0]["s"] < 1
    assert used[1000][1]["s"] < 5
    status, report = used[10_000]
    assert status["s"] < 2  # twice what is wanted: CPU time grows where others compute
    assert report["s"] < 10
    assert max(status["mb"], report["mb"]) < 500
    assert all(ten["s"] < 11 * one["s"] for one, ten in zip(*used.values(), strict=True))  # linear
