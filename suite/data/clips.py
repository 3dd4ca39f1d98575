"""The release of Speech Commands v0.02, as an archive or folder: a folder of WAV files per word, and split lists."""

from __future__ import annotations

import io
import re
import tarfile
import wave
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from suite.data.progress_bar import track
from suite.data.source import Source
from suite.errors import UserError
from suite.files.clutter import files_below, is_clutter

# In the order of the published code, which gives the numbers of the classes.
WORDS = ["bed", "cat", "down", "five", "forward", "go", "house", "left", "marvin", "no", "on", "right", "sheila",
         "tree", "up", "visual", "yes", "backward", "bird", "dog", "eight", "follow", "four", "happy", "learn", "nine",
         "off", "one", "seven", "six", "stop", "three", "two", "wow", "zero"]
LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
CLIP = re.compile(r"[a-z]+/[0-9a-f]{8}_nohash_\d+\.wav")  # names of the clips in the release
BEST = "the archive must be complete: 105,829 clips of 35 words with validation_list.txt and testing_list.txt"


def archive(source: Source, rate: int, factor: int) -> dict[str, np.ndarray]:
    """Samples (n, rate/factor, 1) int16 and labels (n,) of train, val and test, by the official lists.

    Clips that are in neither list are training clips. Clips are sorted by name. Raises UserError if the release is
    damaged or incomplete.
    """
    path = source.path("release")
    rows = places(source, path)
    arrays: dict[str, np.ndarray] = {}
    for split, count in counted(rows).items():
        if count != source.card.counts[split]:
            odd = sorted(name for name in rows if not CLIP.fullmatch(name))
            remark = f"; {odd[0]} is not a name of the release" if odd else ""
            raise UserError(f"{path} has {count:,} clips for {split}, not {source.card.counts[split]:,}{remark}",
                            source.place, BEST)
        arrays |= {f"{split}/x": np.empty((count, rate // factor, 1), np.int16),
                   f"{split}/y": np.empty(count, np.int64)}
    for name, content in track(entries(source, path, rows), f"reading {path.name}", len(rows)):
        if name in rows:
            split, row = rows[name]
            samples = pcm(content, rate, name, source.place)
            arrays[f"{split}/x"][row, :, 0] = second(samples, rate, factor, name, source.place)
            arrays[f"{split}/y"][row] = WORDS.index(name.partition("/")[0])
    return arrays


def places(source: Source, path: Path) -> dict[str, tuple[str, int]]:
    """The split and row of each clip, by its name `word/file.wav`."""
    names, listed = [], {}
    for name, content in track(entries(source, path, LISTS.values()), f"listing {path.name}"):
        if name in LISTS.values():
            listed[name] = decoded(content, name, source).split()
        elif name.endswith(".wav") and name.partition("/")[0] in WORDS:
            names.append(name)
    lacking = [name for name in LISTS.values() if name not in listed]
    if lacking:
        raise UserError(f"{path} lacks {' and '.join(lacking)}", source.place, BEST)
    split_of = {name: split for split, file in LISTS.items() for name in listed[file]}
    unknown = sorted(split_of.keys() - set(names))
    if unknown:
        raise UserError(f"{path} lacks the clip {unknown[0]} of its lists, and {len(unknown) - 1} more", source.place,
                        BEST)
    rows: dict[str, tuple[str, int]] = {}
    ends = dict.fromkeys(("train", *LISTS), 0)
    for name in sorted(names):
        split = split_of.get(name, "train")
        rows[name] = split, ends[split]
        ends[split] += 1
    return rows


def counted(rows: dict[str, tuple[str, int]]) -> dict[str, int]:
    """The number of clips in each split."""
    found = [split for split, _ in rows.values()]
    return {split: found.count(split) for split in ("train", *LISTS)}


def entries(source: Source, path: Path, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Every file: its name relative to the top of the release, and its content if the name is wanted, else b"".

    Raises UserError if the release cannot be read, as after an interrupted download.
    """
    with explained(source, path):
        if path.is_dir():
            for file in files_below(path):
                name = file.relative_to(path).as_posix()
                yield name, file.read_bytes() if name in wanted else b""
            return
        with tarfile.open(path) as tar:
            for member in tar:
                name = str(PurePosixPath(member.name))
                if is_clutter(PurePosixPath(name)):
                    continue
                stream = tar.extractfile(member) if name in wanted else None
                yield name, stream.read() if stream else b""


@contextmanager
def explained(source: Source, path: Path) -> Iterator[None]:
    """Turn the errors of a damaged archive into a UserError."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise UserError(f"{path} is truncated or damaged, as after an interrupted download: {error}", source.place,
                        source.fix_for(path)) from error


def decoded(content: bytes, name: str, source: Source) -> str:
    """The content as text. Raises UserError if it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8: {error.reason} at byte {error.start}", source.place, BEST) from None


def pcm(content: bytes, rate: int, name: str, where: str) -> np.ndarray:
    """The samples (n,) int16 of a WAV file. Raises UserError if it is not 16-bit mono at this rate."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            form = file.getnchannels(), 8 * file.getsampwidth(), file.getframerate()
            count, frames = file.getnframes(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise UserError(f"the clip {name} cannot be read as a WAV file: {str(error) or 'it ends early'}", where,
                        BEST) from None
    if form != (1, 16, rate):
        raise UserError(f"the clip {name} has {form[0]} channels of {form[1]} bits at {form[2]} samples per second, "
                        f"not 1 of 16 bits at {rate}", where, BEST)
    if len(frames) != 2 * count:
        raise UserError(f"the clip {name} ends after {len(frames) // 2} of {count} samples", where, BEST)
    return np.frombuffer(frames, "<i2")


def second(samples: np.ndarray, rate: int, factor: int, name: str, where: str) -> np.ndarray:
    """One second (rate/factor,) int16: zero-padded at the end and, if factor > 1, low-pass filtered and decimated."""
    if samples.ndim != 1 or len(samples) > rate:
        raise UserError(f"{name} has {samples.size} samples, more than the {rate} of a second", where)
    padded = np.zeros(rate, np.int16)
    padded[:len(samples)] = samples
    return padded if factor == 1 else decimated_clip(padded, factor)


def decimated_clip(samples: np.ndarray, factor: int) -> np.ndarray:
    """Every factor-th of the low-pass filtered samples (n,), int16."""
    from scipy.signal import resample_poly

    # The filter overshoots where the recording was clipped. These peaks are clipped again.
    return np.clip(np.rint(resample_poly(samples.astype(float), 1, factor)), -32768, 32767).astype(np.int16)
