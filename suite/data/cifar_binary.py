"""The authors' binary archive of CIFAR-10: six files of 10,000 records, each a label and 3 x 1,024 bytes (channels
first)."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from suite.data.source import Source
from suite.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

FILES = {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]}
SIDE = 32
RECORD = 1 + 3 * SIDE**2
CLASSES = 10


def read_archive(source: Source) -> dict[str, tuple[list[dict[str, Image]], np.ndarray]]:
    """For train and test, the images as `{"image": RGB image}` and the labels (n,) int64, in the authors' order.

    Raises UserError if the archive is missing, is not the card's, or has other content.
    """
    from PIL.Image import fromarray

    path = source.path("archive")
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if stream := tar.extractfile(member):
                    found[PurePosixPath(member.name).name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise UserError(f"{path} is truncated or damaged: {error}", source.place, source.fix_for(path)) from error
    made = {}
    for split, names in FILES.items():
        bad = [name for name in names if not found.get(name) or len(found[name]) % RECORD]
        if bad:
            raise UserError(f"{path} has incomplete records in {bad[0]}", source.place, source.fix_for(path))
        records = np.frombuffer(b"".join(found[name] for name in names), np.uint8).reshape(-1, RECORD)
        if records[:, 0].max() >= CLASSES:
            raise UserError(f"{path} has a label {records[:, 0].max()} in {split}", source.place, source.fix_for(path))
        pixels = records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        made[split] = [{"image": fromarray(np.ascontiguousarray(image))} for image in pixels], \
            records[:, 0].astype(np.int64)
    return made
