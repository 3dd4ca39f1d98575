"""Prepared data on disk: prepared once, whole or not at all, checked, mended, and shared by processes."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from suite.data import cache
from suite.data.prepared_types import Facts, Prepared
from suite.errors import UserError

ROOT = Path(__file__).parents[2]
KEY = {"name": "toy", "option": 1}
WORKER = """
import sys
from suite.data.prepared import load
from suite.config.fields import Data
sys.stdin.read()
data = load(Data(name="bidmc", variant="sample"), "bidmc_hr")
print(data.fingerprint, data.count("train"), "datasets" in sys.modules)
"""


class Maker:
    """Makes small arrays and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Prepared:
        self.calls += 1
        x = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
        return Prepared(Facts(length=3, channels=2, classes=2, rate_hz=2.5),
                        {"train/x": x, "train/y": np.arange(4), "val/x": x + 1})


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    return Maker()


def entries(tmp_path: Path) -> list[Path]:
    """Everything in the cache but lock files."""
    return [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"]


def test_made_once_and_given_back_as_it_was(maker: Maker, tmp_path: Path) -> None:
    first, again = cache.obtain("toy", KEY, maker), cache.obtain("toy", KEY, maker)
    assert maker.calls == 1
    made = maker()
    for entry in (first, again):
        assert entry.facts == made.facts
        assert set(entry.arrays) == set(made.arrays)
        for name, array in made.arrays.items():
            assert entry.arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(entry.arrays[name], array)
        assert isinstance(entry.arrays["train/x"], np.memmap) and not entry.arrays["train/x"].flags.writeable
    assert first.fingerprint == again.fingerprint
    assert [path.name[:4] for path in entries(tmp_path)] == ["toy-"]


def test_every_part_of_the_key_counts_and_its_order_does_not(maker: Maker) -> None:
    cache.obtain("toy", KEY, maker)
    cache.obtain("toy", dict(reversed(KEY.items())), maker)
    assert maker.calls == 1
    for other in (KEY | {"option": 2}, KEY | {"more": 0}, {"name": "toy"}):
        cache.obtain("toy", other, maker)
    assert maker.calls == 4


def test_fingerprint_is_of_names_types_shapes_and_values() -> None:
    x = np.arange(6, dtype=np.int64)
    prints = [cache.fingerprint(arrays) for arrays in (
        {"a": x}, {"b": x}, {"a": x.astype(np.int32)}, {"a": x.reshape(2, 3)}, {"a": x + 1}, {"a": x, "b": x})]
    assert len(set(prints)) == len(prints)
    assert cache.fingerprint({"a": x, "b": x + 1}) == cache.fingerprint({"b": x + 1, "a": x.copy()})
    assert cache.fingerprint({"a": x[::2]}) == cache.fingerprint({"a": np.array([0, 2, 4])})  # memory layout is nothing
    # Stands in the provenance of runs, so it must mean the same for ever.
    assert prints[0] == hashlib.sha256(b"a <i8 (6,)\n" + x.astype("<i8").tobytes()).hexdigest()


def cut(path: Path) -> None:
    content = (path / "train-x.npy").read_bytes()
    (path / "train-x.npy").write_bytes(content[:-5])


def flip(path: Path) -> None:
    content = bytearray((path / "train-x.npy").read_bytes())
    content[-3] ^= 1
    (path / "train-x.npy").write_bytes(content)


def lie(path: Path) -> None:
    meta = json.loads((path / cache.META).read_text())
    meta["meta"]["facts"]["length"] = 4
    (path / cache.META).write_text(json.dumps(meta))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "array cut short": cut,
    "one bit of an array": flip,
    "array missing": lambda path: (path / "val-x.npy").unlink(),
    "meta missing": lambda path: (path / cache.META).unlink(),
    "meta empty": lambda path: (path / cache.META).write_text(""),
    "meta of another form": lambda path: (path / cache.META).write_text("[]"),
    "meta that lies": lie,
    "meta not text": lambda path: (path / cache.META).write_bytes(b"\xff\xfe\x00"),
    "folder empty": lambda path: [file.unlink() for file in path.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen_logged_and_mended(damage: str, maker: Maker, tmp_path: Path,
                                          caplog: pytest.LogCaptureFixture) -> None:
    before = cache.obtain("toy", KEY, maker)
    path, = entries(tmp_path)
    DAMAGES[damage](path)
    after = cache.obtain("toy", KEY, maker)
    assert maker.calls == 2
    assert "damaged and will be made again" in caplog.text
    assert after.fingerprint == before.fingerprint
    np.testing.assert_array_equal(after.arrays["train/x"], maker().arrays["train/x"])
    assert entries(tmp_path) == [path]
    caplog.clear()
    cache.obtain("toy", KEY, maker)
    assert maker.calls == 3 and not caplog.text


def test_copied_entry_is_good(maker: Maker, tmp_path: Path) -> None:
    cache.obtain("toy", KEY, maker)
    path, = entries(tmp_path)
    for file in path.iterdir():
        os.utime(file, (1, 1))  # as a copy may have it: times differ, bytes do not
    cache.obtain("toy", KEY, maker)
    assert maker.calls == 1


def test_half_written_entry_of_a_killed_process_is_removed(maker: Maker, tmp_path: Path) -> None:
    cache.obtain("toy", KEY, maker)
    path, = entries(tmp_path)
    half = path.parent / f".{path.name}.{cache.socket.gethostname()}.99999999"
    path.rename(half)
    (half / cache.META).unlink()
    cache.obtain("toy", KEY, maker)
    assert maker.calls == 2 and entries(tmp_path) == [path]


def test_failure_while_preparing_leaves_nothing(maker: Maker, tmp_path: Path) -> None:
    def fail() -> Prepared:
        raise UserError("bad input")
    with pytest.raises(UserError, match="bad input"):
        cache.obtain("toy", KEY, fail)
    assert not entries(tmp_path)


def test_full_disk_is_named_and_leaves_nothing(maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(stream: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(cache, "flush", full)
        with pytest.raises(UserError, match=r"cannot be written: No space left on device\n.*SUITE_CACHE"):
            cache.obtain("toy", KEY, maker)
    assert not entries(tmp_path)
    cache.obtain("toy", KEY, maker)
    assert len(entries(tmp_path)) == 1


def test_folder_that_cannot_be_made_is_named(maker: Maker, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(UserError, match=r"(?s)prepared data cannot be written.*set SUITE_CACHE to another folder"):
        cache.obtain("toy", KEY, maker)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_without_locks_the_first_to_finish_wins(code: int, maker: Maker, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(stream: object, how: int) -> None:
        raise OSError(code, os.strerror(code))
    monkeypatch.setattr(fcntl, "flock", no_locks)
    other = Maker()

    def slow() -> Prepared:
        cache.obtain("toy", KEY, other)  # another process begins later and is done earlier
        return maker()
    entry = cache.obtain("toy", KEY, slow)
    assert (maker.calls, other.calls) == (1, 1)
    np.testing.assert_array_equal(entry.arrays["train/x"], maker().arrays["train/x"])
    assert len(entries(tmp_path)) == 1


def test_a_lock_that_fails_for_another_reason_is_named(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(stream: object, how: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr(fcntl, "flock", failing)
    with pytest.raises(UserError, match="prepared data cannot be written: Input/output error"):
        cache.obtain("toy", KEY, maker)
    assert maker.calls == 0


def test_the_system_frees_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    code = (f"from pathlib import Path\nfrom suite.data import cache\nwith cache.locked(Path({str(tmp_path / 'x')!r})):"
            "\n    print('held', flush=True)\n    input()\n")
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"held\n"
        with pytest.raises(Timeout):
            FileLock(tmp_path / ".x.lock", timeout=0).acquire()
        owner.kill()
    with cache.locked(tmp_path / "x") as alone:
        assert alone


def test_ten_processes_at_once_prepare_once(tmp_path: Path) -> None:
    environment = os.environ | {"SUITE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    workers = [subprocess.Popen([sys.executable, "-c", WORKER], env=environment, cwd=ROOT, text=True, **pipes)
               for _ in range(10)]
    for worker in workers:  # they wait for the end of their input, so that all begin together
        assert worker.stdin is not None
        worker.stdin.close()
        worker.stdin = None
    lines = []
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err
        lines.append(out.split())
    assert len({(print_, count) for print_, count, _ in lines}) == 1
    assert lines[0][1] == "555"
    assert sum(read == "True" for *_, read in lines) == 1  # only the one that prepared read the source files
    assert len(entries(tmp_path)) == 1


def test_killed_in_the_middle_the_next_one_prepares(tmp_path: Path) -> None:
    environment = os.environ | {"SUITE_CACHE": str(tmp_path / "cache")}
    stop = ("import os, signal\nfrom suite.data import cache\n"
            "def store(*_): os.kill(os.getpid(), signal.SIGKILL)\ncache.store = store\n")
    killed = subprocess.run([sys.executable, "-c", stop + WORKER], env=environment, cwd=ROOT, input="",
                            text=True, capture_output=True, timeout=60, check=False)
    assert killed.returncode == -9
    assert len(entries(tmp_path)) == 1  # the half
    done = subprocess.run([sys.executable, "-c", WORKER], env=environment, cwd=ROOT, input="", text=True,
                          capture_output=True, timeout=60, check=True)
    assert done.stdout.split()[1:] == ["555", "True"]
    assert [path.name.startswith("bidmc-sample-hr-") for path in entries(tmp_path)] == [True]
