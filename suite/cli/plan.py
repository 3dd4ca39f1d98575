"""The command plan: what would run, what is excluded and why, the data needed and the estimated time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from suite.cli import plan_text
from suite.cli.compute_requests import PlanRequest
from suite.cli.requests import Executor
from suite.cli.run import SHOWN, places_of
from suite.data.needs import needs
from suite.errors import UserError
from suite.grid.model import Grid, check_names
from suite.launch import gpus
from suite.launch.places import Places
from suite.plan.estimate import late
from suite.plan.forecast import Forecast, Place, forecast
from suite.plan.operations import Device
from suite.plan.own_code import check as check_own
from suite.plan.plan import Plan, make_plan, missing_data
from suite.plan.probe import probe
from suite.plan.speed_test import pass_seconds
from suite.store import versions
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.cli.slurm import Asked


def plan(grids: Sequence[Grid], request: PlanRequest) -> int:
    """Print counts, exclusions with their reasons, data and times. Starts nothing, except probes with `--probe`."""
    request.check_executor()
    check_names(grids)
    check_own(grids, [run for grid in grids for run in grid.runs], trial=False)
    store = Store(request.store)
    made = make_plan(grids, store, request.until)
    asked = asked_of(made, request)
    where = where_of(made, request, asked)
    estimate = forecast_of(made, store, request, where)
    needed = needs(run.config for run in made.todo)
    if request.json:
        content = made.as_json() | {"data_missing": [asdict(one) for one in missing_data(made.todo)],
                                    "data": [asdict(one) for one in needed],
                                    "estimate": plan_text.as_json(estimate, at_a_time(made, where)),
                                    "expect": {grid.name: grid.expect.model_dump() for grid in grids}}
        print(json.dumps(content, indent=1, ensure_ascii=False))
        return 0
    _print_runs(grids, made, store)
    print(*plan_text.data(needed, grids), sep="\n")
    print(*(f"{line}\n" for line in where.lines), sep="", end="")
    print(*plan_text.times(estimate, made, at_a_time(made, where)), sep="\n")
    print(*plan_text.expected(grids), sep="\n", end="\n" if any(plan_text.expected(grids)) else "")
    made = replace(made, speeds={shape: speed.seconds for shape, speed in estimate.speeds.items()})
    if asked is not None:
        from suite.cli import slurm

        slurm.plan(made, request, asked)
    elif warning := late(made.todo, made.states, made.until, made.speeds, request.compute.timeout_s):
        print(f"warning: {warning}")
    return 0


def asked_of(made: Plan, request: PlanRequest) -> Asked | None:
    """The request to a cluster, which may be slow to answer. None if the runs would be computed on this machine."""
    if request.executor is not Executor.SLURM:
        return None
    from suite.cli import slurm

    return slurm.checked(made, request, False)


def where_of(made: Plan, request: PlanRequest, asked: Asked | None) -> Places:
    """Where the runs would be computed, here or on a cluster, with lines for the user."""
    if asked is not None:
        from suite.cli import slurm

        return Places(slurm.slots(made, asked.cluster))
    try:
        where = places_of(made, request)
    except UserError as error:  # `run` would stop here, but the time can be estimated nevertheless
        return Places(request.jobs or 1, lines=tuple(f"warning: {problem}" for problem in error.problems))
    idle = [f"{line}; leave --gpus none out to use it" for line in gpus.idle()] if request.gpus == () else []
    return replace(where, lines=(*where.lines, *idle))


def forecast_of(made: Plan, store: Store, request: PlanRequest, where: Places) -> Forecast:
    """The estimated times on this machine, its GPUs, or the nodes of a cluster, as requested."""
    place = place_of(request, where)
    known = made.speeds if made.todo else store.prices()
    probed: dict[str, float] = {}
    if request.probe:
        slot = str(where.gpus[0]) if where.gpus else ""
        configs = [run.config for run in made.todo if run.config.shape not in known]
        probed = probe(configs, place.device, slot, request.threads, plan_text.on_stderr)
    return forecast(made, place, probed, known)


def place_of(request: PlanRequest, where: Places) -> Place:
    """The device on which the runs of a request would be computed."""
    if request.executor is Executor.SLURM:
        from suite.launch.cluster import load

        device = Device.GPU if load(request.cluster, request.changes).gpus else Device.CPU
        return Place(device, "", request.threads, None)
    device = Device.GPU if where.gpus else Device.CPU
    return Place(device, where.model, request.threads, pass_seconds, where.jobs)


def at_a_time(made: Plan, where: Places) -> int:
    """The number of runs at a time."""
    return min(where.at_once, max(1, len(made.todo)))


def _print_runs(grids: Sequence[Grid], made: Plan, store: Store) -> None:
    for grid in grids:
        shape = " × ".join(f"{count} {name}" for count, name in grid.factors)
        print(f"{grid.name} (profile {grid.profile}): {shape} × {len(grid.seeds)} seeds")
        if grid.resized:
            shown = ", ".join(grid.resized[:SHOWN]) + (", …" if len(grid.resized) > SHOWN else "")
            print(f"  the profile {grid.profile} changes: {shown}")
    print(f"{len(made.runs)} runs" + (f", {made.shared} saved because cells share them" if made.shared else ""))
    print("  " + ", ".join(f"{n} {name}" for name, n in made.counts().items()))
    for line in versions.remarks(made.runs, store):
        print(f"  {line}")
    for reason, labels in _by_reason(grids).items():
        shown = "; ".join(labels[:SHOWN]) + (f"; {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")
        print(f"  excluded, {reason}: {shown}")
    budget = f", until the end of epoch {made.until}" if made.until else ""
    print(f"would run: {len(made.todo)}{budget}")


def _by_reason(grids: Sequence[Grid]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for grid in grids:
        for excluded in grid.excluded:
            reasons.setdefault(excluded.reason, []).append(" ".join(excluded.labels.values()))
    return reasons
