"""The GPUs of this machine, from `nvidia-smi`. Does not initialize CUDA: that would take memory on each GPU, and CUDA
cannot be initialized again in forked processes.
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
OLDEST = {11: (450, 80), 12: (525, 60), 13: (580, 65)}  # driver required by the first release of each CUDA version
CUDA = re.compile(r"^cuda\b.*?=\s*['\"](\d+)\.(\d+)", re.MULTILINE)
MIB = 2**20


@dataclass(frozen=True)
class Card:
    """A GPU, or a MIG instance. Memory in bytes. `users`: the processes that use it.

    index: the index of nvidia-smi, in bus order. fault: why the GPU cannot be used, or "".
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
        """Why `--gpus auto` does not use it: it is broken or in use. "" if it is free."""
        if self.fault:
            return self.fault
        if self.users:
            return f"used by {', '.join(self.users[:3])}{', …' if len(self.users) > 3 else ''}"
        if 2 * self.free < self.total:
            return f"{machine.gigabytes(self.free)} of {machine.gigabytes(self.total)} free"
        return ""

    @property
    def words(self) -> str:
        """Its name in messages."""
        return f"GPU {self.index} ({self.name})"


@dataclass(frozen=True)
class Cards:
    """The GPUs and the version of their driver. `error`: the error of nvidia-smi, or "".

    devices: whether there are device files of NVIDIA GPUs, even if nvidia-smi does not show them.
    """

    all: tuple[Card, ...] = ()
    driver: str = ""
    error: str = ""
    devices: bool = False

    @cached_property
    def mixed(self) -> bool:
        """Whether the GPUs are of different models."""
        return len({card.name for card in self.all}) > 1

    def too_old_for(self, cuda: int) -> str:
        """Returns the driver that this major version of CUDA needs, or "" if the installed one is new enough."""
        have = tuple(map(int, re.findall(r"\d+", self.driver)[:2]))
        need = OLDEST.get(cuda, (0, 0))
        return ".".join(map(str, need)) if have and have < need else ""


def look(root: Path = Path("/")) -> Cards:
    """Query nvidia-smi, and return the GPUs. `root`: the folder that contains `dev`."""
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
    """Returns the major version of CUDA that torch was built with: 0 for a CPU build, None if torch is not installed.

    It is read from torch's `version.py`, since importing torch takes seconds.
    """
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    return cuda_in(Path(found.origin).with_name("version.py").read_text(encoding="utf-8"))


def cuda_in(text: str) -> int:
    """Returns the major version of CUDA in the text of torch's `version.py`, or 0 for a CPU build."""
    match = CUDA.search(text)
    return int(match[1]) if match else 0


def _query(what: str, fields: Sequence[str]) -> list[list[str]]:
    """Returns the rows of a query. Raises OuterError, with the message of nvidia-smi, if it fails."""
    done = call([SMI, f"--query-{what}={','.join(fields)}", "--format=csv,noheader,nounits"], timeout_s=SMI_S)
    lines = [line.strip() for line in done.text.splitlines() if line.strip()]
    rows = [[part.strip() for part in line.split(", ")] for line in lines]
    complete = [row for row in rows if len(row) >= len(fields)]
    if not done.ok and not complete:  # one lost GPU must not hide the others
        raise OuterError((lines or [done.complaint])[0])  # nvidia-smi prints errors to stdout
    return complete


def _card(row: Sequence[str], users: Sequence[tuple[str, str]]) -> Card:
    index, uuid, name, total, free, *_ = row
    known = total.isdecimal() and free.isdecimal()
    wrong = next((part.strip("[]") for part in (name, total, free) if "lost" in part.lower() or "ERR" in part), "")
    fault = "" if known else f"nvidia-smi reports {wrong or total.strip('[]')!r}"
    return Card(int(index) if index.isdecimal() else -1, uuid, name, int(total) * MIB if known else 0,
                int(free) * MIB if known else 0, tuple(who for card, who in users if card == uuid), fault)


def _users() -> list[tuple[str, str]]:
    """Returns the GPU and the name of each process that uses one. Some drivers do not show names.

    Empty if a lost GPU makes the query fail. Then the used memory shows whether a GPU is free.
    """
    try:
        rows = _query("compute-apps", PROCESSES)
    except OuterError:
        return []
    return [(row[0], f"process {row[1]} ({Path(row[2]).name})" if "/" in row[2] or row[2].isidentifier()
             else f"process {row[1]}") for row in rows]


def _with_parts(cards: Sequence[Card], divided: set[str]) -> list[Card]:
    """Returns the cards, with each divided card replaced by its MIG instances, since CUDA can only use these.

    It is unknown which instance a process uses, so a process makes all instances of its card busy.
    """
    done = call([SMI, "-L"], timeout_s=SMI_S)
    parts: dict[str, list[Card]] = {}
    by_uuid = {card.uuid: card for card in cards}
    current = None
    for line in done.text.splitlines():
        if match := CARD_LINE.match(line):
            current = by_uuid.get(match[2])
        elif (match := PART_LINE.match(line)) and current is not None:
            size = int(found[1]) * 10**9 if (found := PART_SIZE.search(match[1])) else 0
            parts.setdefault(current.uuid, []).append(
                Card(current.index, match[2], f"{current.name} MIG {match[1]}", size, size, current.users,
                     current.fault))
    return [part for card in cards for part in (parts.get(card.uuid, []) if card.uuid in divided else [card])]
