"""A Hugging Face hub on loopback with one data set, whose downloads may stop half-way."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO, REVISION, FILE = "toy/set", "0" * 40, "data/test-00000-of-00001.parquet"


class Hub(ThreadingHTTPServer):
    """`files`: contents by path. `cut`: bytes after which every answer with a file ends."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes], cut: int | None, repo: str, revision: str) -> None:
        self.files, self.cut, self.asked = files, cut, list[str]()
        self.repo, self.revision = repo, revision
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
        path, hub = self.path.partition("?")[0], self.server
        hub.asked.append(f"{self.command} {path}")
        api, wanted = f"/api/datasets/{hub.repo}", path.removeprefix(f"/datasets/{hub.repo}/resolve/{hub.revision}/")
        if wanted in hub.files:
            self.send_file(hub.files[wanted], self.described(wanted)["oid"])
        elif path in (api, f"{api}/revision/{hub.revision}"):
            names = [{"rfilename": name} for name in hub.files]
            self.send({"id": hub.repo, "sha": hub.revision, "siblings": names, "private": False, "tags": []})
        elif path.startswith(f"{api}/tree/{hub.revision}"):
            part = path.removeprefix(f"{api}/tree/{hub.revision}").strip("/")
            below = [self.described(name) for name in hub.files if name.startswith(part)]
            self.send(below if part else [{"type": "directory", "oid": "1" * 40, "size": 0, "path": "data"}, *below])
        elif path.startswith(f"{api}/paths-info/{hub.revision}"):
            self.send([self.described(name) for name in hub.files])
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def described(self, name: str) -> dict[str, object]:
        content = self.server.files[name]
        return {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content), "path": name}

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
        for name, value in (("ETag", f'"{etag}"'), ("X-Repo-Commit", self.server.revision), ("Accept-Ranges", "bytes")):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[start:self.server.cut])
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_hub(content: bytes | Mapping[str, bytes], cut: int | None = None, repo: str = REPO,
             revision: str = REVISION) -> Iterator[tuple[str, Hub]]:
    """Its address, and the server. `content`: of the one file, or of several by path."""
    server = Hub({FILE: content} if isinstance(content, bytes) else content, cut, repo, revision)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
