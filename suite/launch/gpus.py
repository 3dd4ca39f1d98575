"""Which GPUs are ours: those that CUDA_VISIBLE_DEVICES leaves, if it is set."""

from __future__ import annotations

import os
from collections.abc import Sequence

from suite.errors import UserError

MASK = "CUDA_VISIBLE_DEVICES"
UUID = ("GPU-", "MIG-")


def own(asked: Sequence[int | str]) -> tuple[int | str, ...]:
    """The GPUs as a run's process must find them in CUDA_VISIBLE_DEVICES. Numbers count within its value here, as in
    torch, since other GPUs belong to other people.

    Raises UserError if one is not there, or is named twice.
    """
    mask = os.environ.get(MASK)
    if mask is None:
        return tuple(asked)
    left = _left(mask)
    found = tuple(_within(one, left, mask) for one in asked)
    if len(set(found)) < len(found):
        raise UserError("a GPU is named twice", f"--gpus {','.join(map(str, asked))}", "name each once")
    return found


def _left(mask: str) -> list[str]:
    """The GPUs that the mask leaves, in order. As for CUDA, it ends at the first entry that names none."""
    left: list[str] = []
    for name in map(str.strip, mask.split(",")):
        if not (name.startswith(UUID) or (name.isascii() and name.isdecimal())):
            break
        left.append(name)
    return left


def _within(one: int | str, left: Sequence[str], mask: str) -> str:
    if isinstance(one, int):
        if one < len(left):
            return left[one]
    else:
        named = [name for name in left if name.startswith(UUID) and (name.startswith(one) or one.startswith(name))]
        if len(named) == 1:
            return named[0]
    there = f"it leaves {len(left)}: --gpus {','.join(map(str, range(len(left))))}" if left else "it leaves none"
    raise UserError(f"{MASK}={mask} leaves no such GPU", f"--gpus {one}", there)
