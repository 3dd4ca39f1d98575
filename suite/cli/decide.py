"""`run --decide` and `plan --decide`: add seeds, look by look, until each claim has a final verdict.

A look needs one more seed of the rows of undecided claims, base rows included. The claims declare their `looks`, and
verdicts are recomputed from the store. So the loop has no state of its own: it can be stopped, and the next call
continues, here or on a cluster.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.cli.compute_requests import PlanRequest, RunRequest
from suite.cli.plan import asked_of, at_a_time, forecast_of, where_of
from suite.cli.requests import Executor
from suite.cli.run import checked, finish, held_by_others, report_starts
from suite.errors import UserError
from suite.files.output import check_folder
from suite.grid.model import Grid, GridRun, check_names
from suite.grid.seeds import at_seed, configurations, in_order, with_runs
from suite.launch.options import Launched
from suite.plan.estimate import rough
from suite.plan.plan import Plan, make_plan
from suite.report.added import most_seeds, with_added
from suite.report.claims import declaring
from suite.report.claims.outcome import Verdict
from suite.report.document import Document, document_of
from suite.report.statistics.looks import Looks
from suite.store import requests
from suite.store.state import RunState
from suite.store.store import Store


@dataclass(frozen=True)
class Look:
    """The next look at a grid's claims. `wanted`: its runs, in order. `grid`: with these and all runs so far."""

    grid: Grid
    wanted: tuple[GridRun, ...]
    rest: int  # maximum number of runs that later looks may need


def decide(grids: Sequence[Grid], request: RunRequest) -> int:
    """Run look by look until every claim has a final verdict, then write the report. Returns 1 if a run failed.

    Raises UserError if no claim about any of the grids declares looks.
    """
    request.check_executor()
    check_names(grids)
    check_folder(request.out)
    declared = _with_looks(grids)
    store = Store(request.store)
    if request.hours is not None:
        request = replace(request, over_at=time.monotonic() + request.hours * 3600)
    tried: set[str] = set()
    waiting: frozenset[str] = frozenset()  # runs that wait for a device that is not available
    ended: dict[str, RunState] = {}
    while True:
        looks = [next_look(grid, store, declares=True) for grid in declared]
        made = _plan_of(looks, store, request)
        made = replace(made, todo=tuple(run for run in made.todo if run.run_id not in waiting))
        held = held_by_others(made)
        if (made.todo or held) and request.left == 0:
            print("the time limit is reached; run the same command again to continue")
            break
        fresh = {run.run_id for run in (*made.todo, *held)} - tried
        if not fresh:
            break
        tried |= fresh
        launched = _start(looks, made, held, request, store)
        if request.executor is Executor.SLURM and not request.wait:
            return report_starts(made, launched, store)  # the jobs run on their own; the next call continues
        ended |= launched.states
        waiting |= launched.waiting
    return max(finish(grids, store, request, ended), 1 if waiting else 0)


def next_look(grid: Grid, store: Store, declares: bool = False) -> Look:
    """The runs of the next look: the first seeds of every row, then one more seed of each undecided claim."""
    most, extended = most_seeds(grid), with_added([grid], store)[0]
    document = document_of(extended, store)
    if declares:
        declaring.declare(extended, store, document.families, document.verdicts)
    start = min((one.start for one in _plans(document)), default=0)
    first = [at_seed(run, seed) for seed in in_order(grid.seeds, start) for run in configurations(grid.runs)]
    wanted = {run.run_id: run for run in first}
    order = in_order(grid.seeds, most)
    rest: set[str] = set()
    for verdict in sorted(document.verdicts, key=lambda one: len(one.claim.cells)):
        if verdict.final or verdict.claim.family not in document.plans:
            continue
        if verdict.seeds is not None:
            wanted |= {run.run_id: run for run in _of_seeds(verdict, document, order[verdict.seeds:][:1])}
        later = order[start if verdict.seeds is None else verdict.seeds + 1:]
        rest |= {run.run_id for run in _of_seeds(verdict, document, later)}
    there = {run.run_id: run for run in extended.runs}
    chosen = tuple(there.get(run_id, run) for run_id, run in wanted.items())
    return Look(with_runs(extended, chosen), chosen, len(rest - wanted.keys()))


def _plans(document: Document) -> list[Looks]:
    return [plan for plan in document.plans.values() if plan is not None]


def _of_seeds(verdict: Verdict, document: Document, seeds: Sequence[int]) -> list[GridRun]:
    """The runs of these seeds in every cell of a claim, up to the last seed that its family declares."""
    plan = document.plans.get(verdict.claim.family)
    last = in_order(document.grid.seeds, plan.most) if plan else ()
    runs = {run.run_id: run for run in document.grid.runs}
    table = next(table for table in document.tables if table.name == verdict.claim.table)
    cells = {(cell.row, cell.column): cell for row in table.cells for cell in row}
    return [at_seed(runs[cells[place].run_ids[0]], seed) for seed in seeds if seed in last
            for place in verdict.claim.cells if place in cells and cells[place].run_ids]


def _plan_of(looks: Sequence[Look], store: Store, request: RunRequest | PlanRequest) -> Plan:
    """The plan of the runs of the looks, in order: the first seeds first, then the cheapest claims."""
    narrow = [replace(look.grid, runs=look.wanted) for look in looks]
    made = make_plan(narrow, store, request.until, request.reasons if isinstance(request, RunRequest) else ())
    if isinstance(request, RunRequest) and request.hours is None:
        return made
    todo = {run.run_id for run in made.todo}
    return replace(made, todo=tuple({run.run_id: run for look in looks for run in look.wanted
                                     if run.run_id in todo}.values()))


def _start(looks: Sequence[Look], made: Plan, held: list[GridRun], request: RunRequest,
           store: Store) -> Launched:
    """Start the runs of a look. On a cluster, the remaining time is the time limit of a run."""
    if request.left is not None and request.executor is Executor.SLURM:
        request = replace(request, timeout=min(request.left / 60, request.timeout or math.inf))
    start = checked(made, held, request)
    requests.record([look.grid for look in looks], {run.run_id for run in made.todo}, store)
    print(f"next look: {len(made.todo)} runs" + (f", and {len(held)} that are active" if held else ""), flush=True)
    return start()


def _with_looks(grids: Sequence[Grid]) -> list[Grid]:
    """The grids whose claims declare looks. Prints the names of others. Raises UserError if none declares looks."""
    declared = [grid for grid in grids if most_seeds(grid)]
    others = [grid.name for grid in grids if grid not in declared]
    if not declared:
        raise UserError("no family of claims for this grid declares looks", str(grids[0].path),
                        "add `looks: {start: 3, most: 10}` to a family in reports/claims.yaml, or leave --decide out")
    if others:
        print(f"{', '.join(others)}: no claims declare looks, so no run is started for "
              f"{'them' if len(others) > 1 else 'it'}", flush=True)
    return declared


def plan(grids: Sequence[Grid], request: PlanRequest) -> int:
    """Print the runs and the estimated time of the next look at each grid, and what may follow. Starts nothing."""
    request.check_executor()
    store = Store(request.store)
    looks = [next_look(grid, store) for grid in _with_looks(grids)]
    made = _plan_of(looks, store, request)
    for look in looks:
        ids = {run.run_id for run in look.wanted}
        print(f"{look.grid.name}: next look: {sum(run.run_id in ids for run in made.todo)} runs, "
              f"later looks: at most {look.rest} more")
    where = where_of(made, request, asked_of(made, request))
    estimate, at_once = forecast_of(made, store, request, where), at_a_time(made, where)
    if made.todo:
        print(f"estimated time of the next look: {rough(estimate.at(at_once))}, {at_once} at a time, within a "
              f"factor of {estimate.factor:.2g}")
    return 0
