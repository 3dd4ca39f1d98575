"""Whether a family of claims was declared before its runs: its digest, and the text for the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from suite.report.claims.claim import Claim, Stated
from suite.report.claims.outcome import Verdict
from suite.store import declaration

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.tables.table import Table
    from suite.store.store import Store


def families(stated: Sequence[Stated], tables: Sequence[Table]) -> dict[str, str]:
    """For each family with looks, the digest of its claims, its rules, and the rows of their tables."""
    rows = {table.name: list(table.rows) for table in tables}
    found: dict[str, list[Stated]] = {}
    for one in stated:
        if one.rules.plan:
            found.setdefault(one.claim.family, []).append(one)
    return {name: _digest(members, rows) for name, members in found.items()}


def _digest(members: Sequence[Stated], rows: Mapping[str, Sequence[str]]) -> str:
    content = {"rules": members[0].rules.model_dump(mode="json", exclude={"about"}),
               "claims": [_dumped(one.claim) for one in members],
               "rows": {one.claim.table: rows[one.claim.table] for one in members}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _dumped(claim: Claim) -> dict[str, Any]:
    """The keys of a claim. Keys added later are left out unless they are used, so that older digests stay valid."""
    later = {"of_left"} if claim.of_left == "all" else set()
    return claim.model_dump(mode="json", exclude={"text", "source", *later})


def declare(grid: Grid, store: Store, digests: Mapping[str, str], verdicts: Sequence[Verdict]) -> None:
    """Write the declarations of these families into the store, with their number of looks so far. Raises UserError."""
    for family, digest in digests.items():
        declaration.declare(store, grid.name, family, digest, _looks(family, verdicts))


def _looks(family: str, verdicts: Sequence[Verdict]) -> int:
    """The largest number of looks that a claim of the family has reached."""
    return max((one.looks for one in verdicts if one.claim.family == family), default=0)


def with_words(grid: Grid, store: Store, digests: Mapping[str, str],
               verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts, each with the text on the declaration of its family."""
    words = {family: _words(declaration.read(store, grid.name, family), digest, _looks(family, verdicts))
             for family, digest in digests.items()}
    return tuple(replace(one, declared=words.get(one.claim.family, "")) if one.seeds else one for one in verdicts)


def _words(known: declaration.Declaration | None, digest: str, looks: int) -> str:
    if known is not None and known.several:
        return "the merged stores had declared different families"
    if known is None or known.looks:
        return "not declared beforehand"
    if known.changed is not None or known.digest != digest:
        return f"the family was changed at look {looks if known.changed is None else known.changed}"
    return "declared before the first look of this store"
