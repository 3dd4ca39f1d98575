"""The JSON files of a report: `<grid>.cells.json`, `index.json`, and `frozen.json` of kept results.

The same classes write and read them. The order of the fields is the order of the keys in the file. Unknown keys are
ignored and kept, because a newer release may have written them. Keys that older releases did not write have defaults.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import field
from typing import TypeVar

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

# Fields that earlier releases did not write. They are left out if they have no value.
LATER = ("over_examples", "over_examples_df", "for_such_examples", "so_far", "p_from_best", "near_best")
SEEDS = ("seeds", "added")
MORE = ConfigDict(extra="allow")


@dataclass(frozen=True, kw_only=True, config=MORE)
class PublishedRecord:
    """A cell compared with one published number; the fields are those of `tables.table.Judged`."""

    table: str
    row: str
    column: str
    text: str = ""
    value: float | None = None
    std: float | None = None
    difference: float | None = None
    interval: Sequence[float] | None = None
    verdict: str = ""
    reason: str = ""
    remark: str = ""


@dataclass(frozen=True, kw_only=True, config=MORE)
class SoFarRecord:
    """The mean over unfinished runs of a cell; the fields are those of `tables.so_far.SoFar`."""

    mean: float
    epoch: int
    epochs: int
    n: int


@dataclass(frozen=True, kw_only=True, config=MORE)
class CellRecord:
    """A cell of a table; the fields are those of `tables.table.Cell`, `values` by seed.

    `over_examples` is the 95 % interval of the mean over seeds and examples, None if it is unknown.
    """

    table: str
    row: str
    column: str
    mean: float | None = None
    std: float | None = None
    interval: Sequence[float] | None = None
    n: int = 0
    state: str = ""
    reason: str = ""
    run_ids: Sequence[str] = ()
    unit: str = ""
    metric: str = ""
    epoch: str | int = ""
    values: dict[str, float] | None = None
    text: str = ""
    base: str = ""
    so_far: SoFarRecord | None = None
    p_from_best: float | None = None
    near_best: bool = False
    over_examples: Sequence[float] | None = None
    published: Sequence[PublishedRecord] = ()


@dataclass(frozen=True, kw_only=True, config=MORE)
class ComparisonRecord:
    """One comparison within a claim; `bounds` has None for an open side.

    `low` to `high` is the interval over seeds, `over_examples` the one over seeds and examples (None if unknown).
    """

    words: str
    unit: str = ""
    bounds: Sequence[float | None] | None = None
    p_holds: float | None = None
    p_fails: float | None = None
    n: Sequence[int] = ()
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    df: float | None = None
    g: float | None = None
    test: str = ""
    examples: int | None = None
    over_examples: Sequence[float] | None = None
    over_examples_df: float | None = None
    why: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, config=MORE)
class ClaimRecord:
    """The verdict on a claim. `note` is always empty; it is kept for programs that read it.

    `for_such_examples`: whether the verdict also holds over seeds and examples; None if unknown.
    """

    id: str
    text: str = ""
    source: str = ""
    table: str = ""
    kind: str = ""
    verdict: str = ""
    words: str = ""
    reason: str = ""
    p: float | None = None
    adjusted_p: float | None = None
    level: float | None = None
    seeds: int | None = None
    family: str = ""
    of_family: int = 1
    alpha: float | None = None
    declared: str = ""
    for_such_examples: bool | None = None
    note: str = ""
    evidence: str = ""
    comparisons: Sequence[ComparisonRecord] = ()


@dataclass(frozen=True, kw_only=True, config=MORE)
class ReportRecord:
    """`<grid>.cells.json`: cells, claims, digests of the files, and the `text` that an unchanged report prints."""

    fingerprint: str
    grid: str = ""
    profile: str = ""
    cells: Sequence[CellRecord] = ()
    claims: Sequence[ClaimRecord] = ()
    warnings: Sequence[str] = ()
    files: dict[str, str]
    text: str


@dataclass(frozen=True, kw_only=True, config=MORE)
class IndexRecord:
    """`index.json`: the digests of the files that cover all grids."""

    fingerprint: str
    files: dict[str, str]
    text: str = ""


@dataclass(frozen=True, config=MORE)
class Manifest:
    """`frozen.json`: the grids of kept results, as paths relative to their folder, and the options that selected runs.

    `added` has the seeds that are not in the grids' own lists.
    """

    grids: list[str]
    profile: str | None
    set: list[str]
    only: list[str]
    seeds: int | None = None
    added: list[int] = field(default_factory=list)


Record = TypeVar("Record", ReportRecord, IndexRecord, Manifest)


def read_record(kind: type[Record], content: bytes) -> Record:
    """The record in a file. Raises ValueError if the content is not JSON, or if a field is missing or invalid."""
    return TypeAdapter(kind).validate_json(content)


def to_bytes(record: ReportRecord | IndexRecord | Manifest) -> bytes:
    """The content of the file. Raises ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(record, default=_plain, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _plain(record: object) -> dict[str, object]:
    """The fields of a record, without those of LATER that have no value.

    In a manifest, `seeds` and `added` are left out if they are empty.
    """
    def left_out(name: str, value: object) -> bool:
        return name in LATER and value in (None, False) or isinstance(record, Manifest) and name in SEEDS and not value

    return {name: value for name, value in vars(record).items() if not left_out(name, value)}
