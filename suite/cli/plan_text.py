"""The text of `plan` about data and times, for people and for programs."""

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

LONG_S = 24 * 3600  # if a plan takes longer on CPUs, the time on a GPU is shown, too
SMALL = 50e6  # bytes that are prepared in seconds


def data(needed: Sequence[Need], grids: Sequence[Grid]) -> list[str]:
    """Lines about the data that the runs need: the download, the disk space, and what only the user can get."""
    if not needed:
        return []
    size = sum(one.download_bytes for one in needed)
    disk = sum(one.disk_bytes for one in needed)
    remote = [one for one in needed if one.standing is Standing.DOWNLOAD]
    by_hand = [one for one in needed if one.standing is Standing.USER]
    parts = [f"{_bytes(size)} to download ({'; '.join(map(_named, remote))})" if remote else "" if by_hand else "here"]
    arrays = any(one.to_prepare for one in needed)
    parts += ["some minutes to prepare" if arrays and disk > SMALL else "prepared in seconds" if arrays else ""]
    parts += [f"{_bytes(disk)} of disk" if disk else ""]
    lines = [f"data: {', '.join(filter(None, parts))}"] if any(parts) else []
    lines += [f"  {command_of(grids)}"] if remote else []
    lines += [f"data missing: {one.name}, variant {one.variant}, needs you: {one.fix}" for one in by_hand]
    free = _free()
    if free is not None and free < disk:
        lines.append(f"warning: the disk of {places.cache()} has {_bytes(free)} left; SUITE_CACHE names another folder")
    return lines


def _named(one: Need) -> str:
    parts = f", of {' and '.join(one.tasks)} only" if one.tasks else ""
    return f"{one.name} {one.variant}{parts} {_bytes(one.download_bytes)}" if one.download_bytes else \
        f"{one.name} {one.variant} in the same archive"


def _free() -> int | None:
    """Free bytes on the disk of prepared data; None if the folder is not known."""
    try:
        folder = places.cache()
    except UserError:
        return None
    there = next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))
    return shutil.disk_usage(there).free


def _bytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 1):,.0f} MB"


def times(seen: Forecast, made: Plan, slots: int) -> list[str]:
    """Lines about the estimated time, its sources, the longest run and one more seed; and GPU time, if CPUs are slow.
    """
    more = f"one more seed: {seen.seed_runs} runs, {rough(seen.seed)} in all"
    if not made.todo:
        return ["estimated time: nothing is left to compute", f"  {more}"]
    gpu = seen.place.device is Device.GPU
    whole = rough(seen.seconds)
    if gpu:
        whole = whole.replace(" h", " GPU hours") if " h" in whole else f"{whole} of GPU time"
    lines = [f"estimated time: {rough(seen.at(slots))}, {slots} at a time{' on GPUs' if gpu else ''}, within a factor "
             f"of {_factor(seen.factor)} ({whole} in all)"]
    for origin, count in seen.origins.items():
        sources = f" ({', '.join(seen.sources(origin))})" if seen.sources(origin) else ""
        lines.append(f"  {count} runs: from {origin}{sources}")
    names = {run.run_id: run.name for run in made.todo}
    run_id, longest = seen.longest
    lines.append(f"  longest run: {rough(longest)}, {names[run_id]}; {more}")
    return lines + (_on_gpu(made) if not gpu and seen.at(slots) > LONG_S else [])


def _on_gpu(made: Plan) -> list[str]:
    name = next((name for name, one in shipped().devices.items() if one.kind is Device.GPU), "")
    runs = replace(made, speeds={})
    seen = forecast(runs, Place(Device.GPU, name, 1, None))
    return [f"  on one {name}: {rough(seen.seconds)}, within a factor of {_factor(seen.factor)} (shipped "
            "speeds, scaled by counted operations)"]


def expected(grids: Sequence[Grid]) -> list[str]:
    """Lines about the time and memory that the authors of the grids expect."""
    lines = []
    for grid in grids:
        parts = [f"{grid.expect.minutes:g} minutes" if grid.expect.minutes else "",
                 f"{grid.expect.memory_gb:g} GB of memory a run" if grid.expect.memory_gb else ""]
        if any(parts):
            lines.append(f"  {grid.name} expects at most {' and '.join(filter(None, parts))}")
    return lines


def as_json(seen: Forecast, slots: int) -> Content:
    """The estimate, for programs. Seconds are those of one slot, except `wall_seconds`."""
    run_id, longest = seen.longest
    return {"slot_seconds": seen.seconds, "slots": slots, "wall_seconds": seen.at(slots), "factor": seen.factor,
            "device": seen.place.device.value, "longest_run": run_id, "longest_seconds": longest,
            "seed_runs": seen.seed_runs, "seed_seconds": seen.seed,
            "runs": {origin.value: count for origin, count in seen.origins.items()},
            "shapes": {shape: asdict(speed) for shape, speed in seen.speeds.items()}}


def on_stderr(text: str) -> None:
    """Prints the progress of a probe. Standard output is for the plan."""
    print(text, file=sys.stderr, flush=True)


def _factor(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
