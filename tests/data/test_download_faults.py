"""Faults of a download, from the command to what it says: one message each, with a way out, and no traceback."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from own_cards import own_cards
from test_download import LISTS, RELEASE
from test_unpack import info_of, tar_of
from web_server import Page, Web, web

from suite.cli.main import main
from suite.config.run_config import RunConfig
from suite.data import places, prepared
from suite.errors import UserError
from suite.files import transfer

PREPARE = ["data", "prepare", "listops", "--variant", "original"]
ROOT = Path(__file__).parents[2]
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgILL+n/8k2wUenMHn
Y3qCHfV2jm4bLByH6m1BvXWXMJqhRANCAASj7wV41yjNSc5BVROgTgaJfdkmzVb5
BK+t+g8bywgOaBo2gr7RrJZ4ytltCbdj79+75HPM9EmGaKbuUOm/lIt0
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUaWWTIlhPdxTB6B+/MAYz3iOiCGkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzA1MTgzOFoYDzIxMjYxMTAz
MDUxODM4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASj7wV41yjNSc5BVROgTgaJfdkmzVb5BK+t+g8bywgOaBo2gr7RrJZ4
ytltCbdj79+75HPM9EmGaKbuUOm/lIt0o2kwZzAdBgNVHQ4EFgQUrYhWVrskb7p9
tNXX80Tu0R6ncM8wHwYDVR0jBBgwFoAUrYhWVrskb7p9tNXX80Tu0R6ncM8wDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhANkeRBGn5uMMGHyXLpLRPAdFOCqnZ+4TDNHaxMLUv9bdAiEAkN5fop+b
7e5Ks5RTSaNXIE79R3s03whChO8l0z+zUCc=
-----END CERTIFICATE-----
"""  # signed by itself, of no place but this test


@dataclass
class Place:
    """A server with the whole release, and this machine's side of it."""

    server: Web
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def page(self) -> Page:
        return self.server.pages[RELEASE]

    def archive(self, *odd: tarfile.TarInfo, without: str = "") -> None:
        files = {name: content for name, content in LISTS.items() if not without or without not in name}
        self.server.pages[RELEASE] = Page(tar_of(self.folder / "release", files, *odd).read_bytes())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY",
                 "no_proxy", "LRA_RELEASE", "SLURM_JOB_ID", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "PAUSE_S", 0.01)
    with own_cards(tmp_path, monkeypatch), web() as server:
        monkeypatch.setenv("SUITE_MIRROR", server.url)
        made = Place(server, tmp_path, monkeypatch)
        made.archive()
        yield made


def no_network(place: Place) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place.monkeypatch.setenv("SUITE_MIRROR", f"http://127.0.0.1:{free.getsockname()[1]}")


def no_name(place: Place) -> None:
    def fail(*_: object, **__: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    place.monkeypatch.delenv("SUITE_MIRROR")
    place.monkeypatch.setattr(socket, "getaddrinfo", fail)


def proxy(place: Place) -> None:
    place.monkeypatch.delenv("SUITE_MIRROR")
    place.monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{Refusing().port}")


class Refusing:
    """A proxy that answers the first request with 407."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self) -> None:
        for _ in range(9):
            client, _ = self.socket.accept()
            with client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
                               b"Content-Length: 0\r\n\r\n")


def certificate(place: Place) -> None:
    path = place.folder / "both.pem"
    path.write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    place.server.socket = context.wrap_socket(place.server.socket, server_side=True)
    place.monkeypatch.setenv("SUITE_MIRROR", f"https://localhost:{place.server.server_port}")


def ends_early(place: Place) -> None:
    near = len(place.page.body) * 99 // 100
    place.page.cuts = [near] * 9
    place.page.ranges = False


def read_only(place: Place) -> None:
    place.monkeypatch.delenv("SUITE_CACHE")
    place.monkeypatch.setenv("HOME", "/sys")  # where not even root may make a folder


def full(place: Place) -> None:
    usage = shutil.disk_usage(place.folder)
    place.monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=50_000_000))


def no_home(place: Place) -> None:
    place.monkeypatch.delenv("SUITE_CACHE")
    place.monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))


@pytest.mark.parametrize(("fault", "text"), [
    (no_network, "127.0.0.1 cannot be reached: [Errno 111] Connection refused"),
    (no_name, "the name storage.googleapis.com cannot be resolved: there is no network here, or its name server fails"),
    (proxy, "the proxy asks for a user name and a password (407)"),
    (certificate, "the certificate of localhost cannot be verified: "),
    (ends_early, "the connection broke off: "),
    (lambda place: place.page.codes.extend([404]), "the server answers 404 Not Found: the file does not exist"),
    (lambda place: place.server.pages.update({RELEASE: Page(b"<html>", kind="text/html")}),
     "a web page came instead of the file"),
    (lambda place: place.server.pages.update({RELEASE: Page(place.page.body[:-30])}),
     "the archive is truncated or damaged: "),
    (lambda place: place.archive(info_of("../evil", tarfile.REGTYPE)), "leads out of it: ../evil"),
    (lambda place: place.archive(info_of("r/listops-1000/basic_test.tsv", tarfile.SYMTYPE, "/etc/passwd")),
     "the archive holds a link or a device in place of r/listops-1000/basic_test.tsv"),
    (lambda place: place.archive(without="basic_val"), "the archive lacks listops-1000/basic_val.tsv"),
    (full, "the disk has 50 MB free, and"), (read_only, "downloads cannot be written: read-only, or not yours"),
    (no_home, "there is no home folder for the prepared data"),
    (lambda place: place.monkeypatch.setenv("SLURM_JOB_ID", "7"), "nothing is downloaded in a cluster job")])
def test_each_fault_is_one_message_with_a_way_out(fault: Callable[[Place], object], text: str, place: Place,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    fault(place)
    assert main(PREPARE) == 2
    said = capsys.readouterr().err
    first, *rest = [line for line in said.splitlines() if line.strip()]
    assert first.startswith("error: ") and text in first and said.count("error: ") == 1, said
    assert rest and rest[0].startswith("    ") and "Traceback" not in said
    assert fault is no_home or not (places.downloads() / "listops-1000").exists()


WITHOUT_LOCKS = """
import errno, os, sys
import filelock
def acquire(self, *_, **__):
    raise OSError(errno.ENOLCK, "no locks here")
filelock.FileLock.acquire = acquire
os.uname = lambda real=os.uname(): os.uname_result((real[0], sys.argv[1], *real[2:]))
from suite.data import download
from suite.data.source import Source
download.fetch([Source("listops", "original", {}, "listops")])
"""


def test_two_machines_on_a_disk_without_locks_do_not_disturb_each_other(place: Place) -> None:
    place.archive()
    big = {f"lra_release/filler{k}": os.urandom(300_000) for k in range(4)}
    place.server.pages[RELEASE] = Page(tar_of(place.folder / "big", big | LISTS).read_bytes(), drip=0.05)
    both = [subprocess.Popen([sys.executable, "-c", WITHOUT_LOCKS, name], env=os.environ | {"PYTHONPATH": str(ROOT)},
                             text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for name in ("one", "two")]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    folder = places.downloads()
    assert {path.name: path.read_bytes() for path in (folder / "listops-1000").glob("*.tsv")} \
        == {name.rsplit("/", 1)[1]: content for name, content in LISTS.items()}
    assert not [path for path in folder.iterdir() if path.name.endswith((".gz", ".part"))]


def test_a_cache_that_was_moved_is_used_at_its_new_place(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PREPARE) == 0
    old = places.cache()
    config = RunConfig.build({"task": "listops", "data.variant": "original"})
    before = prepared.load(config.data, "listops").fingerprint
    old.rename(place.folder / "elsewhere")
    with pytest.raises(UserError, match="it is missing: 7,700 MB, which a run downloads only with --download"):
        prepared.check(config.data, "listops")
    place.monkeypatch.setenv("SUITE_CACHE", str(place.folder / "elsewhere"))
    prepared.check(config.data, "listops")
    assert prepared.load(config.data, "listops").fingerprint == before and len(place.server.asked) == 1


def test_download_is_the_consent_of_a_run(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.yaml").write_text("name: one\nbase: {task: listops, data.variant: original}\n"
                                       "seeds: [0]\n")
    run = ["run", str(tmp_path / "one.yaml"), "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(run) == 2
    assert (f"error: {tmp_path}/one.yaml: 7,700 MB of data are missing, and a run downloads them only with --download: "
            "listops "
            "original (7,700 MB)") in capsys.readouterr().err and place.server.asked == []
    place.server.pages.clear()
    for executor in ("local", "slurm"):  # for jobs of a cluster it is here and now, too, before they are submitted
        place.server.asked.clear()
        assert main([*run, "--download", "--executor", executor]) == 2  # asked for, and it is not there
        assert "404 Not Found" in capsys.readouterr().err and not (tmp_path / "runs").exists()
        assert [code for *_, code in place.server.asked] == [404]
