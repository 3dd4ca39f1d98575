"""Faults of this machine are found before anything starts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fake_runner import grid

from suite import machine
from suite.errors import MachineFault
from suite.job.compute import Compute
from suite.launch import faults
from suite.launch.options import Options
from suite.machine import Memory
from suite.train.mode import Mode


def out(tmp_path: Path, mode: Mode = Mode.AUTO) -> str:
    with pytest.raises(MachineFault) as error:
        faults.check(grid(1), Options(tmp_path / "not/there/yet", Compute(mode=mode)))
    return str(error.value)


def test_a_machine_without_faults_may_start(tmp_path: Path) -> None:
    faults.check(grid(1), Options(tmp_path / "runs", Compute(mode=Mode.AUTO)))


def test_a_clock_before_the_suite_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 100_000.0)
    assert "clock: this machine's clock says 1970-01-02, which is before" in out(tmp_path)


def test_a_full_disk_and_no_memory_are_both_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "LEAST_DISK", 10**18)
    monkeypatch.setattr(machine, "memory", lambda: Memory(2 * 10**9, 10**7))
    text = out(tmp_path)
    assert "the disk is full: " in text and "or use another store (--store)" in text
    assert "10 MB of 2.0 GB of memory are free, but a run needs at least 300 MB" in text
    faults.check([], Options(tmp_path))


def test_a_compiler_or_back_end_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    assert "torch.compile finds no C++ compiler" in out(tmp_path, Mode.COMPILED)
    monkeypatch.setenv("SUITE_KERNEL_BACKEND", "block")
    assert "unknown kernel back end 'block'" in out(tmp_path) and "did you mean 'blocked'" in out(tmp_path)
    monkeypatch.setenv("SUITE_KERNEL_BACKEND", "keops")
    assert "the back end keops " in out(tmp_path)


def test_back_ends_are_those_of_the_kernels() -> None:
    from suite.ssm import kernels

    assert set(faults.BACKENDS) == set(kernels.BACKENDS)
