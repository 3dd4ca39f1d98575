"""A training on GPUs that are not there: importing this makes torch see one, and the log tells which it was given."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import fake_training
import torch

from suite.train.trajectory import Training

torch.cuda.is_available = lambda: True
torch.cuda.get_device_name = lambda *_: "a fake GPU"
torch.cuda.max_memory_allocated = lambda *_: 0


class Trainer(fake_training.FakeTrainer):
    """On a GPU, it says; the one named `lost` breaks down after its 15th step."""

    def __init__(self, *args: Any, lost: str = "", **how: Any) -> None:
        super().__init__(*args, **how)
        self.lost = lost == os.environ["CUDA_VISIBLE_DEVICES"]
        print(f"GPU {os.environ['CUDA_VISIBLE_DEVICES']}", flush=True)

    def advance(self) -> dict[str, Any] | None:
        if self.lost and self.step == 15:
            raise RuntimeError("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be "
                               "asynchronously reported at some other API call")
        return super().advance()


def training(lost: str = "") -> Training:
    return Training(load=fake_training.load, make=partial(Trainer, lost=lost), backend=fake_training.backend)
