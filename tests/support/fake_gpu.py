"""A training on GPUs that are not there: importing this makes torch see one, and the log tells which it was given."""

from __future__ import annotations

import os
from typing import Any

import fake_training
import torch

from suite.train.trajectory import Training

torch.cuda.is_available = lambda: True
torch.cuda.get_device_name = lambda *_: "a fake GPU"
torch.cuda.max_memory_allocated = lambda *_: 0


class Trainer(fake_training.FakeTrainer):
    """On a GPU, it says."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        print(f"GPU {os.environ['CUDA_VISIBLE_DEVICES']}", flush=True)


def training() -> Training:
    return Training(load=fake_training.load, make=Trainer, backend=fake_training.backend)
