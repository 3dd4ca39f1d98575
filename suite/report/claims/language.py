"""The language of claims, `reports/claims.yaml`: sentences fixed beforehand as comparisons of rows of a table.

A claim names its table (a layout's or, without one, the grid's), the rows that it compares, and the columns in which.
A claim with `rows` in the place of `columns` compares columns. Numbers are in the unit that the table shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from suite.errors import Problem, UserError, nearest
from suite.files.yaml import Node, load_yaml
from suite.files.yaml_model import NAME, Part, validated
from suite.report.statistics.ranks import Statistic
from suite.report.tables.layout import Epoch, default_layout, label_text

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.metric import Metric
    from suite.report.tables.table import Table

Kind = Literal["better", "worse", "noninferior", "equivalent", "order", "keeps", "collapses", "solves", "correlation"]
KEYS: dict[str, tuple[set[str], set[str]]] = {  # kind: the keys that it must have, and those that it may have
    "better": (set(), {"margin", "of_pairs", "level"}),
    "worse": (set(), {"margin", "of_pairs", "level"}),
    "noninferior": ({"margin"}, {"of_pairs", "level"}),
    "equivalent": ({"margin"}, {"of_pairs", "level"}),
    "order": ({"chain"}, set()),
    "keeps": ({"share"}, {"of_pairs"}),
    "collapses": ({"share"}, {"of_pairs"}),
    "solves": ({"left", "chance", "examples"}, {"others", "margin"}),
    "correlation": (set(), {"left", "statistic"}),
}
COMPARISONS = ("better", "worse", "noninferior", "equivalent", "keeps", "collapses")
SPECIAL = {"margin", "of_pairs", "chain", "share", "left", "right", "pairs", "level", "chance", "examples", "others",
           "statistic", "epoch", "by", "over", "rows"}
OF_COMPARISONS = {"epoch", "by", "over", "rows"}


class Difference(Part):
    """One row minus another, as a side of a comparison: what freezing costs a method."""

    of: str
    less: str

    def __str__(self) -> str:
        return f"({self.of} − {self.less})"


def _list(value: Any) -> Any:
    return tuple(label_text(v) for v in value) if isinstance(value, list | tuple) else (label_text(value),)


Names = Annotated[tuple[str, ...], BeforeValidator(_list)]
Side = str | Difference
Other = Side | float  # a row, or a printed level
Sides = Annotated[tuple[Side, ...], BeforeValidator(_list)]
Count = Literal["all", "any", "most"] | Annotated[int, Field(strict=True, ge=1)]


class Claim(Part):
    """A sentence and the comparison that it says. Which keys a kind has is in KEYS.

    Each row of `left` is compared with each of `right` (or those of `pairs`; or neighbours in `chain`; or with `level`,
    a number of the paper's text), in each of the `columns`, or in their mean (`over: mean`). `of_pairs` and
    `of_columns`: how many of them must hold. `by: seed` pairs the seeds. `epoch` replaces that of the columns; `mean`
    is the mean over a run's epochs.
    """

    id: str = Field(pattern=NAME)
    text: str = Field(min_length=1, description="the sentence, in our own words")
    source: str = Field(min_length=1, description="where the sentence is claimed, as `paper section 5.2`")
    family: str = Field("", description="claims that are corrected together; none: this one stands alone")
    table: str
    kind: Kind
    left: Sides = ()
    right: Sides = ()
    level: float | None = Field(None, description="in the unit that the table shows")
    pairs: tuple[tuple[Side, Side], ...] = ()
    chain: Sides = ()
    others: Names = ()
    columns: Names = ()
    rows: Names = ()
    over: Literal["each", "mean"] = "each"
    of_pairs: Count = "all"
    of_columns: Count = "all"
    margin: Annotated[float, Field(ge=0)] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    share: float | None = Field(None, gt=0, lt=1)
    chance: float | None = Field(None, ge=0, lt=100, description="in percent")
    examples: int | None = Field(None, strict=True, ge=1, description="how many the paper evaluated")
    statistic: Statistic = "kendall"
    epoch: Epoch | Literal["mean"] | None = None
    by: Literal["seed"] | None = None
    alpha: float = Field(0.05, gt=0, lt=1)

    @property
    def compared(self) -> tuple[tuple[Side, Other], ...]:
        """The pairs of sides that are compared."""
        if self.kind == "order":
            return tuple(zip(self.chain, self.chain[1:], strict=False))
        if self.level is not None:
            return tuple((a, self.level) for a in self.left)
        return self.pairs or tuple((a, b) for a in self.left for b in self.right)

    @property
    def places(self) -> tuple[str, ...]:
        """Where they are compared: columns, or rows where the sides are columns."""
        return self.columns or self.rows


class Family(Part):
    """Claims that are corrected together; the file gives it the keys that they share, besides these."""

    about: str = ""


class File(Part):
    """The file of claims, each with what its family shares."""

    families: dict[str, Family] = {}
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Stated:
    """A claim, its place in the file, and how many claims its family has."""

    claim: Claim
    where: str
    family: int

    def margin(self, shown: Metric) -> float:
        """The margin of a metric, in the unit that the table shows. Raises UserError where the claim has none of it."""
        margin = self.claim.margin or 0.0
        if not isinstance(margin, dict):
            return margin
        quantity = shown.name.rpartition("/")[2]
        if quantity and quantity not in margin:
            raise UserError(f"claim {self.claim.id}: the margin has no value for {quantity}", self.where,
                            "it has one for " + ", ".join(margin))
        return margin.get(quantity, 0.0)


def read_claims(path: Path) -> tuple[tuple[Stated, ...], Node]:
    """Every claim of the file, with its node. Raises UserError with every problem: file, line, key."""
    return _read_claims(path, path.read_bytes() if path.is_file() else b"")


@lru_cache(maxsize=8)
def _read_claims(path: Path, content: bytes) -> tuple[tuple[Stated, ...], Node]:
    """The file is read once for all grids, as long as its content is this."""
    node = _with_shared(load_yaml(path))
    file = validated(node, File)
    claims = file.claims
    problems = [*_twice(claims, node), *(p for i, claim in enumerate(claims) for p in _misfits(claim, i, node))]
    problems += [Problem(f"there is no family {claim.family!r}", _place(node, i, "family"),
                         nearest(claim.family, file.families))
                 for i, claim in enumerate(claims) if claim.family and claim.family not in file.families]
    if problems:
        raise UserError(problems)
    sizes = {name: sum(c.family == name for c in claims) for name in {c.family for c in claims}}
    return tuple(Stated(claim, _place(node, i), sizes[claim.family] if claim.family else 1)
                 for i, claim in enumerate(claims)), node


def check_names(paths: Sequence[Path]) -> None:
    """Raises UserError, with both places, if two files have claims of one id, or families of one name."""
    seen: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    for path in paths:
        stated, node = read_claims(path)
        found = {("claim", one.claim.id): _place(node, i, "id") for i, one in enumerate(stated)}
        found |= {("family", name): node.find(("families", name)).key("families", name)
                  for name in node.get("families", {})}
        problems += [Problem(f"another file has a {kind} {name!r}: {seen[kind, name]}", where, "rename one of them")
                     for (kind, name), where in found.items() if (kind, name) in seen]
        seen |= found
    if problems:
        raise UserError(problems)


def load_claims(path: Path, grid: Grid, tables: Sequence[Table], known: Iterable[str] = ()) -> list[Stated]:
    """The claims about the tables of a grid; `known` names tables of other grids.

    Raises UserError with every problem: file, line, key; also for unknown tables, rows and columns, and for a family
    that is about several grids, whose correction would depend on which of them are reported. Known are also the columns
    that a table without a layout loses, as they are not asked for.
    """
    stated, node = read_claims(path)
    ours = {table.name: table for table in tables}
    lost = [column.label for column in default_layout(grid.whole).layout.columns] if grid.left_out else []
    problems: list[Problem] = []
    for i, one in enumerate(stated):
        if one.claim.table in ours:
            table = ours[one.claim.table]
            problems += unknown_names(one.claim, i, node, table.rows, [*(head.label for head in table.heads), *lost])
        elif one.claim.table not in known or one.claim.table == grid.name:
            problems.append(Problem(f"there is no table {one.claim.table!r}", _place(node, i, "table"),
                                    nearest(one.claim.table, dict.fromkeys([*ours, *known]))))
    for family in {one.claim.family for one in stated} - {""}:
        inside = {one.claim.table in ours: i for i, one in enumerate(stated) if one.claim.family == family}
        if len(inside) > 1:
            problems.append(Problem(f"the family {family!r} is about tables of several grids",
                                    _place(node, min(inside.values()), "family"), "make a family for each grid"))
    if problems:
        raise UserError(problems)
    return [one for one in stated if one.claim.table in ours]


def unknown_names(claim: Claim, i: int, node: Node, rows: Iterable[str], columns: Iterable[str]) -> Iterator[Problem]:
    """What the claim names and the table does not have."""
    of_sides, of_places = ("column", "row") if claim.rows else ("row", "column")
    known = {"row": list(rows), "column": list(columns)}
    for key in ("left", "right", "pairs", "chain", "others"):
        for name in _names(getattr(claim, key)):
            if name not in known[of_sides]:
                yield Problem(f"table {claim.table} has no {of_sides} {name!r}", _place(node, i, key),
                              nearest(name, known[of_sides]))
    for name in claim.places:
        if name not in known[of_places]:
            yield Problem(f"table {claim.table} has no {of_places} {name!r}",
                          _place(node, i, "rows" if claim.rows else "columns"), nearest(name, known[of_places]))


def names_of(claim: Claim) -> tuple[str, ...]:
    """Every name that stands on a side of the claim, once."""
    sides = (claim.left, claim.right, claim.pairs, claim.chain, claim.others)
    return tuple(dict.fromkeys(name for side in sides for name in _names(side)))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Difference):
        yield from (value.of, value.less)
    elif isinstance(value, str):
        yield value
    else:
        for one in value:
            yield from _names(one)


def _place(node: Node, *path: str | int) -> str:
    return node.find(("claims", *path)).key("claims", *path)


def _with_shared(node: Node) -> Node:
    """The file with the shared keys of each family written into its claims, which may replace them."""
    families = node.value.get("families")
    claims = node.value.get("claims")
    if families is None or claims is None or not isinstance(families.value, dict) or not isinstance(claims.value, list):
        return node
    shared: dict[Any, dict[str, Node]] = {}
    problems = []
    for name, family in families.value.items():
        if isinstance(family.value, dict):
            shared[name] = {key: value for key, value in family.value.items() if key not in Family.model_fields}
            allowed = [key for key in (*Family.model_fields, *Claim.model_fields) if key not in ("id", "family")]
            problems += [Problem(f"unknown key {key!r}", value.at.key("families", name, key), nearest(key, allowed))
                         for key, value in shared[name].items() if key not in allowed]
    if problems:
        raise UserError(problems)
    filled = [Node(shared.get(_family(claim), {}) | claim.value, claim.at) if isinstance(claim.value, dict) else claim
              for claim in claims.value]
    about = {name: Node({k: v for k, v in family.value.items() if k in Family.model_fields}, family.at)
             if isinstance(family.value, dict) else family for name, family in families.value.items()}
    return Node(node.value | {"families": Node(about, families.at), "claims": Node(filled, claims.at)}, node.at)


def _family(claim: Node) -> str:
    name = claim.value["family"].value if "family" in claim.value else ""
    return name if isinstance(name, str) else ""  # anything else is refused with the rest of the claim


def _twice(claims: Sequence[Claim], node: Node) -> Iterator[Problem]:
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        if claim.id in seen:
            yield Problem(f"the id {claim.id!r} stands twice", _place(node, i, "id"))
        seen.add(claim.id)
        same = next(c for c in claims if c.family == claim.family)
        if claim.family and claim.alpha != same.alpha:
            yield Problem(f"alpha is {claim.alpha} here and {same.alpha} in claim {same.id} of the same family",
                          _place(node, i, "alpha"))


def _misfits(claim: Claim, i: int, node: Node) -> Iterator[Problem]:
    """Keys that do not fit the kind, and comparisons of something with itself."""
    must, may = KEYS[claim.kind]
    sides = {"left"} if claim.level is not None else {"pairs"} if claim.pairs else \
        {"left", "right"} if claim.kind in COMPARISONS else set()
    may = may | (OF_COMPARISONS if claim.kind in (*COMPARISONS, "order") else set())
    given = {key for key in claim.model_fields_set if getattr(claim, key) != ()}  # `[]` takes a shared key back
    for key in sorted((must | sides) - given):
        what = "a claim of equivalence needs its `margin`" if (claim.kind, key) == ("equivalent", "margin") else \
            f"a claim of the kind {claim.kind} needs `{key}`"
        yield Problem(what, _place(node, i, *{key} & claim.model_fields_set))
    for key in sorted(SPECIAL & given - must - may - sides):
        yield Problem(f"a claim of the kind {claim.kind} has no `{key}`", _place(node, i, key))
    if bool(claim.columns) == bool(claim.rows):
        yield Problem("a claim names the `columns` in which rows are compared, or the `rows` in which columns are",
                      _place(node, i))
    if claim.kind == "order" and 0 < len(claim.chain) < 2:
        yield Problem("an order needs two rows", _place(node, i, "chain"))
    if any(a == b for a, b in claim.compared):
        yield Problem("left and right are the same rows", _place(node, i, "pairs" if claim.pairs else "right"))
    for key, of in (("of_pairs", len(claim.compared)), ("of_columns", len(claim.places))):
        count = getattr(claim, key)
        if isinstance(count, int) and count > of:
            yield Problem(f"{count} must hold, and there are {of}", _place(node, i, key))
