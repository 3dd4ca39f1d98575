"""The GPUs of this machine, as `nvidia-smi` shows them. Nothing here starts CUDA: it would take memory on each GPU, and
cannot be started again in the processes that this one forks.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from suite import machine
from suite.files.outer import OuterError, call

SMI, SMI_S = "nvidia-smi", 60.0
CARDS = ("index", "uuid", "name", "memory.total", "memory.free", "driver_version", "mig.mode.current")
PROCESSES = ("gpu_uuid", "pid", "process_name")
CARD_LINE = re.compile(r"GPU (\d+): .*\(UUID: (GPU-[\w-]+)\)")
PART_LINE = re.compile(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)")
PART_SIZE = re.compile(r"(\d+)gb")
OLDEST = {11: (450, 80), 12: (525, 60), 13: (580, 65)}  # the driver that the first release of each CUDA needs
CUDA = re.compile(r"^cuda\b.*?=\s*['\"](\d+)\.(\d+)", re.MULTILINE)
MIB = 2**20


@dataclass(frozen=True)
class Card:
    """A GPU, or a part of one (MIG). Memory in bytes. `users` are the processes that compute on it.

    index: as nvidia-smi counts, in the order of the bus. fault: why it cannot be used, "" if it can.
    """

    index: int
    uuid: str
    name: str
    total: int = 0
    free: int = 0
    users: tuple[str, ...] = ()
    fault: str = ""

    @property
    def busy(self) -> str:
        """Why `--gpus auto` does not use it: it is broken, or others use it. "" if it is free."""
        if self.fault:
            return self.fault
        if self.users:
            return f"used by {', '.join(self.users[:3])}{', …' if len(self.users) > 3 else ''}"
        if 2 * self.free < self.total:
            return f"{machine.gigabytes(self.free)} of {machine.gigabytes(self.total)} free"
        return ""

    @property
    def words(self) -> str:
        """For messages."""
        return f"GPU {self.index} ({self.name})"


@dataclass(frozen=True)
class Cards:
    """The GPUs and the version of their driver. `error` is the error of nvidia-smi, "" if there was none.

    devices: whether the system has device files of NVIDIA GPUs, whatever nvidia-smi shows.
    """

    all: tuple[Card, ...] = ()
    driver: str = ""
    error: str = ""
    devices: bool = False

    @cached_property
    def mixed(self) -> bool:
        """Whether there are GPUs of several models."""
        return len({card.name for card in self.all}) > 1

    def too_old_for(self, cuda: int) -> str:
        """The driver that this major version of CUDA needs, "" if the driver here is new enough."""
        have = tuple(map(int, re.findall(r"\d+", self.driver)[:2]))
        need = OLDEST.get(cuda, (0, 0))
        return ".".join(map(str, need)) if have and have < need else ""


def look(root: Path = Path("/")) -> Cards:
    """Ask nvidia-smi. `root` is the folder that has `dev`."""
    devices = any((root / "dev").glob("nvidia[0-9]*"))
    try:
        rows = _query("gpu", CARDS)
        users = _users() if rows else []
        cards = [_card(row, users) for row in rows]
        if any(row[6] == "Enabled" for row in rows):
            cards = _with_parts(cards, {row[1] for row in rows if row[6] == "Enabled"})
    except OuterError as error:
        return Cards(error="" if error.missing else str(error), devices=devices)
    return Cards(tuple(cards), rows[0][5] if rows else "", "", devices)


def cuda_of_torch() -> int | None:
    """The major version of CUDA that torch was built with, 0 for a build without it; None if torch is not installed.

    It is read from torch's `version.py`, as importing torch takes seconds.
    """
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    return cuda_in(Path(found.origin).with_name("version.py").read_text(encoding="utf-8"))


def cuda_in(text: str) -> int:
    """The major version of CUDA in the text of torch's `version.py`, 0 if there is none."""
    match = CUDA.search(text)
    return int(match[1]) if match else 0


def _query(what: str, fields: Sequence[str]) -> list[list[str]]:
    """The rows of a query. Raises OuterError, with the message of nvidia-smi, if it fails."""
    done = call([SMI, f"--query-{what}={','.join(fields)}", "--format=csv,noheader,nounits"], timeout_s=SMI_S)
    lines = [line.strip() for line in done.text.splitlines() if line.strip()]
    rows = [[part.strip() for part in line.split(", ")] for line in lines]
    whole = [row for row in rows if len(row) >= len(fields)]
    if not done.ok and not whole:  # one lost GPU must not hide the others
        raise OuterError((lines or [done.complaint])[0])  # it writes errors to stdout
    return whole


def _card(row: Sequence[str], users: Sequence[tuple[str, str]]) -> Card:
    index, uuid, name, total, free, *_ = row
    known = total.isdecimal() and free.isdecimal()
    wrong = next((part.strip("[]") for part in (name, total, free) if "lost" in part.lower() or "ERR" in part), "")
    fault = "" if known else f"nvidia-smi reports {wrong or total.strip('[]')!r}"
    return Card(int(index) if index.isdecimal() else -1, uuid, name, int(total) * MIB if known else 0,
                int(free) * MIB if known else 0, tuple(who for card, who in users if card == uuid), fault)


def _users() -> list[tuple[str, str]]:
    """The GPU and the name of each process that computes on one. Some drivers do not show names.

    Empty if a lost GPU makes the query fail; then the memory in use shows whether a GPU is free.
    """
    try:
        rows = _query("compute-apps", PROCESSES)
    except OuterError:
        return []
    return [(row[0], f"process {row[1]} ({Path(row[2]).name})" if "/" in row[2] or row[2].isidentifier()
             else f"process {row[1]}") for row in rows]


def _with_parts(cards: Sequence[Card], divided: set[str]) -> list[Card]:
    """The cards, with those that are divided (MIG) replaced by their parts: CUDA uses parts only.

    It is not known which part a process uses, so a process makes all parts of its card busy.
    """
    done = call([SMI, "-L"], timeout_s=SMI_S)
    parts: dict[str, list[Card]] = {}
    whole = {card.uuid: card for card in cards}
    of = None
    for line in done.text.splitlines():
        if match := CARD_LINE.match(line):
            of = whole.get(match[2])
        elif (match := PART_LINE.match(line)) and of is not None:
            size = int(found[1]) * 10**9 if (found := PART_SIZE.search(match[1])) else 0
            parts.setdefault(of.uuid, []).append(
                Card(of.index, match[2], f"{of.name} MIG {match[1]}", size, size, of.users, of.fault))
    return [part for card in cards for part in (parts.get(card.uuid, []) if card.uuid in divided else [card])]
