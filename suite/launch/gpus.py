"""Selects the GPUs of a launch: those in CUDA_VISIBLE_DEVICES, if it is set, that no other process uses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from suite import machine
from suite.errors import MachineFault, UserError
from suite.files.counted import counted
from suite.launch import nvidia
from suite.launch.nvidia import Card, Cards
from suite.launch.options import Gpu

MASK, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
UUID = ("GPU-", "MIG-")
HIDES = {"", "-1", "none", "void", "nodevfiles"}  # values of the variable that hide every GPU
INSTEAD = "select GPUs with --gpus, or use the CPU with --gpus none"


@dataclass(frozen=True)
class Chosen:
    """The GPUs to use, as values for CUDA_VISIBLE_DEVICES, and what nvidia-smi shows for each.

    why: the reason if there are no GPUs to use, for messages.
    """

    gpus: tuple[Gpu, ...] = ()
    cards: Mapping[Gpu, Card] = field(default_factory=dict)
    why: str = ""


def free() -> Chosen:
    """Returns the visible GPUs that no other process uses and that have at least half of their memory free.

    Raises MachineFault if there are GPUs but none can be used: runs never move to the CPU silently.
    """
    found, mask = nvidia.look(), os.environ.get(MASK)
    if mask is not None and not _left(mask):
        if mask.strip().lower() not in HIDES:
            raise MachineFault(f"{mask!r} does not name a GPU", MASK,
                               "write numbers or UUIDs, e.g. 0,1; or -1 for the CPU")
        return Chosen(why=f"{MASK} is {mask!r}, which hides every GPU")
    if not found.all:
        if found.devices:
            raise MachineFault(f"there are GPUs, but nvidia-smi does not show them: {found.error or 'not installed'}",
                               "--gpus auto", INSTEAD)
        return Chosen(why=f"nvidia-smi reports {found.error!r}" if found.error else "no GPU on this machine")
    known = _visible(found, mask)
    _check_torch(found)
    ours = {gpu: card for gpu, card in known.items() if not card.busy}
    if not ours:
        users = "; ".join(f"{card.words}: {card.busy}" for card in known.values())
        raise MachineFault(f"no GPU is free: {users}", "--gpus auto", f"wait for one, or {INSTEAD}")
    return Chosen(tuple(ours), ours)


def named(asked: Sequence[Gpu]) -> Chosen:
    """Returns the GPUs of `--gpus 0,1`.

    Raises UserError if one is missing or given twice, MachineFault if one cannot be used.
    """
    gpus, found = own(asked), nvidia.look()
    if not found.all and not found.devices:
        raise MachineFault("no GPU on this machine" + (f": nvidia-smi reports {found.error!r}" if found.error else ""),
                           f"--gpus {','.join(map(str, asked))}", "write --gpus none for the CPU")
    cards = {gpu: card for gpu in gpus if (card := _card(gpu, found)) is not None}
    for gpu in gpus:
        if found.all and gpu not in cards:
            raise MachineFault("there is no such GPU", f"--gpus {gpu}", _there(found))
        if gpu in cards and cards[gpu].fault:
            raise MachineFault(f"{cards[gpu].words} cannot be used: {cards[gpu].fault}", f"--gpus {gpu}",
                               "reset it or restart the machine, or name another GPU")
    _check_torch(found)
    return Chosen(gpus, cards)


def idle() -> list[str]:
    """Returns a line for each visible GPU that is idle, for `plan` and `doctor`."""
    found, mask = nvidia.look(), os.environ.get(MASK)
    try:
        known = _visible(found, mask).values() if found.all else ()
    except UserError:
        return []
    return [f"{card.words} is idle, with {machine.gigabytes(card.free)} of {machine.gigabytes(card.total)} free"
            for card in known if not card.busy]


def own(asked: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Returns the GPUs as values for CUDA_VISIBLE_DEVICES. If the variable is set, numbers are indices into it, as in
    torch.

    Raises UserError if a GPU is not in it, or is given twice.
    """
    mask = os.environ.get(MASK)
    if mask is None:
        return tuple(asked)
    left = _left(mask)
    found = tuple(_within(one, left, mask) for one in asked)
    if len(set(found)) < len(found):
        raise UserError("a GPU is given twice", f"--gpus {','.join(map(str, asked))}", "give each GPU once")
    return found


def _visible(found: Cards, mask: str | None) -> dict[Gpu, Card]:
    """Returns the visible GPUs by their names in the mask, or by UUID. Raises MachineFault if one does not exist."""
    if mask is None:
        return {card.uuid: card for card in found.all}
    left = _left(mask)
    if found.mixed and os.environ.get(ORDER) != "PCI_BUS_ID" and any(map(str.isdecimal, left)):
        raise MachineFault(f"it is unclear which GPUs {MASK}={mask} means: this machine has several models, and CUDA "
                           "counts the fastest first", "--gpus auto", f"export {ORDER}=PCI_BUS_ID, or use UUIDs")
    known: dict[Gpu, Card] = {}
    for name in left:
        if (card := _card(name, found)) is None:
            raise MachineFault(f"{MASK}={mask} names {name}, but there is no such GPU", MASK, _there(found))
        known[name] = card
    return known


def _card(gpu: Gpu, found: Cards) -> Card | None:
    """Returns the card with this number or UUID prefix, or None if there is no such card, or several."""
    if str(gpu).isdecimal():
        matching = [card for card in found.all if card.index == int(gpu)]
        return matching[0] if matching else None
    matching = [card for card in found.all if card.uuid.startswith(str(gpu))]
    return matching[0] if len(matching) == 1 else None


def _there(found: Cards) -> str:
    return "available: " + ", ".join(f"{card.index} ({card.name}, {card.uuid})" for card in found.all)


def _check_torch(found: Cards) -> None:
    """Raises MachineFault if torch cannot use the GPUs."""
    cuda = nvidia.cuda_of_torch()
    if cuda == 0:
        raise MachineFault("this torch is built without CUDA and cannot use the GPUs", "torch",
                           "install a CUDA build of torch, as https://pytorch.org shows, or write --gpus none")
    if cuda and (need := found.too_old_for(cuda)):
        raise MachineFault(f"the GPU driver is {found.driver}, but torch with CUDA {cuda} needs {need} or later",
                           "torch", "update the driver, install torch for an older CUDA, or write --gpus none")


def _left(mask: str) -> list[str]:
    """Returns the GPUs in the mask, in order. As in CUDA, the list ends at the first entry that is not a GPU."""
    left: list[str] = []
    for name in map(str.strip, mask.split(",")):
        if not (name.startswith(UUID) or (name.isascii() and name.isdecimal())):
            break
        left.append(name)
    return left


def _within(one: Gpu, left: Sequence[str], mask: str) -> str:
    if isinstance(one, int):
        if one < len(left):
            return left[one]
    else:
        named = [name for name in left if name.startswith(UUID) and (name.startswith(one) or one.startswith(name))]
        if len(named) == 1:
            return named[0]
    there = "it contains no GPU"
    if left:
        there = f"it contains {counted(len(left), 'GPU')}: --gpus {','.join(map(str, range(len(left))))}"
    raise UserError(f"{MASK}={mask} contains no such GPU", f"--gpus {one}", there)
