"""Checks that prepared arrays meet the assumptions of training: once, before they are kept, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from suite.data.padding import Padding
from suite.data.prepared_types import Facts, Prepared
from suite.data.tasks import Task
from suite.errors import UserError

SPLITS = ("train", "val", "test")
LARGEST = float(np.finfo(np.float32).max)  # largest value that a model can take
FORM = "see the docstring of Prepared in suite/data/prepared_types.py for what `prepare` returns"
ROW = "correct the row in the source file, or leave it out in `prepare`"


def fits(facts: Facts, task: Task, place: str) -> None:
    """Raises UserError if data with these facts do not fit `task`."""
    given = "values" if facts.vocabulary is None else "tokens"
    if (given == "values") != (task.inputs == "values"):
        raise UserError(f"the task {task.name} has {task.inputs}, but the facts are those of {given}", place,
                        "set `channels` of Facts for values, `vocabulary` for tokens and pairs")
    if task.classes not in (None, facts.classes):
        raise UserError(f"the task {task.name} has {task.classes} classes in the card, but in Facts "
                        f"{facts.classes}", place, "correct one of them")
    if (facts.classes is None) == task.has_classes:
        raise UserError(f"the task {task.name} is measured by {task.metric}, but `classes` is {facts.classes}", place,
                        "set `classes` of Facts for accuracy, leave it out for rmse; or name another task in VIEWS")


def check(made: Prepared, place: str) -> None:
    """Raises UserError, with data set, split and row, for arrays that training cannot use."""
    if not isinstance(made, Prepared):
        raise UserError(f"`prepare` returned {type(made).__name__}, not Prepared", place, FORM)
    facts, arrays = made.facts, made.arrays
    inputs = "x" if facts.vocabulary is None else "documents"
    if (facts.channels is None) == (facts.vocabulary is None):
        raise UserError("Facts need either `channels` or `vocabulary`", place, FORM)
    needed = [f"{split}/{part}" for split in SPLITS for part in (inputs, "y")]
    odd = [name for name, array in arrays.items() if not isinstance(array, np.ndarray) or not array.ndim]
    if odd:
        raise UserError(f"not NumPy arrays: {', '.join(odd)}", place, FORM)
    lacking = [name for name in needed + ["tokens", "starts"] * (inputs == "documents") if name not in arrays]
    if lacking:
        raise UserError(f"no array {', '.join(lacking)}; there are {', '.join(sorted(arrays)) or 'none'}", place, FORM)
    if inputs == "documents":
        _texts(arrays, facts, place)
    padding = Padding.of(arrays)
    stored = facts if padding is None else replace(facts, length=facts.length - padding.steps)
    _statistics(arrays, stored, place)
    for split in SPLITS:
        where = f"{place}, {split}"
        x, y = arrays[f"{split}/{inputs}"], arrays[f"{split}/y"]
        if not len(y) or len(x) != len(y):
            raise UserError(f"{len(x)} rows of {inputs} and {len(y)} of y", where, "both need the same number")
        _targets(y, facts.classes, where)
        if inputs == "x":
            _values(x, stored, where)
        else:
            _documents(x, arrays["starts"], facts.length, where)


def _targets(y: np.ndarray, classes: int | None, where: str) -> None:
    kind = np.dtype(np.float32 if classes is None else np.int64)
    if y.ndim != 1 or y.dtype != kind:
        raise UserError(f"y is {y.dtype} of shape {y.shape}, not {kind} of shape (n,): `classes` is {classes}", where,
                        f"give it as {kind}, or set `classes` of Facts")
    if classes is None:
        _finite(y, "the target", where)
    elif y.min() < 0 or y.max() >= classes:
        row = int(np.flatnonzero((y < 0) | (y >= classes))[0])
        raise UserError(f"row {row} has the label {y[row]}; labels are 0 to {classes - 1}, as `classes` is {classes}",
                        where, f"{ROW}, or set `classes` of Facts")


def _values(x: np.ndarray, facts: Facts, where: str) -> None:
    if x.shape[1:] != (facts.length, facts.channels):
        raise UserError(f"x has the shape {x.shape}, not (n, {facts.length}, {facts.channels}) as `length` and "
                        "`channels` of Facts say", where, FORM)
    _finite(x, "a value of x", where)


def _finite(x: np.ndarray, what: str, where: str) -> None:
    """Raises UserError for a value that is not finite. Minimum and maximum show this without a copy of the array. Only
    then is the row searched."""
    if x.dtype.kind not in "biuf":
        raise UserError(f"{what} is {x.dtype}, not a number", where, FORM)
    if x.dtype.kind != "f" or (x.min() >= -LARGEST and x.max() <= LARGEST):  # a comparison with NaN is false
        return
    row, bad = next((k, one[~(np.abs(one) <= LARGEST)]) for k, one in enumerate(np.reshape(x, (len(x), -1)))
                    if not (np.abs(one) <= LARGEST).all())
    raise UserError(f"row {row} has {what} that is not a finite float32: {bad[0]}", where, ROW)


def _statistics(arrays: Mapping[str, np.ndarray], facts: Facts, place: str) -> None:
    given = [name for name in ("offset", "scale") if name in arrays]
    if len(given) == 1:
        raise UserError(f"there is an array {given[0]}, but offset and scale are needed together", place, FORM)
    for name in given:
        if arrays[name].shape not in ((facts.length, facts.channels), (1, facts.channels)):
            raise UserError(f"{name} has the shape {arrays[name].shape}, not ({facts.length} or 1, {facts.channels})",
                            place, FORM)
        _finite(arrays[name], f"a value of {name}", place)


def _texts(arrays: Mapping[str, np.ndarray], facts: Facts, place: str) -> None:
    tokens, starts, vocabulary = arrays["tokens"], arrays["starts"], facts.vocabulary or 0
    _check_integers({"tokens": tokens, "starts": starts}.items(), place)
    if len(starts) < 2 or starts[0] != 0 or starts[-1] != len(tokens) or (np.diff(starts.astype(np.int64)) < 0).any():
        raise UserError(f"`starts` does not increase from 0 to the number of tokens, {len(tokens)}", place, FORM)
    if len(tokens) and (tokens.min() < 0 or tokens.max() >= vocabulary):
        at = int(np.flatnonzero((tokens < 0) | (tokens >= vocabulary))[0])
        document = int(np.searchsorted(starts, at, side="right")) - 1
        raise UserError(f"document {document} has the token {tokens[at]}; tokens are 0 to {vocabulary - 1}, as "
                        f"`vocabulary` is {vocabulary}", place, f"{ROW}, or set `vocabulary` of Facts")


def _documents(documents: np.ndarray, starts: np.ndarray, longest: int, where: str) -> None:
    pairs = documents.ndim == 2 and documents.shape[1] == 2
    _check_integers([("documents", documents[:, 0] if pairs else documents)], where)
    bad = (documents < 0) | (documents >= len(starts) - 1)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise UserError(f"row {row} names the document {documents[bad][0]}; there are {len(starts) - 1}", where, FORM)
    lengths = starts[documents + 1] - starts[documents]
    bad = (lengths < 1) | (lengths > longest)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise UserError(f"row {row} has {lengths[bad][0]} tokens; 1 to {longest} are allowed, as `length` is {longest}",
                        where, f"{ROW}, or set `length` of Facts")


def _check_integers(arrays: Iterable[tuple[str, np.ndarray]], where: str) -> None:
    for name, array in arrays:
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise UserError(f"`{name}` is {array.dtype} of shape {array.shape}, not a one-dimensional array of "
                            "integers", where, FORM)
