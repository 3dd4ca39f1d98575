"""The commands run and plan with a cluster: from the command line to `suite.launch.slurm`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from suite.cli.compute_requests import ClusterRequest, PlanRequest, RunRequest
from suite.cli.progress import Progress
from suite.errors import UserError
from suite.files.counted import counted
from suite.grid.model import GridRun
from suite.launch import partition
from suite.launch.batch import Kind
from suite.launch.cluster import Cluster, load
from suite.launch.options import MOST_FAILURES, Launched, Options
from suite.launch.queue import Submitted
from suite.launch.slurm import Submission, launch
from suite.plan.estimate import clock, left
from suite.plan.plan import Plan
from suite.store.records import Beat
from suite.store.state import RunState
from suite.store.store import Store
from suite.train.mode import check_graphs


class Printer:
    """A listener that prints messages only."""

    def started(self, run: GridRun) -> None:
        """Nothing: `status` shows it."""

    def progress(self, run: GridRun, beat: Beat) -> None:
        """Nothing: `status` shows it."""

    def ended(self, run: GridRun, state: RunState) -> None:
        """Nothing: `status` shows it."""

    def message(self, text: str) -> None:
        """Print a line to stderr."""
        print(text, file=sys.stderr, flush=True)


def run(plan: Plan, held: Sequence[GridRun], request: RunRequest, asked: Asked) -> Launched:
    """Submit missing runs. With `--wait`, returns when they have ended. Raises UserError, KeyboardInterrupt."""
    cluster, options = asked.cluster, asked.options
    for line in (*asked.lines, *(f"warning: {warning}" for warning in too_long(plan, cluster))):
        print(line, file=sys.stderr)
    runs = [*plan.todo, *held]
    if not request.wait:
        launched = launch(runs, options, Printer(), cluster=cluster, canaries=request.canary, grids=names(plan))
        if launched.idle:
            print("nothing was submitted: this account may not have jobs in the queue; choose another with --account",
                  file=sys.stderr)
        else:
            print("the jobs run on their own; `status --watch` shows their progress, `report` the results so far")
        return launched
    with Progress(plan, slots(plan, cluster), store=Store(request.store)) as progress:
        return launch(runs, options, progress, cluster=cluster, canaries=request.canary, wait=True,
                      grids=names(plan))


def plan(made: Plan, request: PlanRequest, asked: Asked) -> None:
    """Print warnings and the scripts that `run` would pass to sbatch. Starts and writes nothing."""
    cluster, options = asked.cluster, asked.options
    store = Store(request.store)
    submitted = Submitted(store)
    jobs = submitted.jobs(made.states)
    if jobs is None:
        print(f"unknown which of them are already in the queue: {submitted.queue.fault}")
    fresh = [one for one in made.todo if one.run_id not in (jobs or {})]
    if len(fresh) < len(made.todo):
        print(f"{len(made.todo) - len(fresh)} of them are already in the queue")
    if not fresh:
        return
    for line in (*asked.lines, *(f"warning: {warning}" for warning in too_long(made, cluster))):
        print(line)
    submission = Submission(store, options, Printer(), cluster, canaries=request.canary, grids=names(made))
    scripts = submission.scripts(fresh, made.speeds)
    for kind in dict.fromkeys(one.kind for one, _ in scripts):
        alike = [(one, text) for one, text in scripts if one.kind == kind]
        what = "up to the first checkpoint of one run of each kind" if kind == Kind.CANARY else "for all runs"
        more = f", in {len(alike)} arrays (the first is shown)" if len(alike) > 1 else ""
        print(f"\n### sbatch, {what}: {sum(len(one.tasks) for one, _ in alike)} jobs{more}\n{alike[0][1]}", end="")


@dataclass(frozen=True)
class Asked:
    """The settings of the cluster, the options of the launch, and lines for the user."""

    cluster: Cluster
    options: Options
    lines: tuple[str, ...] = ()


def checked(plan: Plan, request: ClusterRequest, retry: bool) -> Asked:
    """The settings from the options and the cluster: file. Raises UserError if they do not fit together or the runs."""
    for option, value in (("--jobs", request.jobs), ("--gpus", request.gpus)):
        if value:
            raise UserError("only for --executor local", option,
                            "use --max-parallel, --side-by-side and --gpus-per-job for a cluster")
    if any(one.config.kind == "bench" for one in plan.todo):
        raise UserError("a grid of benchmarks measures this machine and cannot be sent to others", "--executor slurm",
                        "start it with the local executor, in an allocation of its own")
    fitted = partition.fit(load(request.cluster, request.changes), plan.todo, Store(request.store), request.threads,
                           isinstance(request, RunRequest))
    check_graphs((one.config for one in plan.todo), request.mode, fitted.cluster.gpus > 0, request.recompute)
    options = Options(request.store, request.compute, retry=retry, on_cpu=fitted.on_cpu,
                      max_failures=request.max_failures or MOST_FAILURES)
    return Asked(fitted.cluster, options, fitted.lines)


def names(plan: Plan) -> str:
    """The names of the grids, for the names of their jobs."""
    return " ".join(dict.fromkeys(grid.name for grid in plan.grids))


def slots(plan: Plan, cluster: Cluster) -> int:
    """The maximum number of runs at a time."""
    jobs = -(-len(plan.todo) // cluster.runs_per_job)
    at_once = min(cluster.runs_per_job, cluster.side_by_side * max(1, cluster.gpus))
    return max(1, min(jobs, cluster.max_parallel or jobs) * at_once)


def too_long(plan: Plan, cluster: Cluster) -> list[str]:
    """Lines about runs, or jobs of several runs, that exceed the time limit of a job, if their speeds are known."""
    limit = 60 * cluster.time - cluster.signal
    seconds = [left(one, plan.states[one.run_id], plan.until, plan.speeds) or 0.0 for one in plan.todo]
    long = [one for one in seconds if one > limit]
    lines = []
    if long:
        lines.append(f"{counted(len(long), 'run needs', 'runs need')} up to {clock(max(long))}, but the time limit is "
                     f"{clock(60 * cluster.time)}: they will be requeued and continue (--time sets the limit)")
    size = cluster.runs_per_job
    at_once = cluster.side_by_side * max(1, cluster.gpus)
    jobs = [sum(seconds[i:i + size]) / min(at_once, size) for i in range(0, len(seconds), size)]
    late = [one for one in jobs if one > limit]
    if late and not long and size > 1:
        lines.append(f"{counted(len(late), 'job needs', 'jobs need')} up to {clock(max(late))}, but the time limit is "
                     f"{clock(60 * cluster.time)}: they will be requeued and continue; fewer --runs-per-job avoid this")
    return lines
