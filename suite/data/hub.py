"""Data sets of the Hugging Face hub, by `datasets.load_dataset`. If one is missing, the error says how to get it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from suite.data.card_file import Hub
from suite.errors import UserError


def rows(hub: Hub, split: str, place: str, ways: str) -> Any:
    """A split of the data set as a Hugging Face Dataset, with columns as named by the suite. Downloaded if necessary.

    `place` and `ways` are for errors: which data set it is, and how to get it.
    Raises UserError without a network, if the download stops, and if the hub has the data in another form.
    """
    datasets = library()
    with explained(hub, place, ways):
        table = datasets.load_dataset(hub.repo, hub.config, split=hub.splits[split], revision=hub.revision)
    lacking = [theirs for theirs in hub.columns.values() if theirs not in table.column_names]
    if lacking:
        raise UserError(f"{hub.repo} lacks the columns {', '.join(lacking)}; it has {', '.join(table.column_names)}",
                        place, ways)
    return table.rename_columns({theirs: ours for ours, theirs in hub.columns.items() if ours != theirs})


def check(hub: Hub, place: str, ways: str) -> None:
    """Raises UserError if there is no local copy and the hub cannot be reached. Downloads only a description."""
    datasets = library()
    with explained(hub, place, ways):
        datasets.load_dataset_builder(hub.repo, hub.config, revision=hub.revision)


def is_here(hub: Hub) -> bool:
    """Whether this revision of the data set is in the local cache of the hub. Only looks for its folder."""
    return (folder(hub) / "snapshots" / hub.revision).is_dir()


def folder(hub: Hub) -> Path:
    """The folder of a data set in the local cache of the hub."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # no home: no error
    home = Path(os.environ.get("HF_HOME") or Path(caches, "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    return cache / f"datasets--{hub.repo.replace('/', '--')}"


@contextmanager
def explained(hub: Hub, where: str, ways: str) -> Iterator[None]:
    """Turn the errors of `datasets` into one UserError that says what happened and what to do."""
    import pyarrow as pa
    from datasets.exceptions import DatasetGenerationError
    from huggingface_hub.errors import EntryNotFoundError, HTTPError, RepositoryNotFoundError, RevisionNotFoundError

    place = f"{hub.repo} at revision {hub.revision[:12]}"
    try:
        yield
    except (pa.ArrowException, DatasetGenerationError, HTTPError, ValueError, RuntimeError, OSError) as error:
        if isinstance(error, ConnectionError):
            what = (f"{place} is not in the local cache of the Hugging Face hub, which cannot be reached: there is no "
                    "network, or HF_HUB_OFFLINE is set" + (", as it is in a cluster job"
                                                               if os.environ.get("SLURM_JOB_ID") else ""))
        elif any(isinstance(e, (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError))
                 for e in causes(error)):
            what = f"the Hugging Face hub does not have {place}: {cause(error)}"
        else:
            what = f"the download of {place} was interrupted, or is damaged: {cause(error)}"
        raise UserError(what, where, ways) from error


def library() -> Any:
    """The package `datasets`, configured not to retry (for 24 s) if the name of the hub cannot be resolved.

    In a cluster job it is configured to use only the local cache.
    """
    proxies = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    host = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co").hostname
    if os.environ.get("SLURM_JOB_ID"):
        os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded in a cluster job
        for module in ("datasets.config", "huggingface_hub.constants"):  # these read it on import
            if module in sys.modules:
                vars(sys.modules[module])["HF_HUB_OFFLINE"] = True
    elif "datasets" not in sys.modules and not proxies:
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            os.environ["HF_HUB_OFFLINE"] = "1"  # `datasets` reads it on import
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()  # a log file is not a terminal
    return datasets


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        seen.append(found)
        yield found
        found = found.__cause__ or found.__context__


def cause(error: BaseException) -> str:
    """The first line of the innermost error. `datasets` wraps errors in messages that do not say what happened."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
