"""GPUs as nvidia-smi shows them: which are used unasked, and what is said where none can be. All on a fake of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_smi import A100, H100, install, row, uuid

from suite.cli.main import main
from suite.errors import MachineFault, UserError
from suite.launch import gpus, nvidia

APPS = f"{uuid(1)}, 4711, /opt/conda/bin/python\n{uuid(1)}, 4712, [Not Found]\n"
LISTED = f"""GPU 0: {A100} (UUID: {uuid(0)})
  MIG 3g.20gb     Device  0: (UUID: MIG-11aa22bb-0000-1111-2222-333344445555)
  MIG 1g.5gb      Device  1: (UUID: MIG-22aa22bb-0000-1111-2222-333344445555)
GPU 1: {A100} (UUID: {uuid(1)})
"""
DIVIDED = (row(0, A100, "40960", "40500", mig="Enabled"), row(1, A100, "40960", "40500"))


def test_those_are_used_that_are_half_free_and_that_nobody_uses(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, row(0), row(1), row(2, free="40000"), row(3, free="41000"), apps=APPS)
    assert gpus.free().gpus == (uuid(0), uuid(3))
    assert [card.busy for card in nvidia.look().all] == [
        "", "used by process 4711 (python), process 4712", "41.9 GB of 85.5 GB free", ""]
    assert gpus.idle() == [f"GPU 0 ({H100}) is idle, with 84.9 GB of 85.5 GB free",
                           f"GPU 3 ({H100}) is idle, with 43.0 GB of 85.5 GB free"]


@pytest.mark.parametrize(("rows", "more", "mask", "shown"), [
    ((row(0, free="900"),), {}, None, f"no GPU is free: GPU 0 ({H100}): 944 MB of 85.5 GB free"),
    ((row(1),), {"apps": APPS}, None, f"GPU 1 ({H100}): used by process 4711 (python), process 4712"),
    ((row(0), row(1)), {}, "5", "CUDA_VISIBLE_DEVICES=5 names 5, but there is no such GPU"),
    ((row(0),), {}, "cuda:0", "CUDA_VISIBLE_DEVICES: 'cuda:0' does not name a GPU"),
    ((row(0), row(1)), {}, "GPU-99", f"available: 0 ({H100}, {uuid(0)}), 1 ({H100}, {uuid(1)})"),
    ((row(0), row(1, A100)), {}, "1", "export CUDA_DEVICE_ORDER=PCI_BUS_ID"),
    ((row(0, driver="470.82.01"),), {}, None, "the GPU driver is 470.82.01, but torch with CUDA 12 needs 525.60"),
    ((row(0),), {"cuda": 0}, None, "this torch is built without CUDA and cannot use the GPUs"),
    ((row(0), f"1, {uuid(1)}, {H100}, [GPU is lost], [GPU is lost], 550.54.15, [N/A]\n"), {"status": 15}, "1",
     "nvidia-smi reports 'GPU is lost'"),
    (DIVIDED, {"listed": LISTED, "apps": f"{uuid(0)}, 1, x\n"}, "MIG-11aa", "MIG 3g.20gb): used by process 1"),
])
def test_where_none_can_be_used_nothing_starts_on_a_processor(rows: tuple[str, ...], more: dict[str, object],
                                                              mask: str | None, shown: str, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, *rows, **more)
    if mask is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
    with pytest.raises(MachineFault) as error:
        gpus.free()
    assert shown in str(error.value)


@pytest.mark.parametrize(("mask", "chosen"), [
    ("1", ("1",)), (f"{uuid(1)},0", (uuid(1), "0")), ("GPU-00", ("GPU-00",)), ("1,-1,0", ("1",)), ("", ()),
    ("-1", ()), ("NoDevFiles", ()),
])
def test_the_mask_decides_what_is_ours(mask: str, chosen: tuple[str, ...], tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, row(0), row(1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
    found = gpus.free()
    assert found.gpus == chosen and (chosen or f"CUDA_VISIBLE_DEVICES is {mask!r}, which hides" in found.why)


def test_parts_of_a_gpu_stand_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, *DIVIDED, listed=LISTED)
    first, second, whole = nvidia.look().all
    assert (first.uuid[:8], first.name, first.total) == ("MIG-11aa", f"{A100} MIG 3g.20gb", 20 * 10**9)
    assert second.total == 5 * 10**9 and whole.uuid == uuid(1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-22aa")
    assert gpus.free().gpus == ("MIG-22aa",)


def test_a_machine_without_gpus_uses_its_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.free().why == "no GPU on this machine" and gpus.idle() == []
    install(tmp_path, monkeypatch, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
            status=9)
    assert "couldn't communicate" in gpus.free().why and not gpus.free().gpus
    install(tmp_path, monkeypatch, "No devices were found\n", status=6)
    assert gpus.free().why == "nvidia-smi reports 'No devices were found'"
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    look = nvidia.look
    monkeypatch.setattr(nvidia, "look", lambda: look(tmp_path))
    with pytest.raises(MachineFault, match="there are GPUs, but nvidia-smi does not show them: No devices"):
        gpus.free()


def test_gpus_that_are_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no GPU on this machine"):
        gpus.named((0,))
    install(tmp_path, monkeypatch, row(0, free="900"), row(1))
    assert gpus.named((0,)).cards[0].index == 0, "it is used although it is busy: it was asked for"
    with pytest.raises(UserError, match="no such GPU"):
        gpus.named((2,))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpus.named((0,)).gpus == ("1",)


@pytest.mark.parametrize(("text", "cuda"), [
    ("cuda: Optional[str] = '12.6'\n", 12), ("cuda = '11.8'\n", 11), ("cuda: Optional[str] = None\n", 0)])
def test_the_cuda_of_torch_is_read_from_its_file(text: str, cuda: int) -> None:
    assert nvidia.cuda_in(f"__version__ = '2.9.0'\ndebug = False\n{text}git_version = 'cuda'\n") == cuda


def test_doctor_and_plan_name_an_idle_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path, monkeypatch, row(0))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.yaml").write_text("name: g\nbase: {task: scifar, data.variant: sample}\n")
    main(["doctor"])
    assert f"GPU 0 ({H100}) is idle, with 84.9 GB of 85.5 GB free" in capsys.readouterr().out
    assert main(["plan", "g.yaml"]) == 0
    assert f"on GPU 0 ({H100}): 1 at a time on each" in capsys.readouterr().out
    assert main(["plan", "g.yaml", "--gpus", "none"]) == 0
    shown = capsys.readouterr().out
    assert "on the CPU (--gpus none)" in shown and "leave --gpus none out to use it" in shown
    install(tmp_path, monkeypatch, row(0, free="1"))
    assert main(["plan", "g.yaml"]) == 0 and "warning: --gpus auto: no GPU is free" in capsys.readouterr().out
    assert main(["run", "g.yaml"]) == 2 and "no GPU is free" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
