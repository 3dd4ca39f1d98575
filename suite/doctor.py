"""A check of this machine: what a run needs, found or missing, with the way to mend it."""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from suite.data import cards
from suite.errors import UserError

PACKAGES = ("torch", "numpy", "scipy", "pandas", "pydantic", "PyYAML", "jinja2", "tabulate", "matplotlib", "rich",
            "datasets", "pykeops", "submitit")
Finding = tuple[bool, str]  # whether it is as it should be, and what was found


def check(args: argparse.Namespace) -> int:
    """Prints every finding; returns 1 where something that a run needs is missing."""
    findings = [*_python(), *_torch(), *_store(args.store), *_slurm(), *_data()]
    for good, text in findings:
        print(f"{'ok     ' if good else 'MISSING'}  {text}")
    return 0 if all(good for good, _ in findings) else 1


def _python() -> Iterator[Finding]:
    yield sys.version_info >= (3, 11), f"Python {platform.python_version()} (3.11 or later is needed)"
    for name in PACKAGES:
        try:
            yield True, f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield False, f"{name}: pip install -c constraints.txt {name}"


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError:
        return
    yield True, f"{len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} threads by default"
    count = torch.cuda.device_count()
    yield True, "GPUs: " + (", ".join(torch.cuda.get_device_name(i) for i in range(count)) or "none, runs use the CPU")


def _store(root: Path) -> Iterator[Finding]:
    folder = next(path for path in (root, *root.resolve().parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
        writable = True
    except OSError:
        writable = False
    free = shutil.disk_usage(folder).free / 1e9
    yield writable and free > 1, f"store {root}: {'' if writable else 'NOT '}writable, {free:.0f} GB free"


def _slurm() -> Iterator[Finding]:
    if shutil.which("sbatch") is None:
        yield True, "SLURM: not on this machine; only --executor slurm needs it"
        return
    try:
        done = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=20)
        words = " ".join((done.stdout or f"does not answer: {done.stderr}").split())[:200]
    except (OSError, subprocess.TimeoutExpired) as error:
        words = f"does not answer: {error}"
    yield True, f"SLURM: {words}"


def _data() -> Iterator[Finding]:
    for name in cards.names():
        for variant_name, variant in cards.load(name).variants.items():
            if not variant.files:
                yield True, f"data {name}, variant {variant_name}: {variant.get}"
                continue
            missing = []
            for file in variant.files.values():
                try:
                    path = file.find()
                    if file.sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256:
                        missing.append(f"{path} is not the file that the card describes (sha256 differs)")
                except UserError as error:
                    missing.append(error.problems[0].what)
            # Only what lies in the repository must be there; the rest is the user's choice.
            needed = any(file.ours for file in variant.files.values())
            state = "found" if not missing else f"not here: {missing[0]}. {variant.get}"
            yield not (missing and needed), f"data {name}, variant {variant_name}: {state}"
