"""The verbs that work on whole grids: run (and retry), plan, report."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from suite.cli.arguments import check_executor
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.grid.model import Grid, GridRun
from suite.plan.plan import Plan, check_data, make_plan, narrowed
from suite.plan.price import late
from suite.store import requests
from suite.store.store import Store
from suite.train.mode import Mode, check_graphs

SHOWN = 8  # lines of a kind that plan and status print before they say how many more there are


def run(grids: Sequence[Grid], args: argparse.Namespace) -> int:
    """Runs what is missing, then writes the report. Returns 1 where a wanted run failed."""
    check_executor(args)
    retry = () if not hasattr(args, "reason") else tuple(args.reason or ("all",))
    store = Store(args.store)
    plan_ = make_plan(grids, store, args.until, retry)
    started = time.monotonic()
    # A run that another runner holds is waited for: the report at the end is then whole, whoever made it. Not where
    # only what ended for a reason is asked for: one whose owner dies would be taken over, and it did not end so.
    held = [run_ for run_ in plan_.runs if plan_.states[run_.run_id].name == "claimed" and not narrowed(retry)]
    if narrowed(retry) and not plan_.todo:
        print(f"no run ended for this reason: {', '.join(retry)}; nothing is started")
    if plan_.todo or held:
        check_data(plan_.todo)
    requests.record(grids, {run_.run_id for run_ in plan_.todo}, store)
    if plan_.todo or held:
        if args.executor == "slurm":
            from suite.cli import slurm

            slurm.run(plan_, held, args, bool(retry))
            if not args.wait:
                return 0
        else:
            _launch(plan_, held, args, bool(retry))
    code = _tell_failures(make_plan(grids, store, args.until))
    _write_report(grids, store, args.out)
    if plan_.todo:
        _compare_with_expected(grids, store, (time.monotonic() - started) / 60)
    return code


def _launch(plan_: Plan, held: list[GridRun], args: argparse.Namespace, retry: bool) -> None:
    """Runs what is to be run, with live progress. Raises KeyboardInterrupt after a clean stop."""
    from suite.cli.progress import Progress
    from suite.launch.options import Options

    if args.executor == "debug":
        from suite.launch.debug import launch
    else:
        from suite.launch.local import launch
    jobs, configs = slots(args), [run_.config for run_ in plan_.todo]
    if any(config.kind == "bench" for config in configs):
        _check_measurements(configs, args)
        jobs = 1
    check_graphs(configs, args.compile, bool(args.gpus), args.recompute)
    options = Options(store=args.store, jobs=jobs, threads=args.threads, gpus=args.gpus, until=args.until,
                      timeout_s=args.timeout * 60 if args.timeout else None, checkpoint_s=args.checkpoint * 60,
                      compile=args.compile, recompute=args.recompute, retry=retry)
    if warning := late(plan_.todo, plan_.states, plan_.until, plan_.prices, options.timeout_s):
        print(f"warning: {warning}", file=sys.stderr)
    with Progress(plan_, slots=options.jobs * max(1, len(args.gpus)), timeout_s=options.timeout_s) as progress:
        launch([*plan_.todo, *held], options, progress)


def _check_measurements(configs: Sequence[RunConfig], args: argparse.Namespace) -> None:
    """Raises UserError for options that do not fit a grid that measures this machine."""
    for option, given, what in (
            ("--jobs", args.jobs and args.jobs > 1, "runs one job at a time"),
            ("--gpus", len(args.gpus) > 1, "runs one job at a time, on one GPU"),
            ("--cuda-graphs" if args.compile is Mode.GRAPHS else "--compile", args.compile,
             "measures models as they are"),
            ("--recompute", args.recompute, "measures models as they are")):
        if given:
            raise UserError(f"a grid that measures this machine {what}", option, f"leave {option} out")
    asked = {config.bench.device for config in configs if config.kind == "bench"}
    if asked != {"cuda" if args.gpus else "cpu"}:
        raise UserError(f"this grid measures {' and '.join(sorted(asked))}", "--gpus" if args.gpus else "bench.device",
                        "leave --gpus out, or --set bench.device=cuda" if args.gpus else "name a GPU: --gpus 0")


def slots(args: argparse.Namespace) -> int:
    """Runs at a time, on each GPU where there are any."""
    if args.jobs:
        return int(args.jobs)
    return 1 if args.gpus else max(1, len(os.sched_getaffinity(0)) // args.threads)


def _tell_failures(plan_: Plan) -> int:
    failed = [(run_, plan_.states[run_.run_id]) for run_ in plan_.runs if plan_.states[run_.run_id].name == "failed"]
    for run_, state in failed[:SHOWN]:
        print(f"{state.label}: {run_.name} ({run_.run_id}): {state.detail}")
    if failed:
        more = f"{len(failed) - SHOWN} more; " if len(failed) > SHOWN else ""
        print(f"{more}{len(failed)} of {len(plan_.runs)} runs failed. `logs` shows why, `retry` runs them again.\n")
    return 1 if failed else 0


def _write_report(grids: Sequence[Grid], store: Store, out: Path) -> None:
    from suite.report.report import write_report

    print(write_report(grids, store, out).text)


def _compare_with_expected(grids: Sequence[Grid], store: Store, minutes: float) -> None:
    """Says where a launch took longer, or a run more memory, than the grid's author expects."""
    for grid in grids:
        expect = grid.expect
        if expect.minutes and minutes > expect.minutes:
            print(f"note: this took {minutes:.1f} minutes; {grid.path} expects at most {expect.minutes:g}")
        if expect.memory_gb:
            peak = max((_peak_gb(store, run_.run_id) for run_ in grid.runs), default=0.0)
            if peak > expect.memory_gb:
                print(f"note: a run took {peak:.1f} GB of memory; {grid.path} expects at most {expect.memory_gb:g}")


def _peak_gb(store: Store, run_id: str) -> float:
    """The most memory that an attempt at the run has recorded."""
    attempts = (store.provenance(run_id) or {}).get("attempts", [])
    return max((attempt.get("peak_memory_mb", 0.0) for attempt in attempts), default=0.0) * 2**20 / 1e9
