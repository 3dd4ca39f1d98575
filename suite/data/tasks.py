"""The tasks: twelve of the paper, on seven data sets, and three generated ones, with their inputs and metrics.

A user's task is declared in the card of its data set. `suite.data.cards.task` finds both kinds.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Literal

from suite.errors import UserError, nearest


@dataclass(frozen=True)
class Task:
    """`inputs`: values (batch, length, channels), tokens (batch, length), or pairs of token sequences.

    `metric`: accuracy, rmse, or a name for the value of a user's function `evaluate`. `classes` and `better`
    (direction) are None if data and metric determine them.
    """

    name: str
    data: str
    inputs: Literal["values", "tokens", "pairs"]
    metric: str
    classes: int | None = None
    better: Literal["max", "min"] | None = None
    evaluate: str | None = None

    @property
    def direction(self) -> Literal["max", "min"]:
        """Whether a larger (max) or a smaller (min) value of the metric is better."""
        return self.better or ("max" if self.metric == "accuracy" else "min")

    @property
    def has_classes(self) -> bool:
        """Whether targets are classes, not numbers."""
        return self.metric == "accuracy" or self.classes is not None


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
        Task("delay", "delay", "values", "rmse"),
        Task("mqar1", "mqar1", "tokens", "accuracy"),
        Task("selcopy", "selcopy", "tokens", "accuracy"),
    )
}


def check(names: Iterable[str], data: str, where: str, own: Container[str] = ()) -> None:
    """Raises UserError if one of `names`, the tasks of the data set `data`, is not a task that a grid could name.

    `own` are the tasks declared by its card.
    """
    for name in names:
        if name not in TASKS and name not in own:
            raise UserError(f"{name!r} is not a task of the suite", where,
                            f"declare it in the card, tasks: {{{name}: {{inputs: values, metric: accuracy, "
                            f"classes: 2}}}}; or name one whose inputs and metric the data have, and write in a grid "
                            f"task: scifar, data.name: {data}. {nearest(name, TASKS)}")
