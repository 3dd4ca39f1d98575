"""An HTTP server on the loopback that misbehaves as it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What an address gives.

    cuts: bytes after which the first answers end, one for each. codes: of the first answers. drip: seconds between
    pieces of `piece` bytes. stall: the first so many answers stop after `stall_at` bytes, without an end.
    """

    body: bytes = b""
    kind: str = "application/octet-stream"
    etag: str = '"1"'
    ranges: bool = True
    length: bool = True
    cuts: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    drip: float = 0
    piece: int = 65536
    stalls: int = 0
    stall_at: int = 0


class Web(ThreadingHTTPServer):
    """`pages` by path; `asked` are the requests: path, range, answer."""

    daemon_threads = True

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str, int]] = []
        self.free = threading.Event()  # set at the end: stalled answers continue
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that went away is no error here."""


class Handler(BaseHTTPRequestHandler):
    """Ranges with If-Range; else what the page says."""

    server: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802
        path = self.path.partition("?")[0]
        if path.startswith("http://"):  # asked as a proxy
            path = "/" + path.split("/", 3)[3]
        page, span = self.server.pages.get(path), self.headers.get("Range", "")
        self.close_connection = True
        if page is None or page.codes:
            self.empty(path, span, page.codes.pop(0) if page else 404, page)
            return
        start = int(span.removeprefix("bytes=").rstrip("-") or 0) if page.ranges else 0
        if self.headers.get("If-Range", page.etag) != page.etag:
            start = 0
        if start > len(page.body):
            self.empty(path, span, 416, page)
            return
        self.server.asked.append((path, span, 206 if start else 200))
        self.send_response(206 if start else 200)
        self.head(page, start)
        end = page.cuts.pop(0) if page.cuts else len(page.body)
        stalled = page.stalls > 0
        page.stalls -= stalled
        for at in range(start, end, page.piece):
            if stalled and at >= page.stall_at:
                self.server.free.wait(10)
                return
            self.wfile.write(page.body[at:min(at + page.piece, end)])
            time.sleep(page.drip)

    def head(self, page: Page, start: int) -> None:
        self.send_header("Content-Type", page.kind)
        self.send_header("Connection", "close")
        if page.length:
            self.send_header("Content-Length", str(len(page.body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(page.body) - 1}/{len(page.body)}")
        if page.etag:
            self.send_header("ETag", page.etag)
        self.end_headers()

    def empty(self, path: str, span: str, code: int, page: Page | None) -> None:
        self.server.asked.append((path, span, code))
        self.send_response(code)
        for name, value in (page.headers if page else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web() -> Iterator[Web]:
    """A server without pages."""
    server = Web()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.free.set()
        server.shutdown()
        server.server_close()
        thread.join()
