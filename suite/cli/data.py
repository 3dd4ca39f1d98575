"""The command data: lists data sets, prepares them before the runs, checks them, and shows examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suite.cli.data_check import check
from suite.cli.data_choice import chosen_data, tasks, variants
from suite.cli.data_list import list_
from suite.cli.data_prepare import prepare
from suite.cli.other_requests import DataRequest
from suite.data import cards, prepared, progress_bar
from suite.errors import Problems, UserError
from suite.files import resources, study

if TYPE_CHECKING:
    from suite.grid.model import Grid

GRID = (".yaml", ".yml")


def main(request: DataRequest) -> int:
    """Perform an action. Returns 1 if a check finds damage, or if nothing could be prepared.

    In the folder of a study, its data sets are available as well. Raises UserError.
    """
    if (Path.cwd() / "datasets").is_dir():
        study.add([Path.cwd()])
    _check_request(request)
    grids = [name for name in request.names if is_grid(name)]
    names = [name for name in request.names if name not in grids]
    for name in names:
        cards.load(name)  # reports unknown names before anything starts
    chosen = [(name, variant) for name in names or ([] if grids else cards.names())
              for variant in variants(name, request.variant)]
    if request.action == "prepare":
        return prepare(chosen, request, loaded(grids, request))
    return ACTIONS[request.action](chosen, request)


def loaded(names: Sequence[str], request: DataRequest) -> list[Grid]:
    """Load the grids, with the runs that the request selects. Raises UserError with the problems of all of them."""
    from suite.grid.expand import load_grid

    problems = Problems()
    grids: list[Grid] = []
    for name in dict.fromkeys(names):
        try:
            grids.append(load_grid(Path(name), request.profile, request.sets, request.only, request.seeds))
        except UserError as error:
            problems.add(*error.problems)
    problems.raise_if_any()
    return grids


def is_grid(name: str) -> bool:
    """Whether this is the name of a grid file, or a grid of the suite, rather than a data set."""
    return Path(name).suffix in GRID or name.startswith(resources.PREFIX)


def _check_request(request: DataRequest) -> None:
    """Raises UserError for options that do not go together."""
    where = f"data {request.action}"
    grids = [name for name in request.names if is_grid(name)]
    if request.action in ("prepare", "show") and not request.names:
        raise UserError("no data set was given", where, f"name one or several of {', '.join(cards.names())}"
                        + ("; or grid files" if request.action == "prepare" else ""))
    if request.sets and request.action in ("list", "check"):
        raise UserError("--set is only for prepare and show", where, "leave it out")
    if grids and request.action != "prepare":
        raise UserError(f"{grids[0]} is a grid file", where, "name data sets, or `data prepare` it")
    if grids and (request.variant or request.task):
        raise UserError("--variant and --task are for names of data sets; a grid defines the data of its runs", where,
                        "select runs with --only, or name data sets")
    of_grids = {"--profile": request.profile, "--only": request.only, "--seeds": request.seeds}
    if given := [option for option, value in of_grids.items() if value and not grids]:
        raise UserError("selects runs of a grid, but no grid file was given", ", ".join(given),
                        "leave it out, or `data prepare` a grid file")
    if grids and request.sets and len(grids) < len(request.names):
        raise UserError("--set has different meanings for a grid and for a data set", where,
                        "name either grids or data sets")
    if request.origin and (request.action != "prepare" or not request.variant or len(request.names) != 1):
        raise UserError("--from needs one data set and its variant", where,
                        "e.g. data prepare cifar10 --variant jpeg --from PATH")


def show(chosen: list[tuple[str, str]], request: DataRequest) -> int:
    """Write a picture of a few examples for each task, from the first chosen variant that is available."""
    from suite.report import examples

    for name in dict.fromkeys(name for name, _ in chosen):
        ways = [variant for other, variant in chosen if other == name]
        for task in tasks(name, request.task):
            with progress_bar.shown():
                data = first_available(name, ways, task, request.sets)
            labels = cards.load(name).variants[data.variant].labels
            path = examples.write(name, data, labels, request.out / f"data-{name}-{data.variant}-{task}.png")
            print(f"wrote {path}")
    return 0


def first_available(name: str, ways: list[str], task: str, sets: Sequence[str]) -> prepared.TaskData:
    """The data of the first variant that is available. If none is, raises the UserError of the last one."""
    for variant in ways:
        try:
            return prepared.load(chosen_data(name, variant, task, sets), task)
        except UserError:
            if variant == ways[-1]:
                raise
    raise AssertionError("every data set has a variant")


ACTIONS = {"list": list_, "check": check, "show": show}
