"""The tasks of the paper, twelve names on nine data sets: what goes in and what is measured (paper section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from suite.errors import UserError, nearest


@dataclass(frozen=True)
class Task:
    """`inputs`: values (batch, length, channels), tokens (batch, length), or pairs of token sequences."""

    name: str
    data: str
    inputs: Literal["values", "tokens", "pairs"]
    metric: Literal["accuracy", "rmse"]

    @property
    def direction(self) -> Literal["max", "min"]:
        """Whether the better value of the metric is the larger or the smaller one."""
        return "max" if self.metric == "accuracy" else "min"


TASKS = {
    task.name: task
    for task in (
        Task("scifar", "cifar10", "values", "accuracy"),
        Task("sc_ar", "speech_commands", "values", "accuracy"),
        Task("sc_bi", "speech_commands", "values", "accuracy"),
        Task("bidmc_hr", "bidmc", "values", "rmse"),
        Task("bidmc_rr", "bidmc", "values", "rmse"),
        Task("bidmc_spo2", "bidmc", "values", "rmse"),
        Task("listops", "listops", "tokens", "accuracy"),
        Task("text", "imdb", "tokens", "accuracy"),
        Task("retrieval", "aan", "pairs", "accuracy"),
        Task("image", "cifar10", "values", "accuracy"),
        Task("pathfinder", "pathfinder", "values", "accuracy"),
        Task("pathx", "pathfinder", "values", "accuracy"),
    )
}


def check(names: Iterable[str], data: str, where: str) -> None:
    """Raises UserError where the data set `data` is said to serve what is no task: no grid could name it."""
    for name in names:
        if name not in TASKS:
            raise UserError(f"{name!r} is no task, and tasks are fixed", where,
                            f"name one whose inputs and metric the data have; for images or signals and accuracy write "
                            f"scifar here, and in a grid task: scifar, data.name: {data}. {nearest(name, TASKS)}")
