"""Ambiguities of the paper, by field: the values, tasks and tables for which another reading is possible.

They are listed in `grids/AMBIGUITIES.md`. A run with one of these values in such a place is still compared with the
published numbers, with a remark. Any other change makes it another experiment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.config.run_config import RunConfig

ABLATIONS = frozenset({"2-left", "2-right", "3a", "3b", "7", "8"})
LARGE = frozenset({"4", "9", "10", "11"})
LONG_RANGE = frozenset({"5", "6"})
BIDMC = frozenset({"bidmc_hr", "bidmc_rr", "bidmc_spo2"})
SPEECH = frozenset({"sc_ar", "sc_bi"})


@dataclass(frozen=True)
class Reading:
    """Values that a field may take, and in which tables and tasks. An empty set means all."""

    values: tuple[Any, ...] = ()
    tables: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()

    def holds(self, value: Any, config: RunConfig, table: str) -> bool:
        """Whether a run in that table may have the value."""
        return ((not self.values or value in self.values) and (not self.tables or table in self.tables)
                and (not self.tasks or config.task in self.tasks))


class _Rate(Reading):
    """AMB-22: the step size has the learning rate of A and B, or that of all other parameters."""

    def holds(self, value: Any, config: RunConfig, table: str) -> bool:
        return value in (config.optim.ssm_lr, config.optim.lr) and super().holds(value, config, table)


OPEN: dict[str, tuple[Reading, ...]] = {
    "ssm.c_variance": (Reading((1.0, 2.0)),),
    "ssm.lin_law": (Reading(),), "ssm.random_law": (Reading(),), "ssm.real_law": (Reading(),),
    "ssm.b_init": (Reading(),),
    "ssm.softmax_factor": (Reading(),), "ssm.softmax_eps": (Reading((0.0, 1e-7)),),
    "ssm.relu_floor": (Reading((0.0, 1e-4)),),
    "ssm.train_dt": (Reading(tables=frozenset({"3b"})),),
    "ssm.discretization": (Reading(tables=frozenset({"2-left", "7"})),),
    "ssm.re_constraint": (Reading(("exp", "none"), tables=frozenset({"2-left", "7"})),),
    "ssm.state_size": (Reading((64, 256), ABLATIONS, BIDMC),),
    "ssm.copies": (Reading((1, 2), ABLATIONS), Reading((1, 2), LARGE, BIDMC)),
    "ssm.dt_max": (Reading((0.01, 0.1), LONG_RANGE, frozenset({"pathx"})),),
    "model.decoder": (Reading((), LARGE, frozenset({"sc_ar"})), Reading((), LONG_RANGE, frozenset({"pathfinder"}))),
    "model.dropout": (Reading((0.0, 0.1), ABLATIONS, frozenset({"scifar"})),),
    "optim.lr": (Reading((0.004, 0.01), ABLATIONS, frozenset({"scifar"})),),
    "optim.weight_decay": (Reading((0.0, 0.01), ABLATIONS, SPEECH),),
    "optim.decay_all": (Reading(),),
    "optim.dt_lr": (_Rate(tables=LONG_RANGE),),
    "data.normalization": (Reading(("paper", "plain"), tasks=SPEECH),),
}


def is_open(field: str, config: RunConfig, table: str) -> bool:
    """Whether the run's value of this field is a possible reading of the paper, in that table."""
    return any(reading.holds(config.get(field), config, table) for reading in OPEN.get(field, ()))
