"""Preparation of data before the runs: download, build from an archive if needed, prepare."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suite.cli.data_choice import chosen_data, tasks
from suite.cli.other_requests import DataRequest
from suite.config.fields import Data
from suite.data import download, lacking, originals, parquet, prepared, progress_bar
from suite.data.source import Source
from suite.data.wanted import wanted as of_run
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.grid.model import Grid


def prepare(chosen: list[tuple[str, str]], request: DataRequest, grids: Sequence[Grid]) -> int:
    """Download and prepare the data of the grids and of the chosen variants, and print what is not available.

    Without `--variant`, only `original` is downloaded, and every available variant is prepared. Raises UserError for
    missing data if a grid, a variant or options were given. Otherwise returns 1 if nothing could be prepared.
    """
    needed = data_of(grids)
    asked = [(chosen_data(name, variant, task, request.sets), task)
             for name, variant in chosen for task in tasks(name, request.task)]
    if request.origin:
        build(request.origin, *chosen[0])
    failed = fetched(needed + [(data, task) for data, task in asked if request.variant or data.variant == "original"])
    missing: dict[tuple[str, str], UserError] = {}
    other: list[UserError] = []  # missing for a reason other than a failed download
    for data, task in needed + asked:
        if (data.name, data.variant) in missing:
            continue
        try:
            made(data, task)
        except UserError as error:
            missing[data.name, data.variant] = error
            if not failed or not lacking.to_download(of_run(data, task).source):
                other.append(error)
    if missing and (grids or request.variant or request.sets):
        raise UserError(dict.fromkeys(p for error in [*failed, *other] for p in error.problems))
    if grids:
        print(f"all data of these runs are prepared; to start them: {lacking.command_of(grids, '')}")
    for text in map(str, failed):
        print(f"not downloaded: {text}")
    for text in map(str, missing.values()):
        print(f"not prepared: {text}")
    return 1 if missing and len(missing) == len({(data.name, data.variant) for data, _ in needed + asked}) else 0


def data_of(grids: Iterable[Grid]) -> list[tuple[Data, str]]:
    """The distinct pairs of data and task of the trainings of these grids."""
    configs = [run.config for grid in grids for run in grid.runs if run.config.kind == "train"]
    return list({(config.data.canonical, config.task): (config.data, config.task) for config in configs}.values())


def fetched(wanted: Sequence[tuple[Data, str]]) -> list[UserError]:
    """Download sources that have a public address. Returns the errors of failed downloads."""
    failed: list[UserError] = []
    wants = [of_run(data, task) for data, task in wanted]
    download.fetch([want.source for want in wants if not want.is_prepared()], failed=failed.append)
    return failed


def build(origin: Path, name: str, variant: str) -> None:
    """Build the files of a variant from `origin`. Raises UserError if the variant is not built from an archive."""
    source = Source(name, variant, {})
    if source.card.archive is None:
        raise UserError(f"{name} {variant} is not built from an archive", "--from", "leave it out")
    for path in originals.build(origin, [source]):
        print(f"built {path}: digest of its rows {parquet.rows_digest(path)}, as on the card", flush=True)


def made(data: Data, task: str) -> None:
    """Prepare the data of a task and print a line about them. Raises UserError if they are not available."""
    started = time.monotonic()
    with progress_bar.shown():
        found = prepared.load(data, task)
    counts = ", ".join(f"{split} {found.count(split):,}" for split in ("train", "val", "test"))
    mb = sum(array.nbytes for array in found.arrays.values()) / 1e6
    print(f"{data.name} {data.variant} for {task}: {counts}; length {found.length:,}; {mb:,.1f} MB; "
          f"{time.monotonic() - started:.1f} s; fingerprint {found.fingerprint[:16]}", flush=True)
