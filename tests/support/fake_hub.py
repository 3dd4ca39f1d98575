"""A Hugging Face hub on loopback with one data set of one Parquet file, whose download may stop half-way."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO, REVISION, FILE = "toy/set", "0" * 40, "data/test-00000-of-00001.parquet"


class Hub(ThreadingHTTPServer):
    """`content`: of the file. `cut`: bytes after which every answer with the file ends."""

    daemon_threads = True

    def __init__(self, content: bytes, cut: int | None) -> None:
        self.content, self.cut, self.asked = content, cut, list[str]()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """As much of the hub's interface as `datasets` uses."""

    server: Hub

    def do_HEAD(self) -> None:  # noqa: N802
        self.answer()

    def do_GET(self) -> None:  # noqa: N802
        self.answer()

    def do_POST(self) -> None:  # noqa: N802
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer()

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        content = self.server.content
        file = {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content), "path": FILE}
        if path.startswith(f"/datasets/{REPO}/resolve/") and path.endswith(FILE):
            self.send_file(content, file["oid"])
        elif path == f"/api/datasets/{REPO}" or path == f"/api/datasets/{REPO}/revision/{REVISION}":
            self.send({"id": REPO, "sha": REVISION, "siblings": [{"rfilename": FILE}], "private": False, "tags": []})
        elif path.startswith(f"/api/datasets/{REPO}/tree/{REVISION}"):
            part = path.removeprefix(f"/api/datasets/{REPO}/tree/{REVISION}").strip("/")
            below = [file] if "data".startswith(part) or part.startswith("data") else []
            self.send(below if part else [{"type": "directory", "oid": "1" * 40, "size": 0, "path": "data"}, *below])
        elif path.startswith(f"/api/datasets/{REPO}/paths-info/{REVISION}"):
            self.send([file])
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def send(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_file(self, content: bytes, etag: object) -> None:
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for name, value in (("ETag", f'"{etag}"'), ("X-Repo-Commit", REVISION), ("Accept-Ranges", "bytes")):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[start:self.server.cut])
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_hub(content: bytes, cut: int | None = None) -> Iterator[tuple[str, Hub]]:
    """Its address, and the server."""
    server = Hub(content, cut)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
