"""Where runs compute: on what they began on, and as many at a time as fit. On a fake of nvidia-smi."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_smi import A100, H100, install, row, uuid
from fake_training import training

from suite import machine
from suite.config.run_config import RunConfig
from suite.errors import MachineFault
from suite.grid.model import GridRun
from suite.job.compute import Compute
from suite.job.job import run
from suite.job.order import Order
from suite.launch import places
from suite.machine import Memory
from suite.store.records import Provenance
from suite.store.store import Store


def grid(count: int, **fields: object) -> list[GridRun]:
    values = {"task": "scifar", "data.variant": "sample", "train.epochs": 3, **fields}
    built = [RunConfig.build({**values, "seed": seed}) for seed in range(count)]
    return [GridRun(one, one.run_id, {"seed": str(one.seed)}) for one in built]


def begin(store: Store, one: GridRun, device: str = "", gpu_mb: float = 0.0) -> None:
    """Take a run to the end of its first epoch; its record says that it was on that device."""
    folder = store.add(one.config)
    run(folder, Order(compute=Compute(until=1)), training())
    known = store.provenance(one.run_id) or Provenance()
    attempt = known.attempts[-1].model_copy(update={"peak_device_memory_mb": gpu_mb} if gpu_mb else {})
    environment = known.environment | ({"device": device} if device else {})
    record = known.model_copy(update={"environment": environment, "attempts": [attempt]})
    (folder / "provenance.json").write_bytes(record.sealed())


def test_a_run_goes_on_where_it_began(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, row(0, A100), row(1, H100), row(2, H100))
    fresh, at_cpu, at_a100, gone = runs = grid(4)
    begin(store, at_cpu)
    begin(store, at_a100, A100)
    begin(store, gone, "NVIDIA V100")
    found = places.find(runs, store, None, None, 1)
    assert found.gpus == (uuid(0), uuid(1), uuid(2)) and found.on_cpu == {at_cpu.run_id} and found.cpu_jobs >= 1
    assert found.only == {at_a100.run_id: (uuid(0),)} and found.waiting == {gone.run_id: "NVIDIA V100"}
    assert fresh.run_id not in {*found.only, *found.on_cpu, *found.waiting}
    assert any(line.startswith("1 run began on NVIDIA V100: waiting for a free one") for line in found.lines)
    asked = places.find(runs, store, (1,), None, 1)
    assert not asked.waiting and not asked.on_cpu
    assert "3 runs began on" in asked.lines[-1] and "their records note it" in asked.lines[-1]


def test_a_run_that_began_on_a_gpu_waits_for_one(store: Store, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    one, = runs = grid(1)
    begin(store, one, H100)
    assert places.find(runs, store, None, None, 1).waiting == {one.run_id: H100}
    moved = places.find(runs, store, (), 2, 1)
    assert not moved.waiting and moved.at_once == 2 and f"began on {H100}" in moved.lines[-1]


def test_as_many_run_at_a_time_as_fit(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, row(0), row(1, free="60000"))
    monkeypatch.setattr(machine, "usable_cpus", lambda: 16)
    known, other = runs = grid(2)
    unknown = places.find(runs, store, None, None, 1)
    assert unknown.jobs == 1 and "is not known yet" in unknown.lines[0]
    begin(store, known, H100, gpu_mb=20_000)
    measured = places.find([other, known], store, None, None, 1)
    assert (measured.jobs, measured.at_once) == (2, 4)
    assert measured.lines[0] == (f"on GPU 0 ({H100}), GPU 1 ({H100}): 2 at a time on each, with up to 26.8 GB of the "
                                "62.9 GB free")
    assert places.find(runs, store, None, 3, 1).jobs == 3


def test_memory_of_the_machine_limits_runs_too(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "usable_cpus", lambda: 8)
    one, = runs = grid(1)
    begin(store, one)
    took = (store.provenance(one.run_id) or Provenance()).attempts[0].peak_memory_mb or 0
    monkeypatch.setattr(machine, "memory", lambda: Memory(10**12, int(3 * 1.25 * took * 2**20) + 2**20))
    found = places.find(runs, store, None, None, 1)
    assert found.jobs == 3 and found.lines[0].startswith("on the CPU (these runs began on the CPU): 3 at a")
    monkeypatch.setattr(machine, "memory", lambda: Memory(1000, 1000))
    with pytest.raises(MachineFault, match=r"a run of this kind used .* of memory, but this machine has 0 MB"):
        places.find(runs, store, None, None, 1)


def test_what_needs_no_gpu_asks_for_none(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, row(0, free="1"))
    fits = grid(1, task="bidmc_hr", **{"model.name": "ridge", "train.epochs": 1})
    assert places.find(fits, store, None, 1, 1).gpus == ()
    install(tmp_path, monkeypatch, row(0))
    mixed = places.find([*fits, *grid(1)], store, None, 1, 1)
    assert mixed.gpus == (uuid(0),) and mixed.on_cpu == {fits[0].run_id}
