"""The output of `plan` about data and times, as text and as JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from suite.data import places
from suite.data.lacking import command_of
from suite.data.needs import Need, Standing
from suite.errors import UserError
from suite.files.atomic import Content
from suite.grid.model import Grid
from suite.plan.estimate import rough
from suite.plan.forecast import Forecast, Place, forecast
from suite.plan.operations import Device
from suite.plan.plan import Plan
from suite.plan.speeds import shipped

LONG_S = 24 * 3600  # if a plan takes longer on CPUs, the time on a GPU is shown as well
SMALL = 50e6  # bytes that are prepared in seconds


def data(needed: Sequence[Need], grids: Sequence[Grid]) -> list[str]:
    """Lines about the data that the runs need: download, disk space, and data that the user must obtain."""
    if not needed:
        return []
    size = sum(one.download_bytes for one in needed)
    disk = sum(one.disk_bytes for one in needed)
    remote = [one for one in needed if one.standing is Standing.DOWNLOAD]
    by_hand = [one for one in needed if one.standing is Standing.USER]
    parts = [f"{_bytes(size)} to download ({'; '.join(map(_named, remote))})" if remote else
             "" if by_hand else "available"]
    arrays = any(one.to_prepare for one in needed)
    parts += ["a few minutes to prepare" if arrays and disk > SMALL else "seconds to prepare" if arrays else ""]
    parts += [f"{_bytes(disk)} on disk" if disk else ""]
    lines = [f"data: {', '.join(filter(None, parts))}"] if any(parts) else []
    lines += [f"  {command_of(grids)}"] if remote else []
    lines += [f"data missing: {one.name}, variant {one.variant}: {one.fix}" for one in by_hand]
    free = _free()
    if free is not None and free < disk:
        lines.append(f"warning: only {_bytes(free)} left on the disk of {places.cache()}; SUITE_CACHE sets another")
    return lines


def _named(one: Need) -> str:
    parts = f", for {' and '.join(one.tasks)} only" if one.tasks else ""
    return f"{one.name} {one.variant}{parts} {_bytes(one.download_bytes)}" if one.download_bytes else \
        f"{one.name} {one.variant} in the same archive"


def _free() -> int | None:
    """Free bytes on the disk of prepared data. None if the folder is unknown."""
    try:
        folder = places.cache()
    except UserError:
        return None
    there = next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))
    return shutil.disk_usage(there).free


def _bytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 1):,.0f} MB"


def times(estimate: Forecast, made: Plan, slots: int) -> list[str]:
    """Lines about the estimated time, its sources, the longest run and one more seed; for long plans, also on a GPU."""
    more = f"one more seed: {estimate.seed_runs} runs, {rough(estimate.seed)} in all"
    if not made.todo:
        return ["estimated time: nothing left to run", f"  {more}"]
    gpu = estimate.place.device is Device.GPU
    total = rough(estimate.seconds)
    if gpu:
        total = total.replace(" h", " GPU hours") if " h" in total else f"{total} of GPU time"
    lines = [f"estimated time: {rough(estimate.at(slots))}, {slots} at a time{' on GPUs' if gpu else ''}, within a "
             f"factor of {_factor(estimate.factor)} ({total} in all)"]
    for origin, count in estimate.origins.items():
        sources = f" ({', '.join(estimate.sources(origin))})" if estimate.sources(origin) else ""
        lines.append(f"  {count} runs: from {origin}{sources}")
    names = {run.run_id: run.name for run in made.todo}
    run_id, longest = estimate.longest
    lines.append(f"  longest run: {rough(longest)}, {names[run_id]}; {more}")
    return lines + (_on_gpu(made) if not gpu and estimate.at(slots) > LONG_S else [])


def _on_gpu(made: Plan) -> list[str]:
    name = next((name for name, one in shipped().devices.items() if one.kind is Device.GPU), "")
    runs = replace(made, speeds={})
    estimate = forecast(runs, Place(Device.GPU, name, 1, None))
    return [f"  on one {name}: {rough(estimate.seconds)}, within a factor of {_factor(estimate.factor)} (shipped "
            "speeds, scaled by counted operations)"]


def expected(grids: Sequence[Grid]) -> list[str]:
    """Lines about the time and memory that the grids declare in `expect`."""
    lines = []
    for grid in grids:
        parts = [f"{grid.expect.minutes:g} minutes" if grid.expect.minutes else "",
                 f"{grid.expect.memory_gb:g} GB of memory per run" if grid.expect.memory_gb else ""]
        if any(parts):
            lines.append(f"  {grid.name} expects at most {' and '.join(filter(None, parts))}")
    return lines


def as_json(estimate: Forecast, slots: int) -> Content:
    """The estimate as plain values. Seconds are those of one slot, except `wall_seconds`."""
    run_id, longest = estimate.longest
    return {"slot_seconds": estimate.seconds, "slots": slots, "wall_seconds": estimate.at(slots),
            "factor": estimate.factor, "device": estimate.place.device.value, "longest_run": run_id,
            "longest_seconds": longest, "seed_runs": estimate.seed_runs, "seed_seconds": estimate.seed,
            "runs": {origin.value: count for origin, count in estimate.origins.items()},
            "shapes": {shape: asdict(speed) for shape, speed in estimate.speeds.items()}}


def on_stderr(text: str) -> None:
    """Print the progress of a probe, since stdout is for the plan."""
    print(text, file=sys.stderr, flush=True)


def _factor(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
