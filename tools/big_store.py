"""A synthetic store with finished runs of many grids, for tests and benchmarks:

    python tools/big_store.py FOLDER RUNS GRIDS     writes FOLDER/grids/*.yaml and FOLDER/runs/
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from suite.files import atomic
from suite.grid.expand import load_grid
from suite.store.migrate import SCHEMA

ROWS, COLUMNS, EPOCHS = 10, 4, 10
GRID = """\
name: big{number:02d}
title: Synthetic table {number}
base: {{model.features: {features}, train.epochs: {epochs}}}
axes:
  method: {{{methods}}}
  task:
    sCIFAR: {{task: scifar, data.variant: sample}}
    SC: {{task: sc_ar, data.variant: sc17-2khz}}
    SpO2: {{task: bidmc_spo2, data.variant: sample}}
    HR: {{task: bidmc_hr, data.variant: sample}}
seeds: {{range: {seeds}}}
"""


def write_grids(folder: Path, runs: int, grids: int) -> list[Path]:
    """Write grid files of `grids` tables with `runs` runs in total: 10 methods, 4 tasks, and the seeds this needs."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = runs // (grids * ROWS * COLUMNS)
    paths = []
    for number in range(grids):
        methods = ", ".join(f"M{i}: {{ssm.imag_scale: {i + 1}.5, ssm.init: lin}}" for i in range(ROWS))
        paths.append(folder / f"big{number:02d}.yaml")
        paths[-1].write_text(GRID.format(number=number, features=2 * number + 2, epochs=EPOCHS, methods=methods,
                                         seeds=seeds))
    return paths


def write_runs(store: Path, paths: list[Path]) -> int:
    """Write a finished run for each run of the grids, with result, provenance and attempt. Returns their number."""
    ids = set()
    for path in paths:
        for run in load_grid(path).runs:
            if run.run_id not in ids:
                ids.add(run.run_id)
                _write(store / run.run_id, run)
    return len(ids)


def _write(folder: Path, run) -> None:
    (folder / "attempts").mkdir(parents=True)
    metric = (run.config.train.select or "").partition("/")[2]
    middle = 0.5 + 0.01 * run.config.ssm.imag_scale + 0.003 * run.config.seed
    rows = [{"epoch": e, "step": 100 * e, "train/loss": 2 / e, f"train/{metric}": middle, "val/loss": 2.1 / e,
             f"val/{metric}": middle + 0.01 * e, "time/train": 10.123456, "time/eval": 1.23456}
            for e in range(1, EPOCHS + 1)]
    environment = {"device": "cpu: a processor", "threads": 1, "kernel_backend": "blocked", "compile": False,
                   "python": "3.11.2", "torch": "2.13.0", "numpy": "2.4.6", "scipy": "1.17.1", "pandas": "3.1.1",
                   "cpu": "a processor", "system": "Linux", "data": "sample 0123456789abcdef"}
    attempt = {"number": 1, "when": "2026-01-01 00:00:00 +0000", "host": "node", "from_step": 0, "to_step": 1000,
               "git": {"commit": "0" * 40, "dirty": False, "patch": None, "error": ""}, "command": ["run_grid.py"],
               "wall_s": 113.6, "kernel_backend": "blocked", "ended": "done", "peak_memory_mb": 512.5}
    result = {"id": run.run_id, "rows": rows, "epochs": EPOCHS, "steps": 1000, "parameters": 123456, "schema": SCHEMA,
              "shape": run.config.shape, "attempts": 1, "seconds_per_epoch": 11.4, "threads": 1,
              "device": "cpu: a processor", "mixed": []}
    record = {"environment": environment, "mixed": [], "code": "0" * 40, "parameters": 123456,
              "data": {"variant": "sample", "fingerprint": "0" * 64}, "attempts": [attempt]}
    claim = {"token": "0" * 16, "host": "node", "place": "", "pid": 1, "started": 1}
    for name, content in (("config.json", {"config": run.config.model_dump(mode="json"), "schema": SCHEMA}),
                          ("result.json", result), ("provenance.json", record),
                          ("attempts/0001.json", claim),
                          ("attempts/0001.end", {"state": "done", "reason": "", "detail": ""})):
        (folder / name).write_bytes(atomic.seal(content))
    (folder / "log.txt").write_text("done\n")


if __name__ == "__main__":
    place, wanted, tables = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    files = write_grids(place / "grids", wanted, tables)
    print(json.dumps({"runs": write_runs(place / "runs", files), "grids": len(files)}))
