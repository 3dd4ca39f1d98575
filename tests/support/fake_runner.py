"""Who listens to a launch in the tests, what it launches, and what is looked at afterwards."""

from __future__ import annotations

from collections.abc import Callable

from fake_config import config

from suite.grid.model import GridRun
from suite.store import attempt
from suite.store.records import Beat
from suite.store.state import RunState
from suite.store.store import Store


class Ear:
    """Keeps what it hears; `on_start` is called with each run that starts, `on_progress` with each beat."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.states: dict[str, RunState] = {}
        self.messages: list[str] = []
        self.on_start: Callable[[GridRun], None] = lambda run: None
        self.on_progress: Callable[[GridRun, Beat], None] = lambda run, beat: None

    def started(self, run: GridRun) -> None:
        self.heard.append(("started", run.run_id))
        self.on_start(run)

    def progress(self, run: GridRun, beat: Beat) -> None:
        self.heard.append(("progress", run.run_id))
        self.on_progress(run, beat)

    def ended(self, run: GridRun, state: RunState) -> None:
        assert run.run_id not in self.states
        self.heard.append(("ended", run.run_id))
        self.states[run.run_id] = state

    def message(self, text: str) -> None:
        self.messages.append(text)


def grid(count: int, epochs: int = 3, first: int = 0) -> list[GridRun]:
    made = (config(seed, epochs) for seed in range(first, first + count))
    return [GridRun(c, c.run_id, {"seed": str(c.seed)}) for c in made]


def owner(store: Store, run_id: str) -> int:
    tenure = attempt.latest(store.folder(run_id))
    return tenure.claim.pid if tenure and tenure.claim and tenure.status == "alive" else 0


def all_well(store: Store, runs: list[GridRun]) -> None:
    """Every run is done, with the bits of an undisturbed training, and nothing is left over."""
    from fake_training import scores, undisturbed  # here: a runner has no torch

    for run in runs:
        assert store.state(run.run_id).name == "done"
        assert scores(store.rows(run.run_id)) == undisturbed(run.config)
        assert not list(store.folder(run.run_id).glob("result.json.*"))
