"""Files that are never seen half-written: they are written aside, then put in place by rename or exclusive link.

A file written aside is called `.<owner>-<name>.tmp`; the owner is the number and token of an attempt. A new owner of a
run folder first removes such files of earlier owners, so that any rename they are about to do fails.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from suite.errors import UserError

Content: TypeAlias = dict[str, Any]  # content of a JSON file that has not been validated as a record
ASIDE = re.compile(r"\.(\d+)-[0-9a-f]+-.*\.tmp")
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}
NO_LINKS = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class Corrupt(Exception):
    """The content of a file does not match its checksum, or cannot be read. The message says which."""


def canonical(value: Any) -> str:
    """JSON in canonical form: sorted keys, no spaces. Numbers that are not finite are written as Python reads them."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_of(path: Path) -> str:
    """The SHA-256 digest of a file. It is read in pieces, so it may be larger than memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal(content: Mapping[str, Any]) -> bytes:
    """JSON whose first key, sha256, is the digest of the canonical JSON of the rest (at least one key)."""
    body = canonical(content).encode()
    return b'{"sha256":"%s",%s\n' % (hashlib.sha256(body).hexdigest().encode(), body[1:])


def unseal(data: bytes, name: str) -> Content:
    """The content of `seal`'s output, without the checksum. Raises Corrupt if the data do not match it."""
    try:
        content = json.loads(data)
        if not isinstance(content, dict) or not isinstance(digest := content.pop("sha256", None), str):
            raise Corrupt(f"{name} has no checksum")
        head = len(b'{"sha256":"') + len(digest) + len(b'",')
        as_written = hashlib.sha256(b"{" + data[head:].rstrip(b"\n")).hexdigest()
        if digest != as_written and digest != hashlib.sha256(canonical(content).encode()).hexdigest():
            raise Corrupt(f"{name} does not match its checksum")
    except (ValueError, RecursionError):
        raise Corrupt(f"{name} is truncated or not JSON") from None
    return content


def is_as_sealed(data: bytes) -> bool:
    """Whether these bytes are exactly as `seal` wrote them. Nothing is parsed for this."""
    head = len(b'{"sha256":"') + 64
    digest = hashlib.sha256(b"{" + data[head + 2:].rstrip(b"\n")).hexdigest()
    return data[:head + 2] == b'{"sha256":"%s",' % digest.encode()


def read_bytes(path: Path) -> bytes:
    """A file's content. Does not block on a named pipe, but returns nothing. Raises OSError."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        return file.read()


def read_sealed(path: Path) -> Content:
    """The content of a sealed file. Raises FileNotFoundError, Corrupt."""
    return unseal(read_bytes(path), path.name)


def nobody() -> str:
    """A random owner name, for a file that does not belong to an attempt."""
    return f"0000-{secrets.token_hex(8)}"


def replace(path: Path, data: bytes, owner: str, guard: Callable[[], None] | None = None, durable: bool = True) -> None:
    """Write a file atomically, in place of an existing one. `guard` is called just before, and can stop it by raising.

    `durable`: the file survives a power failure. Raises OSError.
    """
    aside = _aside(path, data, owner, durable)
    try:
        if guard:
            guard()
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def create(path: Path, data: bytes, owner: str, guard: Callable[[], None] | None = None, durable: bool = True) -> bool:
    """As `replace`, but only if the file does not exist. Returns whether this call made it: one caller gets True."""
    aside = _aside(path, data, owner, durable)
    try:
        if guard:
            guard()
        try:
            os.link(aside, path)
        except FileExistsError:
            # A network file system may have lost the answer to a link that it did make, and asked again.
            return aside.stat().st_nlink == 2 and aside.samefile(path)
        if durable:
            _sync_folder(path.parent)
        return True
    finally:
        aside.unlink(missing_ok=True)


def remove_aside(folder: Path, before: int) -> None:
    """Remove the files that owners with a number below `before` wrote aside and have not put in place."""
    with os.scandir(folder) as entries:
        left = [e.name for e in entries if (match := ASIDE.fullmatch(e.name)) and int(match[1]) < before]
    for name in left:
        (folder / name).unlink(missing_ok=True)


def set_aside(path: Path, why: str = "corrupt") -> Path:
    """Rename a file to `<name>.<why>-<n>`, with the first free n. Returns its new path."""
    number = 1
    while os.path.lexists(free := path.with_name(f"{path.name}.{why}-{number}")):
        number += 1
    return path.rename(free)


def explain(error: OSError) -> UserError | None:
    """A UserError for a full disk, a read-only place or a file system without hard links; None for other errors."""
    name = error.filename2 if error.filename2 is not None else error.filename
    where = os.fsdecode(name) if isinstance(name, (str, bytes)) else ""
    if error.errno in FULL:
        return UserError("the disk is full", where, "free some space and start again with `retry`; nothing is lost")
    if error.errno in NO_LINKS or (error.errno == errno.EPERM and error.filename2 is not None):  # EPERM of a link: FAT
        return UserError("this file system has no hard links", where, "put the store on one that has, with --store")
    if error.errno in REFUSED:
        return UserError("cannot be written: read-only, or not yours", where,
                         "change its permissions, or name another store with --store")
    return None


def _aside(path: Path, data: bytes, owner: str, durable: bool) -> Path:
    aside = path.with_name(f".{owner}-{path.name}.tmp")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except OSError as error:
        aside.unlink(missing_ok=True)
        error.filename = error.filename or str(path)  # the error of a failed write does not name the file
        raise
    return aside


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # from file systems that need no sync of a folder
            raise
    finally:
        os.close(handle)
