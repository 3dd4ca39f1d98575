"""The runs of this project that need a GPU, by priority. They are resumable, and kept at the end.

    python tools/gpu_runs.py --minutes 9 --store runs/gpu --keep results

Every call continues the stages that are not finished. When the time is over, a stage is interrupted as by Ctrl-C: its
runs write a checkpoint. With --keep, finished and stopped runs are frozen there. With --mps, several processes share
the GPU through NVIDIA's MPS, if it can be started: one process computes while another would leave the GPU idle.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MPS = "nvidia-cuda-mps-control"
LEAST_S = 20.0  # a stage is not started with less time


@dataclass(frozen=True)
class Stage:
    """Some runs of a grid: their selection, how many at a time, and the epoch to stop after ("": the last one)."""

    name: str
    grid: str
    select: tuple[str, ...]
    jobs: int
    until: str = ""

    def command(self, verb: str, store: Path) -> list[str]:
        """A command of the suite for these runs."""
        options = [word for one in self.select for word in ("--only", one)]
        return [sys.executable, "run_grid.py", verb, self.grid, *options, "--store", str(store)]


FULL = "grids/full-length.yaml"
IMAGES = ("seed=0", "task=sCIFAR")
# All stages of a line run at once: beside runs on images, one run at a time on windows of SpO2.
STAGES = (
    (Stage("full-length", FULL, (*IMAGES, "method=S4D-Lin", "method=S4D-Lin as configured",
                                 "method=S4D-Real as configured"), 3),),
    (Stage("successors-epoch1", "grids/successors-epoch1.yaml", (), 5, "epoch=1"),),
    (Stage("full-length", FULL, (*IMAGES, "method=S4D-Real"), 1),
     Stage("full-length", FULL, ("seed=0", "task=BIDMC"), 1)),
)


@contextmanager
def shared_gpu(wanted: bool) -> Iterator[None]:
    """A context with MPS, if it is wanted and installed."""
    if not wanted or not shutil.which(MPS):
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        place = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        os.environ |= place
        print("MPS:", "on" if subprocess.run([MPS, "-d"], check=False).returncode == 0 else "cannot be started")
        try:
            yield
        finally:
            subprocess.run([MPS], input="quit\n", text=True, check=False, timeout=60)
            for name in place:
                del os.environ[name]


def run(stages: Sequence[Stage], store: Path, out: Path, seconds: float) -> None:
    """Continue stages. After so many seconds, interrupt them and wait until their checkpoints are written."""
    end, started = time.monotonic() + seconds, []
    for number, stage in enumerate(stages):
        command = [*stage.command("run", store), "--gpus", "0", "--jobs", str(stage.jobs), "--no-canary"]
        command += ["--out", str(out / str(number)), *(["--until", stage.until] if stage.until else [])]
        print(f"== {stage.name}, {', '.join(stage.select) or 'all'}: at most {seconds:.0f} s", flush=True)
        started.append(subprocess.Popen(command, cwd=ROOT))
    for process in started:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
    for process in started:
        process.wait(120)


def keep(store: Path, into: Path) -> None:
    """Freeze the finished and stopped runs of the grids, each grid in a folder of its name, replacing older ones."""
    for name, grid in dict.fromkeys((stage.name, stage.grid) for group in STAGES for stage in group):
        shutil.rmtree(into / name, ignore_errors=True)
        command = Stage(name, grid, (), 0).command("freeze", store)
        subprocess.run([*command, "--out", str(into / name)], cwd=ROOT, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="of all stages together (default: 9)")
    parser.add_argument("--store", type=Path, default=Path("runs/gpu"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=Path("reports/gpu"), help="folder of the reports")
    parser.add_argument("--keep", type=Path, help="folder in which the runs are frozen at the end")
    parser.add_argument("--mps", action="store_true", help="share the GPU through MPS")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    with shared_gpu(options.mps):
        for stages in STAGES:
            left = end - time.monotonic()
            if left > LEAST_S:
                run(stages, options.store, options.out, left)
    if options.keep:
        keep(options.store, options.keep)


if __name__ == "__main__":
    main()
