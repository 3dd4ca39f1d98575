"""The command plan: what would run, what not and why, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from suite.cli.requests import Executor, PlanRequest
from suite.cli.run import SHOWN, places_of
from suite.errors import UserError
from suite.grid.model import Grid, check_names
from suite.launch import gpus
from suite.plan.own_code import check as check_own
from suite.plan.plan import Plan, make_plan, missing_data
from suite.plan.price import late
from suite.store import versions
from suite.store.store import Store


def plan(grids: Sequence[Grid], request: PlanRequest) -> int:
    """Prints counts, exclusions with their reasons, and the price. Starts nothing."""
    request.check_executor()
    check_names(grids)
    check_own(grids, [run for grid in grids for run in grid.runs], trial=False)
    made = make_plan(grids, Store(request.store), request.until)
    missing = missing_data(made.todo)
    if request.json:
        told = made.as_json() | {"data_missing": [asdict(one) for one in missing]}
        print(json.dumps(told, indent=1, ensure_ascii=False))
        return 0
    for grid in grids:
        shape = " × ".join(f"{count} {name}" for count, name in grid.factors)
        print(f"{grid.name} (profile {grid.profile}): {shape} × {len(grid.seeds)} seeds")
        if grid.resized:
            shown = ", ".join(grid.resized[:SHOWN]) + (", …" if len(grid.resized) > SHOWN else "")
            print(f"  the profile {grid.profile} has another value for: {shown}")
    print(f"{len(made.runs)} runs" + (f", {made.shared} saved because cells share them" if made.shared else ""))
    print("  " + ", ".join(f"{n} {name}" for name, n in made.counts().items()))
    for line in versions.told(made.runs, Store(request.store)):
        print(f"  {line}")
    for reason, labels in _by_reason(grids).items():
        shown = "; ".join(labels[:SHOWN]) + (f"; {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")
        print(f"  excluded, {reason}: {shown}")
    budget = f" to the end of epoch {made.until}" if made.until else ""
    print(f"would run: {len(made.todo)}{budget}")
    for one in missing:
        print(f"data missing: {one.name}, variant {one.variant}: {one.what}; run: {one.command}")
    if request.executor is Executor.SLURM:
        from suite.cli import slurm

        slurm.plan(made, request)
    else:
        print(f"price: {made.price.text(_places(made, request))}")
        limit = request.compute.timeout_s
        if warning := late(made.todo, made.states, made.until, made.prices, limit):
            print(f"warning: {warning}")
    return 0


def _places(made: Plan, request: PlanRequest) -> int:
    """Says where the runs would compute, and which GPU would be idle; how many at a time."""
    try:
        where = places_of(made, request)
    except UserError as error:  # `run` would refuse; what it costs can be said all the same
        print(*(f"warning: {problem}" for problem in error.problems), sep="\n")
        return request.jobs or 1
    print(*where.told, sep="\n")
    if request.gpus == ():
        for line in gpus.idle():
            print(f"{line}; leave --gpus none out to use it")
    return where.at_once


def _by_reason(grids: Sequence[Grid]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for grid in grids:
        for excluded in grid.excluded:
            reasons.setdefault(excluded.reason, []).append(" ".join(excluded.labels.values()))
    return reasons
