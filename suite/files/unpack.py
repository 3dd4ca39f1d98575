"""Files from an archive (.zip, or .tar with any compression): only the requested ones, and none outside a folder.

Archives with absolute names or names with `..` are rejected, as are links or devices among the requested files.
"""

from __future__ import annotations

import glob
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

from suite.errors import UserError
from suite.files import transfer

Progress = Callable[[int], None]  # the number of files extracted so far
BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError)
DAMAGED = "get the archive again: start the same command, if it was downloaded"
Item: TypeAlias = tuple[str, bool, Callable[[], IO[bytes] | None]]  # name, whether it is a plain file, how to open it


class BadArchive(UserError):
    """An archive that is damaged or cannot be trusted. It need not be kept."""


@dataclass(frozen=True)
class Member:
    """A file or folder of an archive, at any depth in it, and its target.

    name: as `tsv_data/train.tsv`. target: its new path. only: the parts of a folder that are needed; empty for all.
    """

    name: str
    target: Path
    only: tuple[str, ...] = ()

    def rest(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """The path within this member of a name with these parts. None if it is outside, or not needed."""
        own = PurePosixPath(self.name).parts
        for start in range(len(parts) - len(own) + 1):
            if parts[start:start + len(own)] == own:
                rest = parts[start + len(own):]
                return rest if not self.only or (rest and rest[0] in self.only) else None
        return None


def extract(archive: Path, members: list[Member], progress: Progress = lambda count: None) -> None:
    """Extract the members to their targets, each completely or not at all. Existing files are replaced.

    Raises UserError if the archive is damaged, lacks a member, has names that lead out of it, or has links or devices
    in place of requested files, and if the disk is full.
    """
    folder = members[0].target.parent
    with transfer.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".unpacking-{glob.escape(archive.name)}-*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        half = Path(tempfile.mkdtemp(prefix=f".unpacking-{archive.name}-", dir=folder))
    try:
        found = _copy(archive, members, half, progress)
        lacking = [member.name for k, member in enumerate(members) if k not in found]
        if lacking:
            raise UserError(f"the archive lacks {', '.join(lacking)}", str(archive),
                            "find the files in it, and put them into SUITE_DATA by hand")
        with transfer.explained(folder):
            for k, member in enumerate(members):
                member.target.parent.mkdir(parents=True, exist_ok=True)
                if member.target.is_dir():
                    member.target.rename(half / f"old-{k}")
                (half / str(k)).rename(member.target)
    finally:
        shutil.rmtree(half, ignore_errors=True)
        with suppress(OSError):
            folder.rmdir()  # if it is empty


def _copy(archive: Path, members: list[Member], half: Path, progress: Progress) -> set[int]:
    """Copy each member to `half/<number>`. Returns the numbers of the members that were found."""
    found: set[int] = set()
    count = 0
    with _explained(archive):
        for name, plain, opened in items(archive):
            parts = checked(name, archive)
            for k, member in enumerate(members):
                rest = member.rest(parts)
                if rest is None:
                    continue
                if not plain:
                    raise BadArchive(f"the archive holds a link or a device in place of {name}", str(archive),
                                    "its authors did not make this: do not use it")
                place = half.joinpath(str(k), *rest)
                found.add(k)
                if (stream := opened()) is None:
                    continue  # a folder
                with stream, transfer.explained(half):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with place.open("wb") as target:
                        shutil.copyfileobj(stream, target, 1 << 20)
                count += 1
                progress(count)
    return found


def checked(name: str, archive: Path) -> tuple[str, ...]:
    """The parts of a name in an archive. Raises UserError if it leads out of the target folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or ":" in (path.parts or ("",))[0]:
        raise BadArchive(f"the archive holds a name that leads out of it: {name}", str(archive),
                        "its authors did not make this: do not use it")
    return path.parts


def items(archive: Path) -> Iterator[Item]:
    """Every file, folder and link of an archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
                yield info.filename, plain, _opener(packed, info)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            yield member.name, _is_plain(member), _tar_opener(tar, member)
            tar.members.clear()  # type: ignore[attr-defined]  # keeps a million names from filling the memory


def _is_plain(member: tarfile.TarInfo) -> bool:
    """Whether it is a file or folder, by its type and by Python's filter."""
    if not (member.isreg() or member.isdir()):
        return False
    try:
        tarfile.data_filter(member, "/nowhere")
    except tarfile.FilterError:
        return False
    return True


def _opener(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: None if info.is_dir() else packed.open(info)


def _tar_opener(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: tar.extractfile(member) if member.isreg() else None


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    try:
        yield
    except tarfile.ReadError as error:
        listed = "file could not be opened" in str(error)  # followed by a line for each format that was tried
        why = ", or is neither a .tar.gz nor a .zip" if listed else f": {error}"
        raise BadArchive(f"the archive is truncated or damaged{why}", str(archive), DAMAGED) from error
    except BROKEN as error:
        raise BadArchive(f"the archive is truncated or damaged: {error}", str(archive), DAMAGED) from error
    except OSError as error:
        if error.errno is not None:  # from the file system, not from a decompressor
            with transfer.explained(archive):
                raise
        raise BadArchive(f"the archive is truncated or damaged: {error}", str(archive), DAMAGED) from error


def contents(source: Path, suffix: str) -> Mapping[str, bytes]:
    """All files with this suffix in a folder or archive, by name, read into memory.

    Raises UserError if the source is neither, is damaged, or cannot be read.
    """
    if source.is_dir():
        with transfer.explained(source):
            return {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob(f"*{suffix}")
                    if path.is_file()}
    read: dict[str, bytes] = {}
    with _explained(source):
        for name, plain, opened in items(source):
            checked(name, source)
            if plain and name.endswith(suffix) and (stream := opened()) is not None:
                with stream:
                    read[name] = stream.read()
    return read
