"""Several training runs of one shape, whose steps are computed together.

Each member is a separate `Trainer`: batches, schedule, dropout, moments of the optimiser, rows and state are the same
as if it trained alone. Its results do not depend on those of the others, but their last bits depend on the number of
members and on its place among them. So a stack keeps its shape: members that are finished or not trained are still
computed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from suite.models.stacked import Stacked
from suite.train import optim
from suite.train.mode import RECORDED, Mode
from suite.train.replay import Replay
from suite.train.trainer import Trainer, allow_tf32

if TYPE_CHECKING:
    from suite.data.prepared import Batch


class Stack:
    """Trainers in a fixed order. Raises ValueError if they cannot be computed as one.

    `mode`: how steps are computed, recorded or not, as for a single run. Once in a stack, a member's state must not be
    restored.
    """

    def __init__(self, members: Sequence[Trainer], mode: Mode = Mode.EAGER) -> None:
        self.members, self.mode = list(members), mode
        self.model = Stacked([member.model for member in members])
        self.device = members[0].device
        self.replay: Replay | None = None  # of the steps of `_trained`, if they are CUDA graphs
        self._generators = [torch.Generator(self.device) for _ in members]
        self._batches: list[Batch] = [member.next_batch() for member in members]
        self._trained: list[bool] = []  # the members that the optimiser was made for
        self._optimizer: torch.optim.AdamW

    def step(self, trained: Sequence[bool]) -> None:
        """Do a step of the members for which `trained` is true: at least one, and each of them `due`.

        Raises UserError if `mode` is GRAPHS and the step cannot be recorded.
        """
        began = time.perf_counter()
        if list(trained) != self._trained:
            self._choose(trained)
        due = self._due()
        for place in due:
            self._batches[place] = self.members[place].begin_step()
        self._seed()
        for group in self._optimizer.param_groups:
            group["lr"] = group["rates"]["lr"]
        (self._work if self.replay is None else self.replay.step)(self._joined_batch())
        share = (time.perf_counter() - began) / len(due)
        for place in due:
            self.members[place].count_step(share)

    def _choose(self, trained: Sequence[bool]) -> None:
        """From now on train these members."""
        self._trained = list(trained)
        self._optimizer = self._joined()
        self.replay = None
        if self.mode in RECORDED:
            self.replay = Replay(self._work, self._optimizer, self.device, self.mode, list, self._seed,
                                 self._generators)
        for member in self.members:
            member.replay = self.replay  # each record takes from it how steps were computed

    def _due(self) -> list[int]:
        return [place for place, trained in enumerate(self._trained) if trained]

    def _seed(self) -> None:
        for place in self._due():
            self._generators[place].manual_seed(self.members[place].dropout_seed)

    def _joined_batch(self) -> Batch:
        """The members' batches as one: x (B, L, K, channels), y (B, K)."""
        x = torch.stack([batch.x for batch in self._batches], dim=2)
        return replace(self._batches[0], x=x, y=torch.stack([batch.y for batch in self._batches], dim=1))

    def _work(self, batch: Batch) -> None:
        losses = self._losses(batch)
        losses.sum().backward()
        self._optimizer.step()
        for member in self.members:
            member.model.zero_grad(set_to_none=True)
        losses = losses.detach()
        for place in self._due():
            self.members[place].add_loss(losses[place])

    def _losses(self, batch: Batch) -> Tensor:
        """The loss of each member on its batch, (K,)."""
        first = self.members[0]
        allow_tf32(self.device, first.config.train.precision == "tf32")
        output = self.model(batch.x, self._generators)
        if first.task.has_classes:
            each = F.cross_entropy(output.flatten(0, 1), batch.y.flatten(), reduction="none").view(batch.y.shape)
        else:
            each = F.mse_loss(output.squeeze(-1), batch.y, reduction="none")
        return each.mean(dim=0)

    def _joined(self) -> torch.optim.AdamW:
        """An optimiser over all trained members, sharing their moments. Groups with the same rates are joined."""
        groups: dict[tuple[object, ...], dict[str, object]] = {}
        members = [self.members[place] for place in self._due()]
        for member in members:
            when = (member.config.optim.canonical, member.step)
            for group in member.optimizer.param_groups:
                key = (*when, group["name"])
                if key in groups:
                    groups[key]["params"] = [*groups[key]["params"], *group["params"]]  # type: ignore[misc]
                else:
                    groups[key] = {"params": list(group["params"]), "weight_decay": group["weight_decay"],
                                   "lr": group["lr"], "rates": group}
        joined = optim.over(list(groups.values()))
        for member in members:
            for group in member.optimizer.param_groups:
                for parameter in group["params"]:
                    joined.state[parameter] = member.optimizer.state[parameter]  # created here if missing
        return joined
