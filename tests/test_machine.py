"""Facts about this computer, also where the system does not tell them."""

from __future__ import annotations

import os

import pytest

from suite import machine


@pytest.fixture(autouse=True)
def no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run in a container that has a part of the CPUs' time."""
    monkeypatch.setattr(machine, "_quota", lambda root: 99.0)


def test_usable_cpus_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5, 7}, raising=False)
    assert machine.usable_cpus() == 3
    assert machine.machine().startswith(f"3 cores of {machine.cpu()}")


def test_usable_cpus_on_a_system_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert machine.usable_cpus() == 6 and machine.machine().startswith("6 cores of ")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.usable_cpus() == 1
