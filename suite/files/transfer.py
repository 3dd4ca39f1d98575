"""Download of one file over HTTP. It resumes where it stopped, is verified, and is tried again if that may help.

The bytes received so far are in `<name>.part`. `<name>.part.json` has the ETag or date of the remote file, so that a
later call continues there and never joins the parts of two versions.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from suite.errors import UserError
from suite.files import atomic, transfer_errors
from suite.files.transfer_errors import Again

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)
Progress = Callable[[int, int | None], None]  # bytes received, and the total if the server states it
MIRROR = "SUITE_MIRROR"
CHUNK = 1 << 20
STALL_S = 60.0  # without an answer, or below SLOWEST bytes per second for this long: a new request
SLOWEST = 100.0
TRIES = 6  # in a row without a MiB of progress
PAUSE_S = 1.0  # before the second try; twice as long before each further one, at most LONGEST_PAUSE_S
LONGEST_PAUSE_S = 60.0
SPARE = 100_000_000  # bytes to leave free on the disk
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Remote:
    """A file at an address.

    url: its address. sha256: its digest, if known. size: in bytes, if exactly known. room: further bytes of disk that
    unpacking needs. proved: its content is verified after the transfer by other means than sha256.
    """

    url: str
    sha256: str | None = None
    size: int | None = None
    room: int = 0
    proved: bool = False

    @property
    def known(self) -> bool:
        """Whether wrong content would be noticed."""
        return self.sha256 is not None or self.proved

    @property
    def address(self) -> str:
        """The address to request: at the mirror named by SUITE_MIRROR, or its own.

        A file whose content cannot be checked is not taken from a mirror, unless the mirror is this machine.
        """
        mirror = os.environ.get(MIRROR, "").rstrip("/")
        if not mirror:
            return self.url
        if urlsplit(mirror).scheme not in ("http", "https") or not urlsplit(mirror).hostname:
            raise UserError(f"{mirror!r} is not an address", MIRROR, "write it as https://host/path, or unset it")
        if not self.known and urlsplit(mirror).hostname not in LOOPBACK:
            return self.url
        base, own = urlsplit(mirror), urlsplit(self.url)
        return urlunsplit((base.scheme, base.netloc, base.path + own.path, own.query, ""))

    @property
    def shown(self) -> str:
        """The address for messages and records, without the user name and password of a mirror."""
        url = urlsplit(self.address)
        return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))


@dataclass
class _State:
    """What has been received of a file: the number of bytes, their digest, and the version of the file."""

    part: Path
    url: str
    here: int = 0
    digest: Any = None
    validator: str = ""
    total: int | None = None

    @property
    def note(self) -> Path:
        return self.part.with_name(self.part.name + ".json")

    def read(self) -> None:
        """Continue from what an earlier call left. Begin again if that is damaged, or from another address."""
        self.digest = hashlib.sha256()
        try:
            note = json.loads(self.note.read_text())
            if note["url"] != self.url:
                raise ValueError("of another address")
            with self.part.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    self.digest.update(chunk)
                    self.here += len(chunk)
            self.validator, self.total = str(note["validator"]), note["total"]
        except (OSError, ValueError, KeyError, TypeError):
            self.forget()

    def forget(self) -> None:
        """Remove what was received, to begin again."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.here, self.digest, self.validator, self.total = 0, hashlib.sha256(), "", None

    def write_note(self) -> None:
        content = {"url": self.url, "validator": self.validator, "total": self.total}
        atomic.replace(self.note, json.dumps(content).encode(), atomic.nobody(), durable=False)


def get(remote: Remote, path: Path, progress: Progress = lambda here, total: None, private: str = "") -> str:
    """Download the file to `path` and return its sha256. Bytes left by an interrupted call are not fetched again.

    progress: called with the bytes received and the total (None if unknown). private: added to the name of the partial
    file if no lock keeps other processes away from it.

    Raises UserError if the address cannot be reached, gives another file, or stops too often, and if the disk is full.
    The bytes received until then are kept, unless they are known to be wrong.
    """
    _check_scheme(remote)
    state = _State(path.with_name(f"{path.name}{private}.part"), remote.shown)
    make_folder(path.parent)
    with explained(path):
        state.read()
    tries, begin, mark = 0, state.here, state.here
    with client() as http:
        while True:
            try:
                _once(http, remote, state, progress)
                break
            except Again as again:
                tries = 1 if state.here - mark >= CHUNK else tries + 1
                mark = state.here
                if tries >= TRIES or (again.at_once and state.here == begin):
                    raise transfer_errors.given_up(again, state.url, state.here, tries) from again
                pause = min(again.after or PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S)
                log.warning("%s: %s; trying again in %.0f s", path.name, again, pause)
                time.sleep(pause)
    found: str = state.digest.hexdigest()
    if remote.sha256 and found != remote.sha256:
        state.forget()
        raise transfer_errors.another(state.url, found, remote.sha256)
    with explained(path):
        state.part.replace(path)
        state.note.unlink(missing_ok=True)
    return found


def client() -> httpx2.Client:
    """An HTTP client that uses the proxies and certificates of the environment, and follows redirects."""
    import httpx2

    try:
        return httpx2.Client(follow_redirects=True, timeout=STALL_S,
                             headers={"Accept-Encoding": "identity", "User-Agent": "s4d-suite"})
    except OSError as error:  # the error does not name the file
        named = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if not Path(os.environ.get(name) or "/").exists()]
        raise UserError(f"the certificates cannot be read: {error.strerror or error}",
                        ", ".join(f"{name}={os.environ[name]}" for name in named),
                        "name an existing file, or unset it") from None
    except (ValueError, ImportError) as error:
        raise UserError(f"the proxy of the environment cannot be used: {error}", "HTTPS_PROXY",
                        "write it as http://host:port, or unset it") from None


def _check_scheme(remote: Remote) -> None:
    url = urlsplit(remote.address)
    if url.scheme != "https" and url.hostname not in LOOPBACK and not remote.known:
        raise UserError("the address is not https, and no checksum of the file is known", remote.shown,
                        "get the file by hand from a place that you trust")


def _once(http: httpx2.Client, remote: Remote, state: _State, progress: Progress) -> None:
    """One request for the missing bytes. Raises Again if another request may help, else UserError."""
    if state.total is not None and state.here == state.total:
        return
    headers = {}
    if state.here and (state.validator or remote.known):
        headers = {"Range": f"bytes={state.here}-"} | ({"If-Range": state.validator} if state.validator else {})
    with transfer_errors.explained(state.url), http.stream("GET", remote.address, headers=headers) as answer:
        transfer_errors.check_status(answer, state.url)
        _check_way(answer, remote)
        if answer.status_code == 416:
            state.forget()
            raise Again("the server says that the file is shorter than what was received")
        _begin(answer, remote, state)
        _check_room(state, remote)
        _take(answer, state, progress)
    if state.total is None:
        state.total = state.here
    if state.here != state.total:
        if state.here > state.total:
            state.forget()
        raise Again(f"the server ended the transfer at {state.here:,} of {state.total:,} bytes")


def _check_way(answer: httpx2.Response, remote: Remote) -> None:
    """Raises UserError if the answer for a file without a checksum came from another host, or without https."""
    if remote.known:
        return
    first = urlsplit(remote.address)
    for url in (step.url for step in [*answer.history, answer]):
        if url.host != first.hostname or (url.scheme != "https" and url.host not in LOOPBACK):
            raise UserError(f"{first.hostname} redirects to {url.scheme}://{url.host}, and no checksum of the file is "
                            "known", remote.shown, "get the file by hand, if you trust that place")


def _begin(answer: httpx2.Response, remote: Remote, state: _State) -> None:
    """Read from the headers of the answer which version of the file it is, and where it begins."""
    length = answer.headers.get("Content-Length")
    body = int(length) if length and length.isdecimal() else None
    start, total = 0, body
    if answer.status_code == 206:
        span, _, whole = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        start = int(span.partition("-")[0]) if span.partition("-")[0].isdecimal() else -1
        total = int(whole) if whole.isdecimal() else None if body is None else start + body
    if start not in (0, state.here) or (start and state.total not in (None, total)):
        state.forget()
        raise Again("the server sent another part of the file than requested, or the file has changed")
    if state.here and not start:
        log.warning("%s has changed, or its server cannot continue in the middle: starting again", state.url)
        state.forget()
    if remote.size is not None and total is not None and total != remote.size:
        state.forget()
        raise transfer_errors.other_size(answer, state.url, total, remote.size)
    if not state.here:
        transfer_errors.check_kind(answer, state.url)
    etag = answer.headers.get("ETag", "")
    state.validator = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")
    state.total = total
    with explained(state.part):
        state.write_note()


def _check_room(state: _State, remote: Remote) -> None:
    missing = ((state.total if state.total is not None else remote.size) or state.here) - state.here
    check_room(state.part.parent, missing + remote.room)


def check_room(folder: Path, needed: int) -> None:
    """Raises UserError if the disk of this folder has fewer free bytes than `needed` and a reserve."""
    free = shutil.disk_usage(folder).free
    if needed and free < needed + SPARE:
        raise UserError(f"the disk has {free / 1e6:,.0f} MB free, and {(needed + SPARE) / 1e6:,.0f} MB are needed",
                        str(folder), "free some space there, or set SUITE_CACHE to a folder on another disk")


def _take(answer: httpx2.Response, state: _State, progress: Progress) -> None:
    """Append the body to what was received. A body that begins like a web page is rejected."""
    first, since, come = state.here == 0, time.monotonic(), 0
    with explained(state.part), state.part.open("ab") as stream:
        for chunk in answer.iter_raw():
            if first:
                transfer_errors.check_start(chunk, state.url)
                first = False
            stream.write(chunk)
            stream.flush()  # the bytes that the note promises must exist after an interrupt
            state.digest.update(chunk)
            state.here += len(chunk)
            come += len(chunk)
            progress(state.here, state.total)
            waited = time.monotonic() - since
            if waited > STALL_S:
                if come < SLOWEST * waited:
                    raise Again(f"only {come / waited:.0f} bytes per second arrived")
                since, come = time.monotonic(), 0


def make_folder(folder: Path) -> None:
    """Make a folder for downloads. Raises UserError if this fails."""
    with explained(folder / "file"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError:  # as below /proc
            raise UserError("this folder cannot be made", str(folder), "set SUITE_CACHE to a folder that you can "
                            "write") from None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a UserError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in atomic.FULL:
            what, fix = "the disk is full", "free some space: the same command continues where it was"
        elif error.errno in atomic.REFUSED:
            what, fix = "downloads cannot be written: read-only, or not yours", \
                "set SUITE_CACHE to a folder that you can write"
        elif error.errno in (errno.ENOENT, errno.ESTALE):
            what, fix = "the download folder has been removed", \
                "start the same command again, with SUITE_CACHE at its new place"
        else:
            what, fix = f"downloads cannot be written: {error.strerror or error}", \
                "set SUITE_CACHE to a folder on another disk"
        raise UserError(what, str(path.parent), fix) from error
