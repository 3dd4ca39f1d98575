"""The verb `data`: what data there are, preparing them ahead of the runs, checking them, and looking at them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from suite.cli.requests import DataRequest
from suite.config import own_data
from suite.config.fields import Data
from suite.data import cache, cards, checks, prepared, progress_bar, stamps
from suite.data.families import FAMILIES, family
from suite.data.prepared_types import Prepared
from suite.data.source import Source
from suite.errors import UserError, nearest
from suite.files import atomic, study

ANEW = "remove the folder, and it is made anew"


def main(request: DataRequest) -> int:
    """Does one of the actions; returns 1 where a check finds damage. In the folder of a study, its data are known."""
    if (Path.cwd() / "datasets").is_dir():
        study.add([Path.cwd()])
    if request.action in ("prepare", "show") and not request.names:
        raise UserError("no data set is named", f"data {request.action}",
                        f"one or several of {', '.join(cards.names())}")
    if request.sets and request.action in ("list", "check"):
        raise UserError("--set goes with prepare and show", f"data {request.action}", "leave it out")
    for name in request.names:
        cards.load(name)  # all are known, before anything starts
    chosen = [(name, variant) for name in request.names or cards.names() for variant in variants(name, request.variant)]
    return ACTIONS[request.action](chosen, request)


def variants(name: str, wanted: str | None) -> list[str]:
    """The variants to work on: the one that is wanted, else all."""
    card = cards.load(name)
    return [wanted] if wanted and card.variant(wanted) else list(card.variants)


def list_(chosen: list[tuple[str, str]], request: DataRequest) -> int:
    """Prints where each set is from, and every variant with its size, whether it is here, and what is prepared."""
    last = ""
    for name, variant in chosen:
        card = cards.load(name)
        if name != last:
            print(f"{name}: {card.title}\n  licence: {card.licence}. Tasks: {', '.join(card.tasks)}\n"
                  f"  source: {' '.join(card.source.split())}")
        last = name
        facts = card.variants[variant]
        counts = ", ".join(f"{split} {count:,}" for split, count in facts.counts.items())
        size = f"{facts.download_mb:,.0f} MB to get, " if facts.download_mb else ""
        print(f"  {variant}: {facts.first_line}\n    {counts or 'no fixed counts'}; {size}"
              f"about {facts.prepared_mb:,.0f} MB prepared")
        print(f"    {whereabouts(Source(name, variant, {}))}")
        for line in prepared_here(name, variant):
            print(f"    prepared: {line}")
    print(f"prepared data are kept in {cache.folder()} (SUITE_CACHE)")
    return 0


def whereabouts(source: Source) -> str:
    """Where the source of a variant is found, or that it is not here; uses no network."""
    if source.card.hub:
        return f"Hugging Face hub: {source.card.hub.repo} at revision {source.card.hub.revision[:12]}"
    if not source.card.files:
        return "made by a generator when asked for; needs no file"
    paths, missing = set(), []
    for file in source.card.files:
        try:
            paths.add(str(source.find(file)))
        except UserError as error:
            missing.append(error.problems[0].what)
    told = []
    if paths:
        told.append(f"found: {os.path.commonpath(paths)}" + (f", {len(paths)} files" if len(paths) > 1 else ""))
    if missing:
        told.append(f"not here: {missing[0]}" + (f", and {len(missing) - 1} more" if len(missing) > 1 else ""))
    return "; ".join(told)


def here(source: Source) -> Iterator[str]:
    """Names of the card's files that are in one of their places."""
    for file, entry in source.card.files.items():
        with suppress(UserError):
            entry.find()
            yield file


def prepared_here(name: str, variant: str) -> Iterator[str]:
    """For each entry of the cache: view, options that are not the default, size, fingerprint."""
    for path, meta in cache.entries(name, variant):
        mb = sum(file["size"] for file in meta["files"].values()) / 1e6
        yield (f"{told_options(meta['key'])}: {mb:,.1f} MB in {meta['seconds']:.1f} s, fingerprint "
               f"{meta['fingerprint'][:16]}, {path.name}")


def told_options(key: Mapping[str, Any]) -> str:
    """The view, and the options that differ from the card's default."""
    options = cards.load(key["name"]).variants[key["variant"]].options
    changed = [f"{name}={key[name]}" for name, option in options.items()
               if name in key and key[name] != option.default]
    return ", ".join([key["view"], *changed])


def prepare(chosen: list[tuple[str, str]], request: DataRequest) -> int:
    """Prepares the data of every task of the chosen variants that can be had here; names the others."""
    missing: list[str] = []
    for name, variant in chosen:
        for task in tasks(name, request.task):
            config = chosen_data(name, variant, task, request.sets)
            started = time.monotonic()
            try:
                with progress_bar.shown():
                    data = prepared.load(config, task)
            except UserError as error:
                if request.variant or request.sets:  # just this was asked for
                    raise
                missing.append(str(error))
                break
            counts = ", ".join(f"{split} {data.count(split):,}" for split in ("train", "val", "test"))
            mb = sum(array.nbytes for array in data.arrays.values()) / 1e6
            print(f"{name} {variant} for {task}: {counts}; length {data.length:,}; {mb:,.1f} MB; "
                  f"{time.monotonic() - started:.1f} s; fingerprint {data.fingerprint[:16]}", flush=True)
    for text in missing:
        print(f"not prepared: {text}")
    return 1 if len(missing) == len(chosen) else 0


def tasks(name: str, wanted: str | None) -> list[str]:
    """The tasks of a data set, one of those that share their arrays; or the one that is wanted."""
    views = dict(family(name).VIEWS) if name in FAMILIES or cards.load(name).prepare else {}
    if wanted is None:
        return list({view: task for task, view in reversed(views.items())}.values())[::-1]
    if wanted not in views:
        raise UserError(f"the data set {name!r} does not serve the task {wanted!r}", "--task", nearest(wanted, views))
    return [wanted]


def options(name: str, variant: str, sets: Sequence[str]) -> dict[str, Any]:
    """The options of `--set`, read as YAML. Raises UserError for one that the card does not have."""
    from suite.files.yaml import parse_yaml

    found: dict[str, Any] = {}
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"{text!r} sets nothing", "--set", "write OPTION=VALUE, e.g. pool=2")
        found[key.removeprefix("data.")] = parse_yaml(f"value: {value}", "--set").plain()["value"]
    cards.resolve({"name": name, "variant": variant} | found)
    return found


def chosen_data(name: str, variant: str, task: str, sets: Sequence[str]) -> Data:
    """The data fields of a run on that task."""
    made = {"name": name, "variant": variant, **options(name, variant, sets)}
    own_data.fill(made, task)
    return Data(**made)


def check(chosen: list[tuple[str, str]], request: DataRequest) -> int:
    """Reads every byte of the sources that are here and of what is prepared; returns 1 where something is damaged."""
    damaged = 0
    for name, variant in chosen:
        source = Source(name, variant, {})
        told = whereabouts(source)
        try:
            with progress_bar.shown():
                for file in here(source):
                    source.path(file)
                    told += f"\n    {file}: sha256 {source.card.files[file].sha256 or stamps.content(source, file)}"
        except UserError as error:
            damaged += 1
            told = f"DAMAGED: {error}"
        print(f"{name} {variant}: {told}")
        for path, meta in cache.entries(name, variant):
            bad = [f["file"] for f in meta["files"].values() if atomic.sha256_of(path / f["file"]) != f["sha256"]]
            state = f"DAMAGED: {', '.join(bad)}; {ANEW}" if bad else unusable(path, source)
            damaged += bool(state)
            print(f"    prepared {told_options(meta['key'])}, {path.name}: {state or 'good'}")
    print(f"{damaged} damaged" if damaged else "nothing is damaged")
    return 1 if damaged else 0


def unusable(path: Path, source: Source) -> str:
    """What is wrong with the values of an entry of the cache, as one made before values were checked may hold them."""
    entry = cache.read_entry(path)
    if entry is None:
        return f"DAMAGED: {cache.META}; {ANEW}"
    try:
        checks.check(Prepared(entry.facts, entry.arrays), source.place)
    except UserError as error:
        return f"DAMAGED: {error}; then remove the folder"
    return ""


def show(chosen: list[tuple[str, str]], request: DataRequest) -> int:
    """Writes a picture of a few examples of each task of the first chosen variant that can be had here."""
    from suite.report import examples

    for name in dict.fromkeys(name for name, _ in chosen):
        ways = [variant for other, variant in chosen if other == name]
        for task in tasks(name, request.task):
            with progress_bar.shown():
                data = first_here(name, ways, task, request.sets)
            labels = cards.load(name).variants[data.variant].labels
            path = examples.write(name, data, labels, request.out / f"data-{name}-{data.variant}-{task}.png")
            print(f"wrote {path}")
    return 0


def first_here(name: str, ways: list[str], task: str, sets: Sequence[str]) -> prepared.TaskData:
    """The data of the first of the variants that can be had here. Raises UserError of the last where none can."""
    for variant in ways:
        try:
            return prepared.load(chosen_data(name, variant, task, sets), task)
        except UserError:
            if variant == ways[-1]:
                raise
    raise AssertionError("every data set has a variant")


ACTIONS = {"list": list_, "prepare": prepare, "check": check, "show": show}
