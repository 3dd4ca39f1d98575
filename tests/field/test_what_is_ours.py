"""What a process may use of a machine that it shares: GPUs within a mask, a part of the CPUs' time."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from fake_smi import install, row

from suite import machine
from suite.cli import arguments
from suite.cli.main import main
from suite.errors import UserError
from suite.launch import gpus, local
from suite.launch.options import Options

A, B = "GPU-11aa22bb-0000-1111-2222-333344445555", "MIG-99ff88ee-0000-1111-2222-333344445555"


@pytest.mark.parametrize(("mask", "asked", "given"), [
    (None, "0,1", (0, 1)),
    (None, f"{A},{B}", (A, B)),
    ("2", "0", ("2",)),
    ("2,3", "1,0", ("3", "2")),
    (f"{A},{B}", "1", (B,)),
    (f"{A},{B}", "GPU-11aa", (A,)),
    ("GPU-11aa,5", A, ("GPU-11aa",)),
    ("3,-1,5", "0", ("3",)),
])
def test_gpus_are_counted_within_the_mask(mask: str | None, asked: str, given: tuple[int | str, ...],
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if mask is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
    assert gpus.own(arguments._gpus(asked)) == given


@pytest.mark.parametrize(("mask", "asked", "told"), [
    ("2", "2", "it contains 1 GPU: --gpus 0"),
    ("", "0", "it contains no GPU"),
    ("-1", "0", "it contains no GPU"),
    ("3,-1,5", "1", "it contains 1 GPU"),
    ("0,1", A, "contains no such GPU"),
    (A, "0," + A, "given twice"),
])
def test_what_is_beyond_the_mask_is_refused(mask: str, asked: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
    with pytest.raises(UserError, match=told):
        gpus.own(arguments._gpus(asked))


@pytest.mark.parametrize("text", ["", "0,0", "x", "0;1", f"{A},{A}", "TPU-1", "-1"])
def test_what_names_no_gpu_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="UUIDs"):
        arguments._gpus(text)


def test_the_launcher_is_given_the_gpus_of_the_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "g.yaml").write_text("name: g\nbase: {task: scifar, data.variant: sample}\n")
    monkeypatch.chdir(tmp_path)
    install(tmp_path, monkeypatch, row(2))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    seen: list[Options] = []

    def launch(runs: object, options: Options, listener: object) -> dict[str, object]:
        seen.append(options)
        return {}

    monkeypatch.setattr(local, "launch", launch)
    assert main(["run", "g.yaml", "--gpus", "1"]) == 2 and not seen
    assert not (tmp_path / "runs").exists()
    assert main(["run", "g.yaml", "--gpus", "0"]) == 0 and seen[0].gpus == ("2",)


def system(root: Path, groups: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(("groups", "files", "count"), [
    ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
    ("0::/\n", {"cpu.max": "350000 100000\n"}, 3),
    ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
    ("0::/job/step\n", {"cpu.max": "max 100000", "job/cpu.max": "200000 100000", "job/step/cpu.max": "max 100000"}, 2),
    ("0::/not/seen/here\n", {"cpu.max": "400000 100000\n"}, 4),
    ("0::/\n", {"cpu.max": "what"}, 8),
    ("0::/\n", {}, 8),
    ("4:cpu,cpuacct:/docker/1\n2:cpuset:/\n", {"cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
                                               "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 2),
    ("4:cpu,cpuacct:/\n", {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 8),
    ("nonsense", {}, 8),
])
def test_a_quota_of_cpu_time_limits_the_runs_at_a_time(tmp_path: Path, groups: str, files: dict[str, str], count: int,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_cores", lambda: 8)
    assert machine.usable_cpus(system(tmp_path, groups, **files)) == count


def test_without_control_groups_all_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_cores", lambda: 8)
    assert machine.usable_cpus(tmp_path) == 8


GIB = 2**30
MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1000 kB\nMemAvailable:    8388608 kB\nHugePages_Total:     0\n"


@pytest.mark.parametrize(("groups", "files", "memory", "kills"), [
    ("0::/\n", {}, (16, 8), 0),
    ("0::/job/step\n", {"job/memory.max": str(4 * GIB), "job/memory.current": str(3 * GIB), "job/memory.stat":
                        f"anon 1\ninactive_file {GIB}\n", "job/step/memory.max": "max", "job/memory.events":
                        "low 0\noom 4\noom_kill 2\n"}, (4, 2), 2),
    ("7:memory:/box\n", {"memory/box/memory.limit_in_bytes": str(2 * GIB), "memory/box/memory.usage_in_bytes": str(GIB),
                         "memory/box/memory.oom_control": "oom_kill_disable 0\noom_kill 1\n"}, (2, 1), 1),
    ("7:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.usage_in_bytes": "1"},
     (16, 8), 0),
])
def test_memory_is_what_the_machine_or_its_job_has(tmp_path: Path, groups: str, files: dict[str, str],
                                                   memory: tuple[int, int], kills: int) -> None:
    root = system(tmp_path, groups, **files)
    assert machine.memory(root) is None
    (root / "proc/meminfo").write_text(MEMINFO)
    assert machine.memory(root) == machine.Memory(memory[0] * GIB, memory[1] * GIB)
    assert machine.oom_kills(root) == kills
