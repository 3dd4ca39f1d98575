"""`plan --probe`: times 20 steps of each shape in a separate process, which may run out of memory. Times are kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from suite.config.run_config import RunConfig
from suite.files import atomic
from suite.files.atomic import Content
from suite.plan import speed_test
from suite.plan.operations import FITS, Device, seconds_per_epoch, steps_per_epoch

ROOT = Path(__file__).resolve().parents[2]
STEPS = 20
LIMIT_S = 30.0  # of the steps of a shape: if they take longer, fewer are measured
Say = Callable[[str], None]


def probe(configs: Sequence[RunConfig], device: Device, gpu: str, threads: int, say: Say) -> dict[str, float]:
    """Seconds per epoch of each shape, measured now or by an earlier plan. Shapes that fail are left out.

    The shapes whose runs take longest come first. gpu: the slot that torch may use. say: called with a line for each
    shape. Only training runs with an optimiser have steps to measure.
    """
    shapes = {config.shape: config for config in configs if config.kind == "train" and config.model.name not in FITS}
    path = speed_test.cache_file("probes")
    known = _known(path)
    keys = {shape: f"{shape} {device} {threads}" for shape in shapes}
    todo = sorted((shape for shape in shapes if keys[shape] not in known),
                  key=lambda shape: -seconds_per_epoch(shapes[shape], device) * shapes[shape].train.epochs)
    order = {"device": "cuda" if device is Device.GPU else "cpu", "threads": threads, "steps": STEPS,
             "limit_s": LIMIT_S}
    for number, answer in enumerate(_answers([shapes[shape] for shape in todo], order, gpu), 1):
        config = shapes[todo[number - 1]]
        head = f"probe {number} of {len(todo)}, {config.task} {config.model.name} {config.shape}: "
        if answer["fault"]:
            say(head + answer["fault"])
            continue
        say(head + f"{answer['seconds']:.3g} s per step, over {answer['steps']} steps")
        known[keys[config.shape]] = answer["seconds"]
        speed_test.keep(path, {"probes": known})
    return {shape: known[key] * steps_per_epoch(shapes[shape]) for shape, key in keys.items() if key in known}


def _known(path: Path | None) -> dict[str, float]:
    if path is not None:
        with suppress(OSError, atomic.Corrupt, KeyError, TypeError, ValueError):
            return dict(atomic.read_sealed(path)["probes"])
    return {}


def _answers(configs: Sequence[RunConfig], order: Mapping[str, object], gpu: str) -> Iterator[Content]:
    """An answer for each configuration, in order. If the process dies, the current one's answer is how it ended."""
    left = list(configs)
    while left:
        done = 0
        with tempfile.TemporaryFile() as output:
            contents = [config.model_dump(mode="json") for config in left]
            with _started(contents, order, gpu, output.fileno()) as process:
                for line in process.stdout or ():
                    done += 1
                    yield json.loads(line)
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()
        if done < len(left):
            yield {"fault": _ended(process.returncode, lines[-1] if lines else "")}
        left = left[done + 1:]


@contextmanager
def _started(configs: Sequence[Content], order: Mapping[str, object], gpu: str, output: int
             ) -> Iterator[subprocess.Popen[bytes]]:
    """The process, with its order on stdin. It has ended on exit. An exception kills it, so Ctrl-C stops a probe."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *(path or "." for path in sys.path)]),
                                "CUDA_VISIBLE_DEVICES": gpu, "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as stdin:
        stdin.write(json.dumps({**order, "configs": list(configs)}).encode())
        stdin.seek(0)
        with subprocess.Popen([sys.executable, "-P", "-m", "suite.train.probe"], stdin=stdin, stdout=subprocess.PIPE,
                              stderr=output, env=environment) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise


def _ended(code: int, text: str) -> str:
    if code == -9:
        return "killed by signal 9, most likely for lack of memory"
    how = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return how + (f": {text[:300]}" if text else "")
