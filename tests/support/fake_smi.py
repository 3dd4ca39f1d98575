"""An `nvidia-smi` of our own on PATH, which prints what those of NVIDIA's drivers print."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.launch import nvidia

SCRIPT = """#!/bin/sh
here=$(dirname "$0")
case "$1" in
    --query-gpu=*) cat "$here/gpu" ;;
    --query-compute-apps=*) cat "$here/apps" ;;
    -L) cat "$here/list" ;;
    *) exit 2 ;;
esac
exit {status}
"""
H100, A100 = "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-40GB"
DRIVER = "550.54.15"


def uuid(index: int) -> str:
    return f"GPU-{index}{index}aa22bb-0000-1111-2222-333344445555"


def row(index: int, name: str = H100, total: str = "81559", free: str = "81008", driver: str = DRIVER,
        mig: str = "Disabled") -> str:
    return f"{index}, {uuid(index)}, {name}, {total}, {free}, {driver}, {mig}\n"


def install(folder: Path, patch: pytest.MonkeyPatch, *rows: str, apps: str = "", listed: str = "", status: int = 0,
            cuda: int = 12) -> None:
    """Put it on PATH, beside a torch that is built with this major version of CUDA."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    for name, text in (("gpu", "".join(rows)), ("apps", apps), ("list", listed)):
        (place / name).write_text(text)
    (place / "nvidia-smi").write_text(SCRIPT.format(status=status))
    (place / "nvidia-smi").chmod(0o755)
    patch.setenv("PATH", f"{place}:/usr/bin:/bin")
    patch.setattr(nvidia, "cuda_of_torch", lambda: cuda)
    patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
