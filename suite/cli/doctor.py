"""A check of this machine: what a run needs, found or missing, with the way to mend it."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from suite import machine
from suite.cli.requests import StoreRequest
from suite.data import cards
from suite.errors import UserError
from suite.files import atomic, resources
from suite.files.outer import OuterError, call
from suite.files.variables import folder_in
from suite.launch import gpus

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
OK, ABSENT, WARNING, MISSING = "ok", "-", "WARNING", "MISSING"  # ABSENT: not here, and only some runs want it
Finding = tuple[str, str]  # one of these words, and what was found


def check(request: StoreRequest) -> int:
    """Prints every finding; returns 1 where something that a run needs is missing."""
    findings = [*_python(), *_torch(), *_gpus(), *_store(request.store), *_slurm(), *_data()]
    for word, text in findings:
        print(f"{word:<7}  {text}")
    return 1 if any(word == MISSING for word, _ in findings) else 0


def _python() -> Iterator[Finding]:
    new = sys.version_info >= (3, 11)
    yield OK if new else MISSING, f"Python {platform.python_version()} (3.11 or later is needed)"
    try:
        from packaging.requirements import Requirement
    except ImportError:  # several of the packages that are needed bring it
        yield MISSING, "packages: pip install -c constraints.txt -e ."
        return
    for requirement in map(Requirement, _requirements()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement)


def _requirements() -> list[str]:
    """What `pip` would install for this program, extras included. A clone that is not installed says it, too."""
    try:
        return importlib.metadata.requires("s4d-suite") or []
    except importlib.metadata.PackageNotFoundError:
        return list(tomllib.loads(PROJECT.read_text())["project"]["dependencies"])


def _package(requirement: Requirement) -> Finding:
    """Whether a package is installed, in a version that will do."""
    name = requirement.name
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return MISSING, f"{name}: pip install -c constraints.txt {name}"
    if not requirement.specifier.contains(version, prereleases=True):
        return MISSING, f"{name} {version} ({requirement.specifier} is needed): pip install -c constraints.txt {name}"
    return OK, f"{name} {version}"


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError:
        return
    yield OK, f"{machine.usable_cpus()} cores, {torch.get_num_threads()} threads by default"


def _gpus() -> Iterator[Finding]:
    """What `--gpus auto` would do, and a line for each GPU that nobody uses."""
    try:
        chosen = gpus.free()
    except UserError as error:
        yield WARNING, f"GPUs: {' '.join(str(error).split())}"
    else:
        yield OK if chosen.gpus else ABSENT, f"GPUs: {chosen.why or f'{len(chosen.gpus)} for runs'}"
    for line in gpus.idle():
        yield OK, line


def _store(root: Path) -> Iterator[Finding]:
    folder = next(path for path in (root, *root.resolve().parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
        writable = True
    except OSError:
        writable = False
    free = shutil.disk_usage(folder).free / 1e9
    word = OK if writable and free > 1 else MISSING
    yield word, f"store {root}: {'' if writable else 'NOT '}writable, {free:.0f} GB free"


def _slurm() -> Iterator[Finding]:
    if shutil.which("sbatch") is None:
        yield ABSENT, "SLURM: not on this machine; only --executor slurm needs it"
        return
    try:
        done = call(["scontrol", "ping"], timeout_s=20)
        answer, fault = done.text if done.ok else "", done.complaint
    except OuterError as error:
        answer, fault = "", str(error)
    told = answer or f"does not answer, and only --executor slurm needs it: {fault}"
    yield OK if answer else ABSENT, f"SLURM: {' '.join(told.split())[:200]}"


def _data() -> Iterator[Finding]:
    folder = folder_in("SUITE_DATA")
    if folder and not (cards.CARDS.parent / folder).is_dir():
        yield WARNING, f"SUITE_DATA is {folder}, which is no folder: no data are found there"
    for name in cards.names():
        for variant_name, variant in cards.load(name).variants.items():
            word, state = _variant(variant)
            yield word, f"data {name}, variant {variant_name}: {state}"


def _variant(variant: cards.Variant) -> Finding:
    if not variant.files:  # from the hub, which is not asked, or made when a run needs it
        return ABSENT if variant.hub else OK, variant.get
    for file in variant.files.values():
        # Only what lies in a clone must be there; the rest is the user's choice, or has no licence to go along.
        try:
            path = file.find()
        except UserError as error:
            word = MISSING if file.ours and not resources.is_installed() else ABSENT
            return word, f"not here: {error.problems[0].what}. {variant.get}"
        if file.sha256 and atomic.sha256_of(path) != file.sha256:
            return (MISSING if file.ours else WARNING,
                    f"{path} is not the file that the card describes (sha256 differs). {variant.get}")
    return OK, "found"
