"""What a run reports: a row of numbers for each epoch, and the state that it needs to continue."""

from __future__ import annotations

from typing import Any, TypeAlias

Row: TypeAlias = dict[str, float | int]  # epoch, step, train/loss, val/accuracy, …, time/train, time/eval in seconds
Memory: TypeAlias = dict[str, Any]  # tensors, numbers, text, and lists and dicts of them
