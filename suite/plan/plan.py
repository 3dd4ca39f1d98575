"""Which runs the grids have, which exist, which would run, and how long these take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from suite.config.run_config import RunConfig
from suite.errors import Problem, UserError
from suite.files.atomic import Content
from suite.grid.model import Grid, GridRun
from suite.plan.decision import Decision, Selection, wanted
from suite.plan.estimate import Estimate, of_shapes, total
from suite.store.state import RunState
from suite.store.store import Store


@dataclass(frozen=True)
class Plan:
    """The runs of one or several grids, without duplicates, their states, and the runs that a start would run, in
    order."""

    grids: tuple[Grid, ...]
    runs: tuple[GridRun, ...]
    states: Mapping[str, RunState]
    until: int | None
    todo: tuple[GridRun, ...]
    estimate: Estimate
    speeds: Mapping[str, float]  # by shape: seconds per epoch

    @property
    def shared(self) -> int:
        """How many runs are saved because several cells share a run."""
        return sum(len(grid.runs) for grid in self.grids) - len(self.runs)

    def counts(self) -> dict[str, int]:
        """The number of runs in each state. Failed runs are counted by reason."""
        return dict(Counter(self.states[run.run_id].label for run in self.runs).most_common())

    def as_json(self) -> Content:
        """The plan for programs: counts, time (`price`), runs with their states, exclusions with their reasons."""
        todo = {run.run_id for run in self.todo}
        return {
            "grids": [{"name": g.name, "path": str(g.path), "profile": g.profile, "runs": len(g.runs)}
                      for g in self.grids],
            "counts": self.counts(), "shared": self.shared, "until": self.until,
            "price": {"slot_seconds": self.estimate.seconds, "known": self.estimate.known,
                      "unknown": self.estimate.unknown},
            "excluded": [{"labels": e.labels, "reason": e.reason} for g in self.grids for e in g.excluded],
            "runs": [self._run(run) | {"to_run": run.run_id in todo} for run in self.runs]}

    def _run(self, run: GridRun) -> dict[str, object]:
        state = self.states[run.run_id]
        return {"id": run.run_id, "labels": run.labels, "seed": run.config.seed, "to_run": False,
                "state": state.name, "reason": state.reason, "detail": state.detail, "epochs": state.epochs,
                "of": run.config.train.epochs, "progress": state.progress.content() if state.progress else None}


def make_plan(grids: Sequence[Grid], store: Store, until: int | None = None, retry: Iterable[str] = ()) -> Plan:
    """Compare the runs of the grids with those in the store. `retry`: the `reasons` of `is_missing`."""
    runs = tuple({run.run_id: run for grid in grids for run in grid.runs}.values())
    states = store.states([run.run_id for run in runs])
    reasons = set(retry)
    selection = Selection(until, retry=bool(reasons))
    place = {seed: i for i, seed in enumerate(dict.fromkeys(seed for grid in grids for seed in grid.seeds))}
    missing = [run for run in runs if is_missing(states[run.run_id], run, selection, reasons)]
    todo = tuple(sorted(missing, key=lambda run: place[run.config.seed]))  # a complete table with one seed comes first
    speeds = of_shapes(todo, runs, states, store)
    return Plan(tuple(grids), runs, states, until, todo, total(todo, states, until, speeds), speeds)


def is_missing(state: RunState, run: GridRun, selection: Selection, reasons: set[str]) -> bool:
    """Whether a start would run it. With `reasons` other than "all", only if it ended for one of them."""
    asked = not narrowed(reasons) or state.ended_for in reasons
    return asked and wanted(state, run.config.train.epochs, selection) == Decision.START


def narrowed(reasons: Collection[str]) -> bool:
    """Whether a retry is limited to runs that ended for these reasons, without runs that have not started yet."""
    return bool(reasons) and "all" not in reasons


@dataclass(frozen=True)
class MissingData:
    """Data that runs need and that are missing: what is missing, how to get it, and the command that prepares it."""

    name: str
    variant: str
    what: str
    fix: str
    command: str


def missing_data(runs: Iterable[GridRun]) -> list[MissingData]:
    """The data sets that are not prepared and whose files are missing. Reads no files and uses no network.

    So `check_data` may find more: a damaged file, or a hub that cannot be reached.
    """
    from suite.data import cards, lacking

    found: dict[tuple[str, str], MissingData] = {}
    for config in _data_of(runs):
        name, variant = config.data.name, config.data.variant
        for file in cards.load(name).variant(variant).files.values():
            try:
                if (name, variant) not in found and (not file.tasks or config.task in file.tasks):
                    file.find()
            except UserError as error:
                if not _is_prepared(config):
                    found[name, variant] = MissingData(name, variant, error.problems[0].what, error.problems[0].fix,
                                                       lacking.command(name, variant))
    return list(found.values())


def _is_prepared(config: RunConfig) -> bool:
    from suite.data import cache
    from suite.data.wanted import wanted as choose

    try:
        want = choose(config.data, config.task)
        return cache.find(want.label, want.key) is not None
    except UserError:  # the source has never been read, or there is no folder for prepared data
        return False


def _data_of(runs: Iterable[GridRun]) -> Iterable[RunConfig]:
    """A configuration for each choice of data that the training runs need."""
    return {(run.config.task, run.config.data.canonical): run.config for run in runs
            if run.config.kind == "train"}.values()


def check_data(runs: Iterable[GridRun], grids: Sequence[Grid] = (), download: bool = False) -> None:
    """Raises UserError, for all data sets at once, if data are not prepared and their source is missing or damaged.

    Downloads small data, and with `download` all data with a public address. Without `download`, if larger data are
    missing, nothing is downloaded, and the error states how to get everything.
    """
    from suite.data import lacking, prepared

    problems: dict[tuple[str, str], Problem] = {}
    configs = list(_data_of(runs))
    sizes = [prepared.to_download(config) for config in configs]
    refused = not download and max(sizes, default=0) > lacking.SMALL
    if refused:
        problems["", ""] = lacking.consent(configs, grids)
    for config, size in zip(configs, sizes, strict=True):
        if refused and size:
            continue
        try:
            prepared.check(config.data, config.task, download)
        except UserError as error:
            problems.setdefault((config.data.name, config.data.variant), error.problems[0])
    if problems:
        raise UserError(problems.values())
