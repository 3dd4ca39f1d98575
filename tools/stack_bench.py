"""Compares steps of K single runs with a step of their stack: `python tools/stack_bench.py GRID`.

They alternate in one process. Prints milliseconds per step and run, alone and in a stack, and the median of their
ratios: in wall-clock time, and in CPU time, which other processes disturb less. The data are noise of the same size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from suite.data.extent import extent
from suite.grid.expand import load_grid
from suite.train import step_bench
from suite.train.device import settle
from suite.train.mode import Mode
from suite.train.stack import Stack
from suite.train.trainer import Trainer

WARM = 5  # warm-up steps


def main() -> None:
    """Measure the runs of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--set", dest="sets", action="append", default=[])
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--device", default="cpu", help="cpu or cuda; on a GPU, steps are CUDA graphs")
    args = parser.parse_args()
    mode = Mode.EAGER if args.device == "cpu" else Mode.GRAPHS
    device = settle(1, args.device, mode)
    configs = [run.config for run in load_grid(args.grid, sets=args.sets, only=args.only).runs]
    data = step_bench.noise(configs[0], extent(configs[0].data, configs[0].task).length)
    for size in args.sizes:
        train = configs[0].train.model_copy(update={"evaluate": ("val",)})
        plain = [config.model_copy(update={"train": train}) for config in configs[:size]]
        alone = [Trainer(config, data, device, mode) for config in plain]
        stack = Stack([Trainer(config, data, device, mode) for config in plain], mode)
        _compare(alone, stack, args.steps, device)


def _compare(alone: list[Trainer], stack: Stack, steps: int, device: torch.device) -> None:
    size = len(alone)
    spent: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for _ in range(WARM + steps):
        spent.append((_seconds(lambda: [one.train_step() for one in alone], device),
                      _seconds(lambda: stack.step([True] * size), device)))
        for one in (*alone, *stack.members):
            one.step = 0
    for which, clock in enumerate(("wall-clock time", "CPU time")):
        pairs = [(1e3 * one[which] / size, 1e3 * other[which] / size) for one, other in spent[WARM:]]
        singles, stacked = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(other / one for one, other in pairs)
        print(f"K {size}, {clock}: {singles:.2f} ms alone, {stacked:.2f} ms in a stack, ratio {ratio:.2f}")


def _seconds(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Wall-clock time and CPU time."""
    began, used = time.perf_counter(), time.process_time()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - used


if __name__ == "__main__":
    main()
