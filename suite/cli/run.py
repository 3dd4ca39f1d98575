"""The commands run and retry: start or resume unfinished runs, then write the report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from suite.cli.compute_requests import ComputeRequest, RunRequest
from suite.cli.requests import Executor
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.files.counted import counted
from suite.files.output import check_folder
from suite.grid.model import Grid, GridRun, check_names
from suite.launch import places
from suite.launch.options import MOST_FAILURES, Launched, Options
from suite.launch.places import Places
from suite.own import fault
from suite.plan.estimate import late
from suite.plan.own_code import check as check_own
from suite.plan.plan import Plan, check_data, make_plan, narrowed
from suite.store import requests
from suite.store.state import Reason, RunState, State
from suite.store.store import Store
from suite.train.mode import Mode, check_graphs

SHOWN = 8  # lines of a kind that are printed; of the others, only the number


def run(grids: Sequence[Grid], request: RunRequest) -> int:
    """Start or resume unfinished runs, then write the report. Returns 1 if a run failed."""
    request.check_executor()
    if request.hours is not None:
        raise UserError("only for --decide", "--hours", "add --decide, or leave it out")
    check_names(grids)
    check_folder(request.out)  # before hours of computing
    store, retry = Store(request.store), request.reasons
    if narrowed(retry):
        from suite.launch import sorting

        sorting.catch_up([run_.run_id for grid in grids for run_ in grid.runs], store, _to_stderr)
    plan_ = make_plan(grids, store, request.until, retry)
    started = time.monotonic()
    # The launch waits for runs that another process computes, so that the report is complete. Not with `--reason`: if
    # such a process died, its run would be taken over, although it did not end for this reason.
    held = [] if narrowed(retry) else held_by_others(plan_)
    cancelled = sum(plan_.states[run_.run_id].name == State.CANCELLED for run_ in plan_.runs)
    if cancelled and not retry:
        print(f"{cancelled} cancelled runs are skipped; `retry --reason cancelled` starts them")
    if narrowed(retry) and not plan_.todo:
        print(f"no run ended for this reason: {', '.join(retry)}; nothing was started")
    start = checked(plan_, held, request) if plan_.todo or held else None
    requests.record(grids, {run_.run_id for run_ in plan_.todo}, store)
    ended = start() if start is not None else Launched({})
    if start is not None and request.executor is Executor.SLURM and not request.wait:
        return report_starts(plan_, ended, store)
    code = finish(grids, store, request, ended.states)
    if plan_.todo:
        _compare_with_expected(grids, store, (time.monotonic() - started) / 60)
    return max(code, 1 if ended.waiting else 0)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def held_by_others(plan_: Plan) -> list[GridRun]:
    """The runs that another process is computing."""
    return [run_ for run_ in plan_.runs if plan_.states[run_.run_id].name == State.CLAIMED]


def checked(plan_: Plan, held: list[GridRun], request: RunRequest) -> Callable[[], Launched]:
    """Check data and options. Returns a function that starts the runs. Raises UserError; starts and writes nothing.

    So a command that fails these checks leaves no record of a start.
    """
    check_data(plan_.todo, plan_.grids, request.download)
    if request.executor is not Executor.DEBUG:  # there, the user's code raises its errors in this process
        check_own(plan_.grids, plan_.todo, trial=True)
    if request.executor is Executor.SLURM:
        from suite.cli import slurm

        return partial(slurm.run, plan_, held, request, slurm.checked(plan_, request, bool(request.reasons)))
    from suite.launch import faults

    configs = [run_.config for run_ in plan_.todo]
    measures = any(config.kind == "bench" for config in configs)
    if measures:
        _check_measurements(configs, request)
    where = places_of(plan_, request)
    if measures:
        _check_device(configs, bool(where.gpus))
    check_graphs(configs, request.mode, bool(where.gpus), request.recompute)
    options = Options(request.store, request.compute, jobs=1 if measures else where.jobs, gpus=where.gpus,
                      cpu_jobs=where.cpu_jobs, on_cpu=where.on_cpu, only=where.only, retry=bool(request.reasons),
                      canary=request.canary and not measures, max_failures=request.max_failures or MOST_FAILURES,
                      stack=1 if measures else request.stack, over_at=request.over_at)
    faults.check(plan_.todo, options)
    ready = tuple(run_ for run_ in plan_.todo if run_.run_id not in where.waiting)
    return partial(_launch, replace(plan_, todo=ready), held, options, request.executor, where)


def places_of(plan_: Plan, request: ComputeRequest) -> Places:
    """Where to compute the runs, and how many at a time. Raises UserError: see `suite.launch.places.find`."""
    return places.find(plan_.todo, Store(request.store), request.gpus, request.jobs, request.threads)


def _launch(plan_: Plan, held: list[GridRun], options: Options, executor: Executor, where: Places) -> Launched:
    """Compute the runs, with live progress. Raises KeyboardInterrupt after a clean stop."""
    from suite.cli.progress import Progress

    print("\n".join(where.lines), file=sys.stderr)
    if executor is Executor.DEBUG:
        from suite.launch.debug import launch
    else:
        from suite.launch.local import launch
    limit = options.compute.timeout_s
    if warning := late(plan_.todo, plan_.states, plan_.until, plan_.speeds, limit):
        print(f"warning: {warning}", file=sys.stderr)
    with Progress(plan_, slots=where.at_once, timeout_s=limit, store=Store(options.store)) as progress:
        states = launch([*plan_.todo, *held], options, progress)
    return Launched(states, waiting=frozenset(where.waiting))


def _check_measurements(configs: Sequence[RunConfig], request: ComputeRequest) -> None:
    """Raises UserError for options that benchmarks do not support."""
    for option, given, what in (
            ("--jobs", request.jobs and request.jobs > 1, "runs one job at a time"),
            ("--gpus", len(request.gpus or ()) > 1, "runs one job at a time, on one GPU"),
            ("--cuda-graphs", request.mode is Mode.GRAPHS, "measures models as they are"),
            ("--compile", request.mode is Mode.COMPILED, "measures models as they are"),
            ("--recompute", request.recompute, "measures models as they are")):
        if given:
            raise UserError(f"a grid of benchmarks {what}", option, f"leave {option} out")
    if request.gpus is not None:
        _check_device(configs, bool(request.gpus))


def _check_device(configs: Sequence[RunConfig], gpus: bool) -> None:
    """Raises UserError if a benchmark is for another device than the one it would run on."""
    asked = {config.bench.device for config in configs if config.kind == "bench"}
    if asked != {"cuda" if gpus else "cpu"}:
        raise UserError(f"this grid measures {' and '.join(sorted(asked))}", "--gpus" if gpus else "bench.device",
                        "leave --gpus out, or --set bench.device=cuda" if gpus else "choose a GPU: --gpus 0")


def report_starts(plan_: Plan, ended: Launched, store: Store) -> int:
    """After a submission without `--wait`, print which runs failed before a job began. Returns the exit status."""
    # The files of a run that is retried show its earlier failure until its job begins.
    states = {**plan_.states, **ended.states}
    todo = {run_.run_id for run_ in plan_.todo}
    waits = [run_ for run_ in plan_.runs if _waits(states[run_.run_id])
             and (run_.run_id not in todo or not _waits(plan_.states[run_.run_id]))]
    fresh = [run_ for run_ in plan_.todo if plan_.states[run_.run_id].name != State.FAILED
             and states[run_.run_id].start is None]
    plan_ = replace(plan_, states={**plan_.states, **{run_.run_id: states[run_.run_id] for run_ in waits}})
    return max(_report_failures(replace(plan_, runs=(*fresh, *waits)), ended.states, store), 1 if ended.idle else 0)


def _waits(state: RunState) -> bool:
    return state.start is not None and state.start.waits


def finish(grids: Sequence[Grid], store: Store, request: RunRequest, ended: Mapping[str, RunState]) -> int:
    """Write the report, added seeds included, and print which runs failed. Returns 1 if a run failed.

    `ended`: the states returned by the launcher.
    """
    from suite.report.added import with_added

    extended = with_added(grids, store)
    report = _write_report(extended, store, request.out)  # before anything is printed, since printing may fail
    code = _report_failures(make_plan(extended, store, request.until), ended, store)
    print(report)
    return code


def _report_failures(plan_: Plan, ended: Mapping[str, RunState], store: Store) -> int:
    """Print which runs failed. Returns the exit status. `ended`: the states returned by the launcher.

    A run that could not start has no attempt, so only the launcher knows about it.
    """
    failed = [(run_, state) for run_ in plan_.runs
              if (state := _worst(plan_.states[run_.run_id], ended.get(run_.run_id))).name == State.FAILED
              or state.start is not None]
    alike: dict[tuple[str, str], list[GridRun]] = {}
    for run_, state in failed:
        alike.setdefault((state.label, state.start.reason if state.start else state.detail), []).append(run_)
    for (label, detail), runs in list(alike.items())[:SHOWN]:
        more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
        print(f"{label}: {runs[0].name} ({runs[0].run_id}){more}: {detail}")
    reports = dict.fromkeys(fault.excerpt(store.log(run_.run_id)) for run_, _ in failed[:SHOWN])
    for report in list(filter(None, reports))[:3]:
        print(f"\n{report}\n")
    if failed:
        more = f"{len(alike) - SHOWN} more reasons; " if len(alike) > SHOWN else ""
        starts = sum(state.start is not None or state.reason == Reason.START for _, state in failed)
        if starts < len(failed):
            text = f"{more}{len(failed) - starts} of {len(plan_.runs)} runs failed. `logs` shows why, `retry` reruns"
            print(f"{text} them.\n")
        if starts:
            waits = any(state.start is not None and state.start.waits for _, state in failed)
            then = "`retry --reason start` tries runs again that failed twice in the same way" if waits else \
                "`run` tries again or, after two equal failures, `retry --reason start`"
            text = counted(starts, "run could not start, for a reason outside the run",
                           "runs could not start, for reasons outside the runs")
            print(f"{text}: {then}.\n")
    return 1 if failed else 0


def _worst(stored: RunState, ended: RunState | None) -> RunState:
    """The state in the store, or a failure that only the launcher knows."""
    only_there = ended is not None and ended.name == State.FAILED and not stored.is_over and stored.start is None
    return ended if ended is not None and only_there else stored


def _write_report(grids: Sequence[Grid], store: Store, out: Path) -> str:
    """Write the report. Returns the text to print."""
    from suite.report.report import write_report

    return write_report(grids, store, out).text


def _compare_with_expected(grids: Sequence[Grid], store: Store, minutes: float) -> None:
    """Print a note if the launch took more time, or a run more memory, than the grid declares in `expect`."""
    for grid in grids:
        expect = grid.expect
        if expect.minutes and minutes > expect.minutes:
            print(f"note: this took {minutes:.1f} minutes; {grid.path} expects at most {expect.minutes:g}")
        if expect.memory_gb:
            peak = max((_peak_gb(store, run_.run_id) for run_ in grid.runs), default=0.0)
            if peak > expect.memory_gb:
                print(f"note: a run used {peak:.1f} GB of memory; {grid.path} expects at most {expect.memory_gb:g}")


def _peak_gb(store: Store, run_id: str) -> float:
    """The peak memory of the run in GB, over all its attempts."""
    record = store.provenance(run_id)
    attempts = record.attempts if record else []
    return max((attempt.peak_memory_mb or 0.0 for attempt in attempts), default=0.0) * 2**20 / 1e9
