"""Writes suite/plan/speeds.yaml from the kept runs in results/. `python tools/make_speeds.py`

`--measured DEVICE` runs the speed test here and records it for the CPU with that name in the runs' provenance
(`AMD EPYC (AVX512)`). Use it only on a machine with that CPU. Runs on CPUs without such a number are left out, since
their speeds cannot be scaled to another machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from suite.config.fields import Group
from suite.config.run_config import GROUPS, RunConfig
from suite.plan import speed_test
from suite.plan.operations import Device
from suite.plan.speeds import PATH, shipped

ROOT = Path(__file__).parents[1]
HEAD = """\
# Seconds per epoch of kept runs, by shape and device: median, smallest and largest over the runs, with one thread.
# Made by tools/make_speeds.py. Sources are folders of the repository. pass_seconds is the result of
# suite/plan/speed_test.py on a machine with the same CPU when this file was made: the runs did not record it.
"""


@dataclass
class Shape:
    """The kept runs of a shape on a device."""

    config: RunConfig
    seconds: list[float] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    starts: list[str] = field(default_factory=list)


def kept(results: Path) -> dict[tuple[str, str], Shape]:
    """The kept runs by shape and device. A run in several folders counts once."""
    found: dict[tuple[str, str], Shape] = {}
    seen: set[str] = set()
    for path in sorted(results.glob("*/store/*/config.json")):
        run, text = path.parent, json.loads((path.parent / "provenance.json").read_text())
        config = RunConfig.model_validate(json.loads(path.read_text())["config"])
        environment = text["environment"]
        if environment["threads"] != 1 or config.kind != "train" or run.name + environment["device"] in seen:
            continue
        seen.add(run.name + environment["device"])
        shape = found.setdefault((config.shape, environment["device"]), Shape(config))
        shape.seconds.append(statistics.median(epoch["time/train"] + epoch["time/eval"] for epoch in rows(run)))
        shape.starts.append(text["attempts"][0]["when"])
        shape.sources.add(run.parents[1].relative_to(results.parent).as_posix())
    return found


def rows(run: Path) -> list[dict[str, Any]]:
    """One row for each epoch of a kept run, finished or not."""
    if (run / "result.json").exists():
        found: list[dict[str, Any]] = json.loads((run / "result.json").read_text())["rows"]
        return found
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def settings(config: RunConfig) -> dict[str, Any]:
    """A minimal set of settings that gives a configuration of the same shape."""
    plain = RunConfig.build({"task": config.task}).flat()
    found = {"task": config.task}
    for key, value in config.flat().items():
        group, _, name = key.partition(".")
        if name and name not in GROUPS.get(group, Group).same_price and plain.get(key) != value:
            found[key] = value
    assert RunConfig.build(found).shape == config.shape, key
    return found


def _shared(runs: Shape, device: str) -> dict[str, int]:
    """The number of runs that shared the GPU: those that started in the same second."""
    return {"at_once": max(map(runs.starts.count, runs.starts))} if "NVIDIA" in device else {}


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measured", metavar="DEVICE", help="run the speed test here, for this CPU")
    asked = parser.parse_args()
    devices = {name: one.model_dump(mode="json", exclude_none=True) for name, one in shipped().devices.items()} \
        if PATH.exists() else {}
    if asked.measured:
        devices[asked.measured] = {"kind": Device.CPU.value, "pass_seconds": round(speed_test.measure(), 5)}
    speeds = []
    for (shape, device), runs in sorted(kept(ROOT / "results").items(), key=lambda item: item[0][::-1]):
        if "NVIDIA" in device:
            devices.setdefault(device, {"kind": Device.GPU.value})
        if device in devices:
            speeds.append({"shape": shape, "device": device, "seconds": round(statistics.median(runs.seconds), 2),
                           "least": round(min(runs.seconds), 2), "most": round(max(runs.seconds), 2),
                           "runs": len(runs.seconds), **_shared(runs, device),
                           "source": ", ".join(sorted(runs.sources)), "settings": settings(runs.config)})
    text = yaml.safe_dump({"devices": devices, "speeds": speeds}, sort_keys=False, width=120)
    PATH.write_text(HEAD + text)
    print(f"{PATH.relative_to(ROOT)}: {len(speeds)} speeds of {len(devices)} devices")


if __name__ == "__main__":
    main()
