"""The records of an offline file of Weights & Biases: a log in the form of LevelDB's, behind a header of 7 bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

BLOCK, HEADER, FIRST = 32_768, 7, 7  # a block's length, that of a record's header, and that of the file's
FULL, START, MIDDLE, END = 1, 2, 3, 4  # a record that does not fit into a block is cut


def records(path: Path) -> Iterator[bytes]:
    """Each record, whole: a message `wandb_internal_pb2.Record`."""
    content = path.read_bytes()
    assert content[:4] == b":W&B"
    at, whole = FIRST, b""
    while at + HEADER <= len(content):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at:at + HEADER])
        whole += content[at + HEADER:at + HEADER + length]
        at += HEADER + length
        if kind in (FULL, END):
            yield whole
            whole = b""
