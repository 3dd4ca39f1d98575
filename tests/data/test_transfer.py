"""One file over HTTP, from a server on the loopback that cuts, stalls, lies and changes its mind."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from web_server import Page, Web, web

from suite.data import transfer_bar
from suite.errors import UserError
from suite.files import transfer, transfer_errors
from suite.files.transfer import Remote, get

BODY = bytes(range(256)) * 12_000  # 3 MB
DIGEST = hashlib.sha256(BODY).hexdigest()
OTHER = hashlib.sha256(BODY[:-1] + b"!").hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(transfer, "PAUSE_S", 0.01)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "SUITE_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    with web() as made:
        yield made


def refused(remote: Remote, path: Path) -> str:
    with pytest.raises(UserError) as caught:
        get(remote, path)
    problem, = caught.value.problems
    assert problem.what and problem.where and problem.fix and not path.exists()
    return str(caught.value)


@pytest.mark.parametrize("page", [
    Page(BODY), Page(BODY, cuts=[1_200_000, 2_900_000]), Page(BODY, cuts=[100], ranges=False), Page(BODY, length=False),
    Page(BODY, codes=[503, 502, 500, 429]), Page(BODY, cuts=[2_000_000], etag=""),
    Page(BODY, codes=[503], headers={"Retry-After": "0"})],
    ids=["whole", "cut twice", "no ranges", "no length", "50x", "no ETag", "retry-after"])
def test_it_comes_whole(server: Web, tmp_path: Path, page: Page) -> None:
    server.pages["/a"] = page
    seen: list[tuple[int, int | None]] = []
    assert get(Remote(f"{server.url}/a", sha256=DIGEST), tmp_path / "new" / "a", lambda *at: seen.append(at)) == DIGEST
    assert (tmp_path / "new" / "a").read_bytes() == BODY and seen[-1][0] == len(BODY)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]


def test_a_transfer_that_ends_at_99_percent_goes_on_there(server: Web, tmp_path: Path) -> None:
    near = len(BODY) * 99 // 100
    server.pages["/a"] = Page(BODY, cuts=[near])
    assert get(Remote(f"{server.url}/a"), tmp_path / "a") == DIGEST
    assert server.asked == [("/a", "", 200), ("/a", f"bytes={near}-", 206)]


def test_what_an_interrupted_call_left_is_not_fetched_again(server: Web, tmp_path: Path) -> None:
    server.pages["/a"] = Page(BODY, piece=300_000)

    def stop(here: int, total: int | None) -> None:
        if here > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(Remote(f"{server.url}/a"), tmp_path / "a", stop)
    here = (tmp_path / "a.part").stat().st_size
    assert here > 1_000_000
    assert get(Remote(f"{server.url}/a"), tmp_path / "a") == DIGEST
    assert server.asked[1] == ("/a", f"bytes={here}-", 206)


def test_a_file_that_changed_in_between_comes_from_the_beginning(server: Web, tmp_path: Path) -> None:
    other = BODY[::-1]
    server.pages["/a"] = Page(BODY, cuts=[1_000_000] * 20)
    (tmp_path / "a.part").write_bytes(b"x" * 5000)
    note = {"url": f"{server.url}/a", "validator": '"old"', "total": len(BODY)}
    (tmp_path / "a.part.json").write_text(json.dumps(note))
    server.pages["/a"] = Page(other, etag='"2"')
    assert get(Remote(f"{server.url}/a"), tmp_path / "a") == hashlib.sha256(other).hexdigest()
    assert server.asked == [("/a", "bytes=5000-", 200)]


@pytest.mark.parametrize("note", ["", "[]", '{"url": "http://other/a", "validator": "", "total": 9}'])
def test_a_part_that_nothing_is_known_of_is_not_used(server: Web, tmp_path: Path, note: str) -> None:
    server.pages["/a"] = Page(BODY)
    (tmp_path / "a.part").write_bytes(b"x" * 5000)
    (tmp_path / "a.part.json").write_text(note)
    assert get(Remote(f"{server.url}/a"), tmp_path / "a") == DIGEST and server.asked == [("/a", "", 200)]


def test_a_part_that_is_longer_than_the_file(server: Web, tmp_path: Path) -> None:
    server.pages["/a"] = Page(b"short")
    (tmp_path / "a.part").write_bytes(b"x" * 5000)
    (tmp_path / "a.part.json").write_text(json.dumps({"url": f"{server.url}/a", "validator": '"1"', "total": 9000}))
    get(Remote(f"{server.url}/a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"short" and [code for *_, code in server.asked] == [416, 200]


@pytest.mark.parametrize(("page", "text"), [
    (None, "the server answers 404 Not Found: the file does not exist"),
    (Page(codes=[403]), "403 Forbidden: access to the file is restricted"),
    (Page(codes=[401]), "401 Unauthorized"),
    (Page(codes=[503] * 9), "the server answers 503 Service Unavailable, 6 times"),
    (Page(BODY, cuts=[70_000] * 9, ranges=False), "the connection broke off"),
    (Page(BODY[:-1] + b"!"), f"damaged or not the right one: sha256 {OTHER}, not {DIGEST}"),
    (Page(b"<!DOCTYPE html><p>Please log in", kind="text/html"), "a web page came instead of the file"),
    (Page(b" <html>", kind="application/gzip"), "a web page came instead of the file"),
    (Page(b"x" * 70), "the file has 70 bytes, not 3,072,000"),
    (Page(codes=[407]), "the proxy asks for a user name and a password (407)")],
    ids=["404", "403", "401", "50x", "cut again and again", "wrong bytes", "portal", "portal that lies", "size", "407"])
def test_faults_are_named(server: Web, tmp_path: Path, page: Page | None, text: str) -> None:
    if page:
        server.pages["/a"] = page
    size = len(BODY) if page and len(page.body) == 70 else None
    assert text in refused(Remote(f"{server.url}/a", DIGEST, size), tmp_path / "a")
    assert [path.suffix for path in tmp_path.iterdir()] in ([], [".part", ".json"], [".json", ".part"])
    if "damaged" in text:
        assert [*tmp_path.iterdir()] == []


def test_a_stall_is_asked_anew_and_goes_on(server: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "STALL_S", 0.2)
    server.pages["/a"] = Page(BODY, stalls=2, stall_at=1_300_000)
    assert get(Remote(f"{server.url}/a"), tmp_path / "a") == DIGEST and len(server.asked) == 3


def test_a_slow_drip_is_a_stall(server: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "STALL_S", 0.1)
    monkeypatch.setattr(transfer, "SLOWEST", 1000.0)
    monkeypatch.setattr(transfer, "TRIES", 2)
    server.pages["/a"] = Page(BODY, drip=0.04, piece=2)
    assert "bytes per second arrived, 2 times" in refused(Remote(f"{server.url}/a"), tmp_path / "a")


def test_lines_of_progress_say_rate_and_rest(capsys: pytest.CaptureFixture[str],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(transfer_bar.time, "monotonic", lambda: now[0])
    with transfer_bar.shown("a.gz") as tell:
        for second in range(0, 31, 5):
            now[0] = 100.0 + second
            tell(1_000_000_000 + second * 20_000_000, 4_000_000_000 if second < 30 else None)
    assert capsys.readouterr().err.splitlines() == [
        "a.gz: 1,200 of 4,000 MB (30 %), 20.0 MB/s, 2 min left",
        "a.gz: 1,400 of 4,000 MB (35 %), 20.0 MB/s, 2 min left", "a.gz: 1,600 MB, 20.0 MB/s"]


def test_redirects_are_followed_where_the_content_is_known(server: Web, tmp_path: Path) -> None:
    server.pages["/b"] = Page(BODY)
    there = f"http://localhost:{server.server_port}/b"
    for sha256 in (DIGEST, None):
        server.pages["/a"] = Page(codes=[302], headers={"Location": there})
        if sha256:
            assert get(Remote(f"{server.url}/a", sha256), tmp_path / "a") == DIGEST
            (tmp_path / "a").unlink()
        else:
            text = refused(Remote(f"{server.url}/a"), tmp_path / "a")
            assert "127.0.0.1 redirects to http://localhost, and no checksum of the file is known" in text


def test_without_https_and_checksum_nothing_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUITE_MIRROR", raising=False)
    assert "is not https, and no checksum" in refused(Remote("http://example.org/a"), tmp_path / "a")


def test_a_mirror_replaces_scheme_and_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known, unknown = Remote("https://example.org/x/a.gz?b=1", sha256=DIGEST), Remote("https://example.org/x/a.gz")
    monkeypatch.setenv("SUITE_MIRROR", "http://mirror.lab:81/data/")
    assert known.address == "http://mirror.lab:81/data/x/a.gz?b=1" and unknown.address == unknown.url
    monkeypatch.setenv("SUITE_MIRROR", "http://127.0.0.1:81")
    assert unknown.address == "http://127.0.0.1:81/x/a.gz"
    monkeypatch.setenv("SUITE_MIRROR", "https://me:secret@mirror.lab/")
    assert known.address.startswith("https://me:secret@mirror.lab/x") and known.shown == "https://mirror.lab/x/a.gz?b=1"
    monkeypatch.setenv("SUITE_MIRROR", "mirror.lab")
    assert "'mirror.lab' is not an address" in refused(known, tmp_path / "a")


def test_a_proxy_of_the_environment_is_used(server: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.pages["/a"] = Page(BODY)
    assert get(Remote("http://example.invalid/a", DIGEST), tmp_path / "a") == DIGEST
    server.pages["/a"] = Page(codes=[407])
    text = refused(Remote("http://example.invalid/a", DIGEST), tmp_path / "b")
    assert "the proxy asks for a user name and a password (407)" in text and "HTTPS_PROXY=http://NAME:PASSWORD@" in text
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    assert "the proxy refused" in refused(Remote("https://example.invalid/a"), tmp_path / "b")  # it knows no CONNECT
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy")
    assert "the proxy of the environment cannot be used" in refused(Remote("https://example.invalid/a"), tmp_path / "b")


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(("error", "text"), [
    (caused(httpx2.ConnectError("x"), socket.gaierror(-2, "Name or service not known")),
     "the name example.org cannot be resolved: there is no network here"),
    (caused(httpx2.ConnectError("x"), OSError(errno.ENETUNREACH, "unreachable")), "there is no network here"),
    (caused(httpx2.ConnectError("x"), ssl.SSLCertVerificationError(1, "self-signed certificate")),
     "the certificate of example.org cannot be verified: "),
    (httpx2.ProxyError("407 Proxy Authentication Required"), "the proxy asks for a user name and a password"),
    (httpx2.ConnectTimeout("x"), "the server does not answer"), (httpx2.ReadTimeout("x"), "the transfer stalled"),
    (httpx2.TooManyRedirects("Exceeded maximum allowed redirects."), "the address cannot be used: Exceeded")])
def test_what_the_client_raises_is_told(error: Exception, text: str) -> None:
    found = transfer_errors.explain(error, "https://example.org/a")
    assert text in str(found) and isinstance(found, (UserError, transfer_errors.Again))


def test_without_a_network_it_is_told_at_once(server: Web, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = refused(Remote(f"http://127.0.0.1:{port}/a"), tmp_path / "a")
    assert "127.0.0.1 cannot be reached: [Errno 111] Connection refused" in text
    text = refused(Remote("https://no-such-host.invalid/a"), tmp_path / "a")
    assert "the name no-such-host.invalid cannot be resolved" in text


def write_to(path: str) -> None:
    Path(path).write_bytes(b"x")


def test_a_full_disk_is_told_before_and_during(server: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.pages["/a"] = Page(BODY)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=103_000_000))
        text = refused(Remote(f"{server.url}/a", room=2_000_000), tmp_path / "a")
        assert "the disk has 103 MB free, and 105 MB are needed" in text and str(tmp_path) in text
    with monkeypatch.context() as patch:
        patch.setattr(transfer._State, "write_note", lambda _: write_to("/dev/full"))
        assert "the disk is full" in refused(Remote(f"{server.url}/a"), tmp_path / "a")
    assert get(Remote(f"{server.url}/a"), tmp_path / "a") == DIGEST


def test_a_folder_that_is_read_only(server: Web) -> None:
    text = refused(Remote(f"{server.url}/a"), Path("/sys/new/a"))  # where not even root may make a folder
    assert "downloads cannot be written: read-only" in text


def test_a_cache_that_moves_away_meanwhile(server: Web, tmp_path: Path) -> None:
    server.pages["/a"] = Page(BODY)
    folder = tmp_path / "cache"

    def move(here: int, total: int | None) -> None:
        if folder.exists() and here == total:
            folder.rename(tmp_path / "moved")

    with pytest.raises(UserError, match="the download folder has been removed"):
        get(Remote(f"{server.url}/a"), folder / "a", move)
