"""Seconds from a start to the last of 50 trivial results on a cluster, by runs per job.

    tests/slurm_cluster run env PYTHONPATH=tests/support .venv/bin/python tools/slurm_speed.py 5 1
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from fake_runner import Ear, all_well, grid

from suite.launch import slurm
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.store.store import Store

COUNT = 50


def main() -> None:
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "tests/support")
    for size in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            runs, options = grid(COUNT), Options(Path(folder) / "runs")
            began = time.monotonic()
            slurm.launch(runs, options, Ear(), ("fake_training:training", {}), canaries=False, wait=True,
                         cluster=Cluster(memory="1500MB", time=30, runs_per_job=size))
            seconds = time.monotonic() - began
            all_well(Store(options.store), runs)
        print(f"{COUNT} runs, {size} in a job: {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
