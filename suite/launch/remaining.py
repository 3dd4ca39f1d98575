"""The remaining work of a job when SLURM starts it again."""

from __future__ import annotations

from collections.abc import Sequence

from suite.launch.batch import Batch, Kind
from suite.plan.decision import Decision, Selection, wanted
from suite.store.folder import checkpoints, read_config
from suite.store.state import RunState, State
from suite.store.store import Store


def nothing(store: Store, one: Batch, run_ids: Sequence[str]) -> bool:
    """Returns whether nothing remains: the runs have ended, or those of a canary have a checkpoint."""
    selection = Selection(one.order.compute.until, one.retry)
    for run_id, state in store.states(run_ids).items():
        folder = store.folder(run_id)
        proven = one.kind == Kind.CANARY and state.name == State.PARTIAL and checkpoints(folder)
        over = wanted(state, read_config(folder).train.epochs, selection) == Decision.LEAVE
        if not (over or proven or tried(one, run_id, state)):
            return False
    return True


def tried(one: Batch, run_id: str, state: RunState) -> bool:
    """Returns whether a run has failed in the jobs of a batch, or was cancelled since its submission."""
    ended = state.failed_for_good or state.name == State.CANCELLED
    return ended and state.attempts > one.attempts.get(run_id, 0)
