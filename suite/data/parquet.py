"""Parquet files: reading, writing, and a digest of their rows.

The bytes of a Parquet file depend on the program that wrote it. The digest of its rows does not.
"""

from __future__ import annotations

import hashlib
import io
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.data import places
from suite.data.card_file import DATA, File
from suite.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Mapping[str, Any]
IMAGES, TEXTS = ["image", "label"], ["text", "label", "title"]


def rows_digest(path: Path) -> str | None:
    """A sha256 of the rows of a Parquet file of images or texts, in order. None for any other file.

    See `add_row`. A text is followed by its title, which is added in the same way.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    total = hashlib.sha256()
    try:
        file = pq.ParquetFile(path)
        columns = TEXTS if "text" in file.schema_arrow.names else IMAGES
        for batch in file.iter_batches(columns=columns):
            add_rows(total, {name: batch[name].to_pylist() for name in columns})
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return total.hexdigest()


def same_rows(path: Path, file: File) -> bool:
    """Whether a Parquet file has the rows of the card's file, in the same order."""
    return file.rows_sha256 is not None and rows_digest(path) == file.rows_sha256


def columns_digest(columns: Columns) -> str:
    """The digest of columns that are not in a file yet."""
    total = hashlib.sha256()
    add_rows(total, columns)
    return total.hexdigest()


def add_rows(total: Any, columns: Columns) -> None:
    """Add rows of images or of texts to a digest."""
    if "text" in columns:
        for text, label, title in zip(*(columns[name] for name in TEXTS), strict=True):
            add_row(total, text.encode(), label)
            add_row(total, title.encode(), label)
    else:
        for image, label in zip(*(columns[name] for name in IMAGES), strict=True):
            add_row(total, image["bytes"], label)


def add_row(total: Any, content: bytes, label: int) -> None:
    """Add the number of bytes (64 bits, little-endian), the bytes, and the label (64 bits, little-endian)."""
    total.update(len(content).to_bytes(8, "little") + content + label.to_bytes(8, "little"))


def read(path: Path) -> dict[str, Any]:
    """The columns of a Parquet file as lists, with images as stored, and its Hugging Face `features`.

    Raises UserError if there is no such file, or if it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from datasets import Features

    if not path.is_file():
        raise UserError("no such file", str(path), "SUITE_DATA must name the folder of the full Parquet files")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"this Parquet file cannot be read: {error}", str(path)) from error
    return {name: table[name].to_pylist() for name in table.column_names} | \
        {"features": Features.from_arrow_schema(table.schema)}


def content(columns: Columns, features: Any) -> bytes:
    """The columns as a small Parquet file, with the column types that Hugging Face `datasets` reads."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = features.arrow_schema
    table = pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
    # Adjacent samples of a signal are similar: differences take fewer bits than values.
    signals = {f"{field.name}.list.element": "DELTA_BINARY_PACKED" for field in schema if pa.types.is_list(field.type)}
    plain = {field.name: "PLAIN" for field in schema if not pa.types.is_nested(field.type)}
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd", compression_level=19,
                   **({"use_dictionary": False, "column_encoding": signals | plain} if signals else {}))
    return file.getvalue()


def write(table: pa.Table, path: Path, rows_of_a_group: int) -> Path:
    """Write a table to this path atomically. Raises UserError if it cannot be written."""
    import pyarrow.parquet as pq

    with atomically(path) as half:
        pq.write_table(table, half, compression="zstd", row_group_size=rows_of_a_group)
    return path


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """Yields a temporary path of this process, which is then renamed to `path`. Raises UserError if that fails."""
    from suite.files import transfer  # only writing needs it

    half = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.part")
    try:
        with transfer.explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield half
            half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def place(locations: Sequence[str]) -> Path:
    """The path of a built file: the place below SUITE_DATA, but in the download folder."""
    return places.downloads() / locations[0].removeprefix(DATA)
