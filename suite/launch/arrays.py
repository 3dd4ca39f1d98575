"""The batches of a submission: first the canaries, then one array for all runs that wait for the same canary.

A canary that fails therefore stops only runs of its own kind. Runs for the CPU are in separate arrays, without GPUs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.files import study
from suite.launch import batch, canary, slurm_cli
from suite.launch.batch import Batch
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.store.records import Origin
from suite.store.state import RunState

if TYPE_CHECKING:
    from suite.grid.model import GridRun

BEAT_S = 5.0  # each heartbeat takes two operations on the cluster's file system, for each active run


@dataclass(frozen=True)
class Source:
    """What the jobs of a submission share: the prefix of their names, the copy of the code, and its origin."""

    start: str
    code: Path
    origin: Origin
    grids: str = ""
    training: tuple[str, dict[str, Any]] | None = None


@dataclass(frozen=True)
class Wanted:
    """The runs of a submission, their states, and the canaries (`probes`).

    covered: the kinds with a canary in the queue, each with the label of its job.
    """

    runs: Sequence[GridRun]
    states: Mapping[str, RunState]
    probes: Sequence[GridRun] = ()
    covered: Mapping[canary.Kind, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Maker:
    """Makes batches for a cluster. Writes nothing."""

    options: Options
    cluster: Cluster
    source: Source

    def all(self, wanted: Wanted, largest: int) -> list[Batch]:
        """Returns the batches in the order of submission, in arrays of at most `largest` jobs.

        Dependencies are batch names, since the job ids are not known before sbatch (`numbered` fills them in).
        """
        canaries = [self._batch(part, batch.Kind.CANARY, tuple((run.run_id,) for run in runs), wanted.states, on_gpu)
                    for part, (on_gpu, runs) in enumerate(self._by_device(wanted.probes).items())]
        job_of = {run_id: f"{one.name}_{place}" for one in canaries for place, (run_id,) in enumerate(one.tasks)}
        proofs = {**wanted.covered, **{canary.kind(run.config): job_of[run.run_id] for run in wanted.probes}}
        groups: dict[tuple[str, bool], list[str]] = {}
        for run in wanted.runs:
            key = proofs.get(canary.kind(run.config), ""), self._on_gpu(run)
            groups.setdefault(key, []).append(run.run_id)
        made: list[Batch] = []
        for (proof, on_gpu), ids in groups.items():
            for tasks in batch.split(batch.in_tasks(ids, self.cluster.runs_per_job), largest):
                after = [f"afterok:{proof}"] if proof else []
                after += [f"afterany:{made[-1].name}"] if made and self.cluster.max_parallel else []  # in turn
                one = self._batch(max(1, len(canaries)) + len(made), batch.Kind.MAIN, tasks, wanted.states, on_gpu)
                made.append(one.model_copy(update={"after": tuple(after), "at_once": self.cluster.side_by_side}))
        return canaries + made

    def _batch(self, part: int, kind: batch.Kind, tasks: tuple[tuple[str, ...], ...], states: Mapping[str, RunState],
               on_gpu: bool) -> Batch:
        order = self.options.order(0 if on_gpu else None, self.source.origin)
        probe = {"probe": True} if kind == batch.Kind.CANARY else {}
        return Batch(name=batch.new_name(part, self.source.start), kind=kind, tasks=tasks,
                     order=order.model_copy(update={"beat_s": BEAT_S, **probe}), code=str(self.source.code),
                     minutes=self.cluster.time, signal_s=self.cluster.signal, retry=self.options.retry,
                     attempts={run_id: states[run_id].attempts for task in tasks for run_id in task},
                     training=self.source.training, asked=self.cluster.asked,
                     cluster=slurm_cli.chosen_cluster(self.cluster.extra.get("clusters")),
                     studies=tuple(map(str, study.folders())), when=time.time(), grids=self.source.grids,
                     max_failures=self.options.max_failures)

    def _on_gpu(self, run: GridRun) -> bool:
        return self.cluster.gpus > 0 and run.run_id not in self.options.on_cpu

    def _by_device(self, runs: Sequence[GridRun]) -> dict[bool, list[GridRun]]:
        found: dict[bool, list[GridRun]] = {}
        for run in runs:
            found.setdefault(self._on_gpu(run), []).append(run)
        return found


def numbered(one: Batch, numbers: Mapping[str, str]) -> Batch:
    """Returns the batch with job ids in its dependencies. Raises KeyError if a batch has no job id."""
    def number(match: re.Match[str]) -> str:
        return f"{match[1]}:{numbers[match[2]]}{match[3] or ''}"

    names = rf"(\w+):({batch.NAME.pattern}|s4d-\S+-PLANNED-\d+)(_\d+)?"
    return one.model_copy(update={"after": tuple(re.sub(names, number, text) for text in one.after)})
