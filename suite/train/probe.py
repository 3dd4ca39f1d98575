"""The process that measures steps for `plan --probe`: `python -m suite.train.probe`, order on stdin, answers on stdout.

An answer is a line of JSON for each configuration: `seconds` per step (median), number of measured `steps`, `fault`.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from contextlib import suppress

import torch

from suite.config.fields import Flat
from suite.config.run_config import RunConfig
from suite.data import prepared
from suite.data.extent import extent
from suite.data.wanted import wanted
from suite.errors import UserError
from suite.train import step_bench
from suite.train.device import settle
from suite.train.mode import Mode
from suite.train.trainer import Trainer

WARM = 3  # warm-up steps, in which memory is allocated and kernels are loaded


def main() -> None:
    """Measure the configurations in the order, one after the other."""
    order = json.loads(sys.stdin.read())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the output of user code must not be among the answers
    device = settle(order["threads"], order["device"], Mode.EAGER)
    if device.type == "cpu":
        _limit_memory()
    for content in order["configs"]:
        answer: Flat = {"seconds": None, "steps": 0, "fault": ""}
        try:
            answer |= _measured(RunConfig.model_validate(content), device, order["steps"], order["limit_s"])
        except UserError as error:
            answer["fault"] = "; ".join(problem.what for problem in error.problems)
        except (MemoryError, RuntimeError) as error:  # OutOfMemoryError of a GPU is one
            text = str(error).strip().split("\n")[0][:200]
            short = isinstance(error, MemoryError | torch.OutOfMemoryError) or "memory" in text
            answer["fault"] = f"out of memory: {text}" if short else f"{type(error).__name__}: {text}"
        if device.type == "cuda":
            torch.cuda.empty_cache()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _measured(config: RunConfig, device: torch.device, steps: int, limit_s: float) -> Flat:
    """Measure steps on the run's data if they are prepared, else on noise of the same size."""
    want = wanted(config.data, config.task)
    if want.is_prepared():
        data = prepared.load(config.data, config.task)
    else:
        data = step_bench.noise(config, extent(config.data, config.task).length)
    plain = config.train.model_copy(update={"evaluate": ("val",)})  # noise has no other rates
    trainer = Trainer(config.model_copy(update={"train": plain}), data, device)
    spent: list[float] = []
    end = time.perf_counter() + limit_s
    for number in range(WARM + steps):
        began = time.perf_counter()
        trainer.train_step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        spent.append(time.perf_counter() - began)
        trainer.step = (number + 1) % trainer.steps_per_epoch
        if time.perf_counter() > end and number:
            break
    counted = spent[min(WARM, len(spent) - 1):]
    return {"seconds": statistics.median(counted), "steps": len(counted)}


def _limit_memory() -> None:
    """Limit memory to what the machine has left, so that a step that is too large fails instead of swapping."""
    import psutil

    with suppress(OSError, ValueError):
        used = psutil.Process().memory_info().rss
        limit = used + psutil.virtual_memory().available
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


if __name__ == "__main__":
    main()
