"""Pathfinder and Path-X: are two markers on one path? Images as sequences of pixels, row by row.

Paper, section 5.6. Images are generated (`snakes`, `drawing`), or read from the released folders. To view images, or to
use them in other programs, `python -m suite.data.pathfinder SIZE COUNT FOLDER` writes them as PNG in the format of the
release.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from suite import machine
from suite.data import cache, cards, splits, workers
from suite.data.drawing import render
from suite.data.prepared_types import Facts, Prepared
from suite.data.progress_bar import track
from suite.data.snakes import GEOMETRIES, Geometry, draw
from suite.data.source import Source
from suite.errors import UserError
from suite.files.clutter import files_in

VIEWS = {"pathfinder": "32", "pathx": "128"}
DIFFICULTY = "curv_contour_length_14"
COMMAND = "python -m suite.data.pathfinder"
PART = 1000  # images per file of a preparation
SHARES = (0.8, 0.1)  # shares of training and validation images


def prepare(source: Source, view: str) -> Prepared:
    """Images (n, size², 1) uint8, scaled to [0, 1]. The label is 1 if the markers are on one path.

    Generated: options `count`, `size` (0: the task's) and `seed`; the splits are consecutive. Released: the splits are
    chosen by PyTorch's permutation with seed 42. Raises UserError if files are missing, damaged or in another format.
    """
    if source.card.files:
        size = int(view)
        images, labels = released(source, source.find(f"pathfinder{size}") / DIFFICULTY, size)
        order = splits.permutation(len(labels))
        images, labels = images[order], labels[order]
    else:
        size = source.options["size"] or int(view)
        images, labels = generated(GEOMETRIES[size], source.options["seed"], source.options["count"])
    arrays: dict[str, np.ndarray] = {"offset": np.zeros((1, 1), np.float32),
                                     "scale": np.full((1, 1), 1 / 255, np.float32)}
    for split, part in divide(len(labels)).items():
        arrays |= {f"{split}/x": images[part].reshape(-1, size**2, 1), f"{split}/y": labels[part].astype(np.int64)}
    return Prepared(Facts(length=size**2, channels=1, classes=2), arrays)


def divide(count: int) -> dict[str, slice]:
    """The slice of each split among `count` images: 80 %, 10 %, 10 %. Raises UserError if one is empty."""
    val = int(SHARES[1] * count)
    if val == 0:
        raise UserError(f"{count} images are too few for three splits", "data.count", "give at least 10")
    train = count - 2 * val
    return {"train": slice(0, train), "val": slice(train, train + val), "test": slice(train + val, count)}


def generated(geometry: Geometry, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, size, size) uint8 and labels (count,) uint8. Continues where an earlier call stopped.

    Until all images are drawn, they are kept in a folder of the cache, in files of PART images. Raises UserError if
    that folder cannot be written, or if a process that draws images is killed.
    """
    folder = cache.parts()
    parts = range(-(-count // PART))
    images = np.empty((count, geometry.size, geometry.size), np.uint8)
    labels = np.empty(count, np.uint8)
    with closing(finished(geometry, seed, count, folder)) as numbers:
        for number in track(numbers, "drawing images", len(parts)):
            part, path = images_of(number, count), part_path(folder, number)
            rows = read_part(path, len(part), geometry.size)
            if rows is None:
                raise UserError(f"{path} cannot be read back", fix="set SUITE_CACHE to another disk")
            images[part.start:part.stop] = rows[:, 1:].reshape(-1, geometry.size, geometry.size)
            labels[part.start:part.stop] = rows[:, 0]
    return images, labels


def images_of(number: int, count: int) -> range:
    """The images of a part, if there are `count` images in all."""
    return range(number * PART, min((number + 1) * PART, count))


def finished(geometry: Geometry, seed: int, count: int, folder: Path) -> Generator[int, None, None]:
    """Yield the number of each part as soon as its file is complete. Draws the missing parts on all usable CPUs.

    Raises UserError if a part cannot be written, or if a process that draws is killed.
    """
    parts = {number: images_of(number, count) for number in range(-(-count // PART))}
    missing = [number for number, part in parts.items()
               if read_part(part_path(folder, number), len(part), geometry.size) is None]
    yield from parts.keys() - missing
    work = [(geometry, seed, parts[number], part_path(folder, number), number) for number in missing]
    count = min(machine.usable_cpus(), len(missing))
    yield from workers.calls(make_part, work, count, "that draws images") if count > 1 else \
        (make_part(*arguments) for arguments in work)


def make_part(geometry: Geometry, seed: int, images: range, path: Path, number: int) -> int:
    """Draw these images and write them as one array (images, 1 + size²) uint8, labels first. Returns `number`.

    Raises UserError if the file cannot be written.
    """
    snakes = draw(geometry, seed, np.array(images))
    rows = np.concatenate([snakes.labels[:, None].astype(np.uint8), render(snakes).reshape(len(images), -1)], axis=1)
    half = path.with_suffix(f".{os.getpid()}")
    with cache.writable(half):
        with half.open("wb") as stream:
            np.save(stream, rows, allow_pickle=False)
            cache.flush(stream)
        half.replace(path)
    return number


def part_path(folder: Path, number: int) -> Path:
    """The file of a part."""
    return folder / f"images-{number:05d}.npy"


def read_part(path: Path, count: int, size: int) -> np.ndarray | None:
    """The rows of a part. None if it is missing or incomplete."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return rows if rows.shape == (count, 1 + size**2) and rows.dtype == np.uint8 else None


def released(source: Source, folder: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, size, size) uint8 and labels (n,) of a released folder, in the order of its metadata."""
    listed = [row for path in metadata_files(source, folder) for row in metadata(source, path)]
    images = np.empty((len(listed), size, size), np.uint8)
    for image, (name, _) in zip(images, track(listed, f"reading {folder.parent.name}"), strict=True):
        image[:] = picture(source, folder / name, size)
    return images, np.array([label for _, label in listed], np.uint8)


def metadata_files(source: Source, folder: Path) -> list[Path]:
    """The files that list the images, sorted by number. Raises UserError if there are none."""
    paths = files_in(folder / "metadata", "*.npy")
    if not paths:
        raise UserError(f"{folder} has no metadata/*.npy", source.place, source.ways())
    other = [path for path in paths if not path.stem.isdecimal()]
    if other:
        raise UserError(f"{other[0]}: the name of a metadata file must be a number", source.place,
                        "remove files that are not part of the release")
    return sorted(paths, key=lambda path: int(path.stem))


def metadata(source: Source, path: Path) -> list[tuple[str, int]]:
    """Image files, relative to the folder of the difficulty, and labels. In the release, metadata are text files.

    Columns are separated by blanks. Columns 0 and 1 are folder and file of the image, column 3 is the label.
    """
    try:
        content = path.read_bytes()
        if content.startswith(b"\x93NUMPY"):
            rows = [[*map(_text, row)] for row in np.atleast_2d(np.load(io.BytesIO(content), allow_pickle=False))]
        else:
            rows = [line.split() for line in source.lines(path) if line.strip()]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", source.place, "check its permissions") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is neither text nor an array of text: {error}", source.place, source.ways()) from None
    for number, row in enumerate(rows, 1):
        if len(row) < 4 or row[3] not in ("0", "1") or ".." in Path(row[0], row[1]).parts \
                or Path(row[0], row[1]).is_absolute():
            raise UserError(f"{path}, row {number} is {' '.join(row)[:80]!r}, not the folder and file of an image, a "
                            "number, and a label of 0 or 1", source.place, "get the file again")
    return [(f"{row[0]}/{row[1]}", int(row[3])) for row in rows]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def picture(source: Source, path: Path, size: int) -> np.ndarray:
    """The gray values (size, size) uint8 of a PNG. Raises UserError if it is damaged or has another size."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path} cannot be read: {error}", source.place, "get the release again") from None
    if pixels.shape != (size, size):
        raise UserError(f"{path} has {pixels.shape[1]}x{pixels.shape[0]} pixels, not {size}x{size}", source.place,
                        "get the release again")
    return pixels


def main(args: Sequence[str]) -> None:
    """Write the first COUNT generated images of SIZE pixels a side into FOLDER. Raises UserError."""
    if len(args) != 3 or not args[1].isdecimal() or args[0] not in map(str, GEOMETRIES):
        raise UserError(f"{' '.join(args)!r} is not a size, a count and a folder", COMMAND,
                        f"for example `{COMMAND} 32 100 pictures`; sizes: {', '.join(map(str, GEOMETRIES))}")
    seed = cards.load("pathfinder").variant("generated").options["seed"].default
    snakes = draw(GEOMETRIES[int(args[0])], int(seed), np.arange(int(args[1])))
    export(render(snakes), snakes.labels, Path(args[2]))


def export(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Write images (n, size, size) uint8 as PNG, with their metadata, in the format of the release."""
    from PIL import Image

    images_folder, metadata_folder = folder / DIFFICULTY / "imgs" / "0", folder / DIFFICULTY / "metadata"
    with cache.writable(images_folder):
        images_folder.mkdir(parents=True)
        metadata_folder.mkdir()
        for k, image in enumerate(images):
            Image.fromarray(image).save(images_folder / f"sample_{k}.png")
        rows = [f"imgs/0 sample_{k}.png {k} {label}\n" for k, label in enumerate(labels)]
        (metadata_folder / "0.npy").write_text("".join(rows))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
