"""The verb `data`: what data there are, preparing them ahead of the runs, checking them, and looking at them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.cli.requests import DataRequest
from suite.config import own_data
from suite.config.fields import Data, Flat
from suite.data import cache, cards, checks, cifar_jpeg, download, hub, places, prepared, progress_bar, stamps
from suite.data.families import FAMILIES, family
from suite.data.prepared_types import Prepared
from suite.data.source import Source
from suite.data.wanted import wanted as of_run
from suite.errors import UserError, nearest
from suite.files import atomic, study

if TYPE_CHECKING:
    from suite.config.run_config import RunConfig

GRID = (".yaml", ".yml")
WIDTH = 120  # of a line of the list
HERE = "here"
REMOTE = "can be downloaded: python run_grid.py data prepare NAME --variant VARIANT"
BY_HAND = "needs you: `data list NAME --verbose` says where it is from"
ANEW = "remove the folder, and it is made anew"


def main(request: DataRequest) -> int:
    """Does one of the actions; returns 1 where a check finds damage, or where nothing could be prepared.

    In the folder of a study, its data are known.
    """
    if (Path.cwd() / "datasets").is_dir():
        study.add([Path.cwd()])
    _check_request(request)
    grids = [name for name in request.names if Path(name).suffix in GRID]
    names = [name for name in request.names if name not in grids]
    for name in names:
        cards.load(name)  # all are known, before anything starts
    chosen = [(name, variant) for name in names or ([] if grids else cards.names())
              for variant in variants(name, request.variant)]
    if request.action == "prepare":
        return prepare(chosen, request, [Path(grid) for grid in grids])
    return ACTIONS[request.action](chosen, request)


def _check_request(request: DataRequest) -> None:
    """Raises UserError for options that do not go together."""
    where = f"data {request.action}"
    grids = [name for name in request.names if Path(name).suffix in GRID]
    if request.action in ("prepare", "show") and not request.names:
        raise UserError("no data set is named", where, f"one or several of {', '.join(cards.names())}"
                        + ("; or grid files" if request.action == "prepare" else ""))
    if request.sets and request.action in ("list", "check"):
        raise UserError("--set goes with prepare and show", where, "leave it out")
    if grids and request.action != "prepare":
        raise UserError(f"{grids[0]} is a grid file", where, "name data sets, or `data prepare` it")
    if grids and (request.variant or request.sets or request.task):
        raise UserError("--variant, --task and --set go with names of data sets: a grid says what its runs need", where,
                        "leave them out, or name data sets")
    if request.origin and (request.action != "prepare" or not request.variant or len(request.names) != 1):
        raise UserError("--from needs one data set and its variant", where,
                        "e.g. data prepare cifar10 --variant jpeg --from PATH")


def variants(name: str, wanted: str | None) -> list[str]:
    """The variants to work on: the one that is wanted, else all."""
    card = cards.load(name)
    return [wanted] if wanted and card.variant(wanted) else list(card.variants)


def list_(chosen: list[tuple[str, str]], request: DataRequest) -> int:
    """Prints a line for each variant: what is here, can be downloaded, or needs the user; or, verbose, all of it."""
    if request.verbose:
        return list_all(chosen)
    groups: dict[str, list[str]] = {HERE: [], REMOTE: [], BY_HAND: []}
    for name, variant in chosen:
        group, size = standing(name, variant)
        line = f"  {name + ' ' + variant:<25} {size:>8}  {cards.load(name).variants[variant].first_line}"
        groups[group].append(line if len(line) <= WIDTH else f"{line[:WIDTH - 1]}…")
    for group, lines in groups.items():
        if lines:
            print(group, *lines, sep="\n")
    print(f"{places.downloads()}: downloads, after SUITE_DATA; {cache.folder()}: prepared data (SUITE_CACHE)"
          if request.names else "`data list --verbose`: sources, licences, places, and what is prepared")
    return 0


def standing(name: str, variant: str) -> tuple[str, str]:
    """Whether a variant is here, can be downloaded, or needs the user; and its size here, or to get."""
    card = cards.load(name).variants[variant]
    mb = sum(file["size"] for _, meta in cache.entries(name, variant) for file in meta["files"].values()) / 1e6
    here = f"{mb:,.0f} MB" if mb else ""
    if card.hub:
        return (HERE, here) if mb or hub.is_here(card.hub) else (REMOTE, f"{card.download_mb:,.0f} MB")
    lacking = download.absent(card, card.files)
    if not lacking:
        return HERE, here
    addresses = {file: address for file, address in lacking.items() if address}
    if len(addresses) == len(lacking):
        return REMOTE, f"{download.size_of(addresses) / 1e6:,.0f} MB"
    return (HERE, here) if mb else (BY_HAND, f"{card.download_mb:,.0f} MB")


def list_all(chosen: list[tuple[str, str]]) -> int:
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
    print(f"data are looked for in {os.environ.get('SUITE_DATA') or 'SUITE_DATA, which is not set'}, then in "
          f"{places.downloads()}, where downloads go")
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


def prepare(chosen: list[tuple[str, str]], request: DataRequest, grids: Sequence[Path]) -> int:
    """Downloads and prepares what the grids and the chosen variants need; names what cannot be had.

    Of a data set without a variant: downloads only `original`, and prepares every variant that is here. Raises
    UserError where just one variant was asked for, or a grid; else returns 1 where nothing could be prepared.
    """
    wanted = {(config.data.canonical, config.task): (config.data, config.task) for config in configs(grids, request)}
    needed = list(wanted.values())
    asked = [(chosen_data(name, variant, task, request.sets), task)
             for name, variant in chosen for task in tasks(name, request.task)]
    if request.origin:
        build(request.origin, *chosen[0])
    failed = fetched(needed + [(data, task) for data, task in asked if request.variant or data.variant == "original"])
    missing: dict[tuple[str, str], UserError] = {}
    for data, task in needed + asked:
        if (data.name, data.variant) in missing:
            continue
        try:
            made(data, task)
        except UserError as error:
            missing[data.name, data.variant] = error
    if missing and (grids or request.variant or request.sets):  # just this was asked for
        raise UserError(dict.fromkeys(p for error in failed or missing.values() for p in error.problems))
    for text in map(str, failed):
        print(f"not downloaded: {text}")
    for text in map(str, missing.values()):
        print(f"not prepared: {text}")
    return 1 if missing and len(missing) == len({(data.name, data.variant) for data, _ in needed + asked}) else 0


def configs(grids: Sequence[Path], request: DataRequest) -> list[RunConfig]:
    """The configurations of the runs of grid files. Raises UserError with the problems of the first that has some."""
    from suite.grid.expand import load_grid

    found = [run.config for path in grids for run in load_grid(path, request.profile).runs]
    return [config for config in found if config.kind == "train"]


def fetched(wanted: Sequence[tuple[Data, str]]) -> list[UserError]:
    """Download what these need and have a public address; the errors of those that failed."""
    failed: list[UserError] = []
    wants = [of_run(data, task) for data, task in wanted]
    download.fetch([want.source for want in wants if not want.is_prepared()], failed=failed.append)
    return failed


def build(origin: Path, name: str, variant: str) -> None:
    """Build the files of a variant from the images in `origin`. Raises UserError where that is not how it is made."""
    card = cards.load(name).variant(variant)
    if card.images is None:
        raise UserError(f"{name} {variant} is not built from images", "--from", "leave it out")
    for split, path in cifar_jpeg.build(origin, card).items():
        print(f"built {path}: {split}, digest of images, labels and order {card.files[split].rows_sha256}", flush=True)


def made(data: Data, task: str) -> None:
    """Prepare the data of a task and say what they are. Raises UserError where they cannot be had."""
    started = time.monotonic()
    with progress_bar.shown():
        found = prepared.load(data, task)
    counts = ", ".join(f"{split} {found.count(split):,}" for split in ("train", "val", "test"))
    mb = sum(array.nbytes for array in found.arrays.values()) / 1e6
    print(f"{data.name} {data.variant} for {task}: {counts}; length {found.length:,}; {mb:,.1f} MB; "
          f"{time.monotonic() - started:.1f} s; fingerprint {found.fingerprint[:16]}", flush=True)


def tasks(name: str, wanted: str | None) -> list[str]:
    """The tasks of a data set, one of those that share their arrays; or the one that is wanted."""
    views = dict(family(name).VIEWS) if name in FAMILIES or cards.load(name).prepare else {}
    if wanted is None:
        return list({view: task for task, view in reversed(views.items())}.values())[::-1]
    if wanted not in views:
        raise UserError(f"the data set {name!r} does not serve the task {wanted!r}", "--task", nearest(wanted, views))
    return [wanted]


def options(name: str, variant: str, sets: Sequence[str]) -> Flat:
    """The options of `--set`, read as YAML. Raises UserError for one that the card does not have."""
    from suite.files.yaml import parse_yaml

    found: Flat = {}
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
                    told += f"\n    {file}: {checked(source, file)}"
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


def checked(source: Source, file: str) -> str:
    """The sha256 of a file of a card, and what is recorded of its download. Raises UserError where they differ."""
    path = source.find(file)
    card, record = source.card.files[file], download.record_of(path)
    text = f"sha256 {card.sha256 or stamps.content(source, file)}"
    if card.rows_sha256:
        text = f"as on the card: its sha256, or the digest of images, labels and order {card.rows_sha256}"
    if record is None:
        return text
    address = source.card.address(file)
    if path.is_file() and address and not address.member and not source.card.images \
            and atomic.sha256_of(path) != record["digest"]:
        raise UserError(f"{path} is not as it was downloaded: its sha256 was {record['digest']}", source.place,
                        f"remove it, then {download.command(source.name, source.variant)}")
    return f"{text}; downloaded {record['time']} from {record['url']}, sha256 of the download {record['digest']}"


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


ACTIONS = {"list": list_, "check": check, "show": show}
