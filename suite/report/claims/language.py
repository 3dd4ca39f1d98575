"""Reads claims, `reports/claims.yaml`: sentences that are declared in advance as comparisons of rows of a table.

A claim names its table (a layout's, or the grid's if it has no layout), the rows that it compares, and the columns in
which it compares them. A claim with `rows` instead of `columns` compares columns. Numbers are in the unit that the
table shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import Problem, UserError, nearest
from suite.files.yaml import Node, load_yaml
from suite.files.yaml_model import Part, validated
from suite.report.claims.claim import ALONE, Claim, Family, Stated, names_in
from suite.report.claims.kinds.registry import KINDS
from suite.report.tables.layout import default_layout

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.tables.table import Table

SPECIAL = {"left", "right", "pairs"}.union(*(kind.must | kind.may for kind in KINDS.values()))


class File(Part):
    """A claims file, after the shared keys of families have been copied into their claims."""

    families: dict[str, Family] = {}
    claims: tuple[Claim, ...]


def read_claims(path: Path) -> tuple[tuple[Stated, ...], Node]:
    """The claims of the file, and its node. Raises UserError with every problem: file, line, key."""
    return _read_claims(path, path.read_bytes() if path.is_file() else b"")


@lru_cache(maxsize=8)
def _read_claims(path: Path, content: bytes) -> tuple[tuple[Stated, ...], Node]:
    """Cached by content, so that the file is read once for all grids."""
    node = _with_shared(load_yaml(path))
    file = validated(node, File)
    claims = file.claims
    problems = [*_duplicates(claims, node), *(p for i, claim in enumerate(claims) for p in _misfits(claim, i, node))]
    problems += [Problem(f"there is no family {claim.family!r}", _place(node, i, "family"),
                         nearest(claim.family, file.families))
                 for i, claim in enumerate(claims) if claim.family and claim.family not in file.families]
    problems += [Problem(f"a claim of the kind {claim.kind} is tested only once, but its family has looks",
                         _place(node, i, "kind"), "put it into a family without looks")
                 for i, claim in enumerate(claims) if not KINDS[claim.kind].grows
                 and claim.family in file.families and file.families[claim.family].looks]
    if problems:
        raise UserError(problems)
    sizes = {name: sum(c.family == name for c in claims) for name in {c.family for c in claims}}
    return tuple(Stated(claim, _place(node, i), sizes[claim.family] if claim.family else 1,
                        file.families.get(claim.family, ALONE)) for i, claim in enumerate(claims)), node


def check_names(paths: Sequence[Path]) -> None:
    """Raises UserError, with both places, if two files have claims with the same id or families with the same name."""
    known: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    for path in paths:
        stated, node = read_claims(path)
        found = {("claim", one.claim.id): _place(node, i, "id") for i, one in enumerate(stated)}
        found |= {("family", name): node.find(("families", name)).key("families", name)
                  for name in node.get("families", {})}
        problems += [Problem(f"another file has a {kind} {name!r}: {known[kind, name]}", where, "rename one of them")
                     for (kind, name), where in found.items() if (kind, name) in known]
        known |= found
    if problems:
        raise UserError(problems)


def load_claims(path: Path, grid: Grid, tables: Sequence[Table], known: Iterable[str] = ()) -> list[Stated]:
    """The claims about the tables of a grid; `known` has the names of tables of other grids.

    Raises UserError with every problem (file, line, key), including unknown tables, rows and columns. A family must not
    cover several grids, because its correction would then depend on which of them are reported. A claim may name
    columns that a table without a layout lacks because their runs are not selected.
    """
    stated, node = read_claims(path)
    ours = {table.name: table for table in tables}
    unselected = [column.label for column in default_layout(grid.whole).layout.columns] if grid.left_out else []
    problems: list[Problem] = []
    for i, one in enumerate(stated):
        if one.claim.table in ours:
            table = ours[one.claim.table]
            problems += unknown_names(one.claim, i, node, table.rows, [*(head.label for head in table.heads),
                                                                           *unselected])
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
    """Names in the claim that the table does not have."""
    of_sides, of_places = ("column", "row") if claim.rows else ("row", "column")
    known = {"row": list(rows), "column": list(columns)}
    for key in ("left", "right", "pairs", "chain", "others"):
        for name in names_in(getattr(claim, key)):
            if name not in known[of_sides]:
                yield Problem(f"table {claim.table} has no {of_sides} {name!r}", _place(node, i, key),
                              nearest(name, known[of_sides]))
    for name in claim.places:
        if name not in known[of_places]:
            yield Problem(f"table {claim.table} has no {of_places} {name!r}",
                          _place(node, i, "rows" if claim.rows else "columns"), nearest(name, known[of_places]))


def _place(node: Node, *path: str | int) -> str:
    return node.find(("claims", *path)).key("claims", *path)


def _with_shared(node: Node) -> Node:
    """The file with the shared keys of each family copied into its claims. A claim may override them."""
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
    return name if isinstance(name, str) else ""  # validation of the claim rejects anything else


def _duplicates(claims: Sequence[Claim], node: Node) -> Iterator[Problem]:
    ids: set[str] = set()
    for i, claim in enumerate(claims):
        if claim.id in ids:
            yield Problem(f"duplicate id {claim.id!r}", _place(node, i, "id"))
        ids.add(claim.id)
        same = next(c for c in claims if c.family == claim.family)
        if claim.family and claim.alpha != same.alpha:
            yield Problem(f"alpha is {claim.alpha} here and {same.alpha} in claim {same.id} of the same family",
                          _place(node, i, "alpha"))


def _misfits(claim: Claim, i: int, node: Node) -> Iterator[Problem]:
    """Keys that do not fit the kind of the claim, and comparisons of a row with itself."""
    kind = KINDS[claim.kind]
    must, may = kind.must, kind.may
    sides = {"left"} if claim.level is not None else {"pairs"} if claim.pairs else \
        {"left", "right"} if kind.sides else set()
    given = {key for key in claim.model_fields_set if getattr(claim, key) != ()}  # `[]` removes a shared key
    for key in sorted((must | sides) - given):
        what = "a claim of equivalence needs its `margin`" if (claim.kind, key) == ("equivalent", "margin") else \
            f"a claim of the kind {claim.kind} needs `{key}`"
        yield Problem(what, _place(node, i, *{key} & claim.model_fields_set))
    for key in sorted(SPECIAL & given - must - may - sides):
        yield Problem(f"a claim of the kind {claim.kind} has no `{key}`", _place(node, i, key))
    if bool(claim.columns) == bool(claim.rows):
        yield Problem("a claim needs either `columns`, to compare rows in them, or `rows`, to compare columns",
                      _place(node, i))
    if claim.over == "pairs" and "of_pairs" in given:
        yield Problem("`over: pairs` makes one comparison of all pairs, so `of_pairs` cannot count them",
                      _place(node, i, "of_pairs"))
    if "of_left" in given and (not claim.right or claim.pairs or claim.over == "pairs"):
        yield Problem("`of_left` counts rows of `left` against each of `right`, but the claim has no such rows",
                      _place(node, i, "of_left"))
    if {"of_left", "of_pairs"} <= given:
        yield Problem("`of_left` counts rows of `left`, `of_pairs` all pairs: use only one of them",
                      _place(node, i, "of_pairs"))
    if claim.kind == "order" and 0 < len(claim.chain) < 2:
        yield Problem("an order needs two rows", _place(node, i, "chain"))
    if any(a == b for a, b in claim.compared):
        yield Problem("left and right are the same rows", _place(node, i, "pairs" if claim.pairs else "right"))
    for key, of in (("of_pairs", len(claim.groups)), ("of_columns", len(claim.places)), ("of_left", len(claim.left))):
        count = getattr(claim, key)
        if isinstance(count, int) and count > of:
            yield Problem(f"{count} must hold, but there {'is' if of == 1 else 'are'} only {of}", _place(node, i, key))
