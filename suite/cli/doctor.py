"""The command doctor: checks this machine for the requirements of runs, and shows how to get what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from suite import machine
from suite.cli.data_list import Group, availability
from suite.cli.other_requests import DoctorRequest
from suite.data import cards, places
from suite.data.card import Variant
from suite.data.parquet import same_rows
from suite.errors import UserError
from suite.files import atomic, resources
from suite.files.outer import OuterError, call
from suite.files.variables import folder_in
from suite.launch import gpus

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


class Mark(StrEnum):
    """OK. ABSENT: missing, but needed by some runs only. WARNING. MISSING: needed by every run."""

    OK = "ok"
    ABSENT = "-"
    WARNING = "WARNING"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Finding:
    """One line of the output. `detail`: the line of `--verbose`, with paths. `package`: it is about a package."""

    mark: Mark
    text: str
    detail: str = ""
    group: Group | None = None
    package: bool = False

    @property
    def heading(self) -> Group:
        """The group under which it is listed."""
        return self.group or (Group.HERE if self.mark is Mark.OK else Group.BY_HAND)


def check(request: DoctorRequest) -> int:
    """Print the findings, in groups or, with `verbose`, in full. Returns 1 if a requirement of every run is missing."""
    findings = [*_python(), *_torch(), *_gpus(), *_store(request.store), *_slurm(), *_data()]
    if request.verbose:
        for one in findings:
            print(f"{one.mark:<7}  {one.detail or one.text}")
    else:
        _print_groups(findings)
    return 1 if any(one.mark is Mark.MISSING for one in findings) else 0


def _print_groups(findings: list[Finding]) -> None:
    good = [one for one in findings if one.package and one.mark is Mark.OK]
    shown = [one for one in findings if one not in good]
    shown.insert(1, Finding(Mark.OK, f"{len(good)} packages, in suitable versions"))
    for group in Group:
        lines = [f"  {one.mark + '  ' if one.mark in (Mark.WARNING, Mark.MISSING) else ''}{one.text}" for one in shown
                 if one.heading is group]
        if lines:
            print(group.heading(" (only for runs that use it)"), *lines, sep="\n")
    print("`doctor --verbose` shows every package, and where each data set is searched")


def _python() -> Iterator[Finding]:
    new = sys.version_info >= (3, 11)
    yield Finding(Mark.OK if new else Mark.MISSING, f"Python {platform.python_version()} (3.11 or later is needed)")
    try:
        from packaging.requirements import Requirement
    except ImportError:  # a dependency of several required packages
        yield Finding(Mark.MISSING, "packages: pip install -c constraints.txt -e .")
        return
    for requirement in map(Requirement, _requirements()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement)


def _requirements() -> list[str]:
    """The requirements of the installed program or, if it is not installed, those in pyproject.toml."""
    try:
        return importlib.metadata.requires("s4d-suite") or []
    except importlib.metadata.PackageNotFoundError:
        return list(tomllib.loads(PROJECT.read_text())["project"]["dependencies"])


def _package(requirement: Requirement) -> Finding:
    """Whether a package is installed in a suitable version."""
    name = requirement.name
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(Mark.MISSING, f"{name}: pip install -c constraints.txt {name}")
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(Mark.MISSING, f"{name} {version} ({requirement.specifier} is needed): pip install -c "
                       f"constraints.txt {name}")
    return Finding(Mark.OK, f"{name} {version}", package=True)


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError:
        return
    yield Finding(Mark.OK, f"cores: {machine.usable_cpus()}; threads by default: {torch.get_num_threads()}")


def _gpus() -> Iterator[Finding]:
    """What `--gpus auto` would use, and a line for each idle GPU."""
    try:
        chosen = gpus.free()
    except UserError as error:
        yield Finding(Mark.WARNING, f"GPUs: {' '.join(str(error).split())}")
    else:
        yield Finding(Mark.OK if chosen.gpus else Mark.ABSENT,
                      f"GPUs: {chosen.why or f'{len(chosen.gpus)} for runs'}", group=Group.HERE)
    for line in gpus.idle():
        yield Finding(Mark.OK, line)


def _store(root: Path) -> Iterator[Finding]:
    folder = next(path for path in (root, *root.resolve().parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
        writable = True
    except OSError:
        writable = False
    free = shutil.disk_usage(folder).free / 1e9
    mark = Mark.OK if writable and free > 1 else Mark.MISSING
    yield Finding(mark, f"store {root}: {'' if writable else 'NOT '}writable, {free:.0f} GB free")


def _slurm() -> Iterator[Finding]:
    if shutil.which("sbatch") is None:
        yield Finding(Mark.ABSENT, "SLURM: not installed; only needed for --executor slurm")
        return
    try:
        done = call(["scontrol", "ping"], timeout_s=20)
        answer, fault = done.text if done.ok else "", done.complaint
    except OuterError as error:
        answer, fault = "", str(error)
    text = answer or "does not answer; only needed for --executor slurm"
    yield Finding(Mark.OK if answer else Mark.ABSENT, f"SLURM: {' '.join(text.split())[:110]}",
                  f"SLURM: {' '.join((answer or f'{text}: {fault}').split())[:200]}")


def _data() -> Iterator[Finding]:
    folder = folder_in("SUITE_DATA")
    if folder and not (cards.CARDS.parent / folder).is_dir():
        yield Finding(Mark.WARNING, "SUITE_DATA is not a folder, so no data are found there",
                      f"SUITE_DATA is {folder}, which is not a folder, so no data are found there")
    try:
        places.cache()
    except UserError as error:
        yield Finding(Mark.MISSING, f"SUITE_CACHE: {error.problems[0].what}; {error.problems[0].fix}")
        return
    for name in cards.names():
        for variant_name, variant in cards.load(name).variants.items():
            found = _variant(variant)
            head, where = f"data {name}, variant {variant_name}: ", availability(name, variant_name)
            bad = found.mark in (Mark.WARNING, Mark.MISSING)
            yield replace(found, text=head + found.text if bad else where.line, detail=head + found.detail,
                          group=Group.BY_HAND if bad else where.group)


def _variant(variant: Variant) -> Finding:
    """Whether the files of a variant are available and intact. The text says what is wrong."""
    if not variant.files:  # from the hub, which is not contacted, or generated
        return Finding(Mark.ABSENT if variant.hub else Mark.OK, "", variant.way)
    for file in variant.files.values():
        # Only files of a clone must exist. Others are obtained by the user, as their licence may forbid redistribution.
        try:
            path = file.find()
        except UserError as error:
            mark = Mark.MISSING if file.ours and not resources.is_installed() else Mark.ABSENT
            return Finding(mark, "its files are missing", f"missing: {error.problems[0].what}. {variant.way}")
        if file.sha256 and atomic.sha256_of(path) != file.sha256 and not same_rows(path, file):
            return Finding(Mark.MISSING if file.ours else Mark.WARNING,
                           f"{path.name} is not the file described in the card",
                           f"{path} is not the file described in the card (sha256 differs). {variant.way}")
    return Finding(Mark.OK, "", "found")
