"""Downloads of data sets from their public addresses.

Files are put into `suite.data.places.downloads()`, with the layout of SUITE_DATA, which is searched first. Beside each
file is a record `<name>.download.json` of address, bytes, sha256 and time. Only the needed members of an archive are
kept. If several processes need the same file, one downloads it and the others wait.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from suite.data import hub, originals, places, transfer_bar
from suite.data.card_file import Download
from suite.data.lacking import absent_of, command, missing
from suite.data.source import Source
from suite.errors import UserError
from suite.files import atomic, transfer, unpack

RECORD = ".download.json"
NODE = "SLURM_JOB_ID"  # set in a cluster job, whose node often has no network
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}
Say = Callable[[str], None]


def on_node() -> bool:
    """Whether this process is in a cluster job, where nothing is downloaded."""
    return bool(os.environ.get(NODE))


def fetch(sources: Sequence[Source], say: Say = print, failed: Callable[[UserError], None] | None = None) -> None:
    """Download missing files that have a public address, and report it by `say`.

    Parts left by an interrupted call are not fetched again. The library `datasets` downloads from the hub. If `failed`
    is given, it is called with the error of a failed download, and the other downloads continue.

    Raises UserError in a cluster job, and if a download fails.
    """
    groups: dict[str, list[tuple[Source, str]]] = {}
    for source in sources:
        with _errors_to(failed):
            for path in originals.draw(source):
                say(f"drew {path}: {source.name} {source.variant}")
        for name, address in missing(source).items():
            groups.setdefault(address.url, []).append((source, name))
    from_hub = [source for source in sources if source.card.hub and absent_of(source)]
    if (groups or from_hub) and on_node():
        with _errors_to(failed):
            check_node(sources[0])
        return
    for files in groups.values():
        with _errors_to(failed):
            _fetch(files, say)
    for source in from_hub:
        with _errors_to(failed):
            _fetch_from_hub(source, say)


def _fetch_from_hub(source: Source, say: Say) -> None:
    """Download the splits of a source with the library `datasets`."""
    assert source.card.hub  # noqa: S101  # ensured by the caller
    say(f"downloading {source.card.download_mb:,.0f} MB for {source.name} {source.variant} from the Hugging Face hub: "
        f"{source.card.hub.repo}")
    started = time.monotonic()
    for split in source.splits:
        source.rows(split, {})
    say(f"  in {time.monotonic() - started:.0f} s, revision {source.card.hub.revision[:12]}, in "
        f"{hub.folder(source.card.hub)}")


@contextmanager
def _errors_to(failed: Callable[[UserError], None] | None) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        if failed is None:
            raise
        failed(error)


def check_node(source: Source) -> None:
    """Raises UserError in a cluster job."""
    if on_node():
        raise UserError(f"nothing is downloaded in a cluster job ({NODE} is set)", source.place,
                        f"on a machine with a network: {command(source.name, source.variant)}")


def _fetch(files: list[tuple[Source, str]], say: Say) -> None:
    """Download one file, or one archive with its needed members."""
    first, name = files[0]
    address = first.card.address(name)
    assert address is not None  # noqa: S101  # ensured by the caller
    path = _place(first, name, address)
    with _locked(path, say) as alone:
        files = [(source, name) for source, name in files if name in missing(source)]
        if not files:
            return  # another process has downloaded it
        proved = address is first.card.archive
        remote = transfer.Remote(address.url, address.sha256, address.bytes, _room(files), proved)
        say(f"downloading {address.size / 1e6:,.0f} MB for {_names(files)} from {remote.shown}")
        private = "" if alone else f".{os.uname().nodename}-{os.getpid()}"
        if not alone and (proved or address.member):  # each process has its own archive, which it unpacks and removes
            path = path.with_name(f"{private}-{path.name}")
        started = time.monotonic()
        digest = path_digest(path) if path.exists() and not address.sha256 else ""
        if not digest:
            with transfer_bar.shown(path.name) as progress:
                digest = transfer.get(remote, path, progress, private)
        size = path.stat().st_size
        for place in _unpacked(path, files, address):
            _write_record(place, {"url": remote.shown, "digest": digest, "bytes": size,
                                  "time": time.strftime("%Y-%m-%d %H:%M:%S %z")})
        say(f"  {size / 1e6:,.1f} MB in {time.monotonic() - started:.0f} s, sha256 {digest}, in {places.downloads()}")


def path_digest(path: Path) -> str:
    """The sha256 of an archive that was downloaded but not yet unpacked."""
    with transfer.explained(path):
        return atomic.sha256_of(path)


def _place(source: Source, name: str, address: Download) -> Path:
    """The path of the downloaded file or archive."""
    target = source.card.files[name].target
    if target is not None and address.member is None:
        return target
    end = address.url.rsplit("/", 1)[-1]
    return places.downloads() / (end if "." in end else f"{source.name}-{end[:12]}.tar.gz")


def _room(files: list[tuple[Source, str]]) -> int:
    """Bytes that the members of an archive take on disk, in addition to the archive."""
    addresses = [source.card.address(name) for source, name in files]
    return int(sum(address.unpacked_mb for address in addresses if address) * 1e6)


def _names(files: list[tuple[Source, str]]) -> str:
    """The variants that need the download, with their files."""
    names: dict[str, list[str]] = {}
    for source, name in files:
        names.setdefault(f"{source.name} {source.variant}", []).append(name)
    return ", ".join(f"{variant} ({', '.join(parts)})" for variant, parts in names.items())


def _unpacked(path: Path, files: list[tuple[Source, str]], address: Download) -> list[Path]:
    """Unpack the needed files of a download. Returns their paths. The archive is removed, even if it is damaged."""
    source = files[0][0]
    if address.member is None and address is not source.card.archive:
        return [path]
    try:
        if address is source.card.archive:
            made = originals.build(path, {(one.name, one.variant): one for one, _ in files}.values())
        else:
            made = _members(path, files)
    except unpack.BadArchive:
        path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
    return made


def _members(path: Path, files: list[tuple[Source, str]]) -> list[Path]:
    members = []
    for source, name in files:
        file = source.card.files[name]
        if file.download and file.download.member and file.target:
            members.append(unpack.Member(file.download.member, file.target, file.download.only))
    transfer.check_room(path.parent, _room(files))
    with transfer_bar.counting(f"unpacking {path.name}") as progress:
        unpack.extract(path, members, progress)
    return [member.target for member in members]


def record_of(path: Path) -> Mapping[str, Any] | None:
    """The record of the download at this path: url, digest (sha256), bytes and time. None if there is no record."""
    with suppress(OSError, atomic.Corrupt):
        return atomic.read_sealed(path.with_name(path.name + RECORD))
    return None


def _write_record(path: Path, content: Mapping[str, Any]) -> None:
    record = path.with_name(path.name + RECORD)
    with transfer.explained(record):
        atomic.replace(record, atomic.seal(content), atomic.nobody())


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[bool]:
    """Hold the lock of a download. Yields False if the file system has no locks: then each process downloads a copy."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"), fallback_to_soft=False)
    transfer.make_folder(path.parent)
    with transfer.explained(path):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process is downloading {path.name}; waiting for it")
            lock.acquire()
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    try:
        yield lock.is_locked
    finally:
        lock.release()


def print_to_stderr(text: str) -> None:
    """Print to stderr. Used for downloads of a run, since its stdout is for results."""
    print(text, file=sys.stderr, flush=True)
