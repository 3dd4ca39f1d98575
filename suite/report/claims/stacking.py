"""A note on claims that compare stacked runs with runs that were computed alone: their last bits differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from suite.report.claims.outcome import Verdict
from suite.report.conditions import is_stacked

if TYPE_CHECKING:
    from suite.report.tables.table import Table

MIXED = "some of its runs were computed in a stack, others alone"


def with_stacking(verdicts: Sequence[Verdict], tables: Sequence[Table],
                  provenance: Mapping[str, Mapping[str, Any]]) -> tuple[Verdict, ...]:
    """The verdicts, with a note on those whose cells mix the two. `provenance` has the records by run id."""
    runs = {(table.name, cell.row, cell.column): cell.run_ids for table in tables for row in table.cells
            for cell in row if cell.n}

    def noted(one: Verdict) -> Verdict:
        ids = {run_id for place in one.claim.cells for run_id in runs.get((one.claim.table, *place), ())}
        ways = {is_stacked(provenance[run_id]) for run_id in ids & provenance.keys()}
        return replace(one, notes=(*one.notes, MIXED)) if len(ways) > 1 else one

    return tuple(map(noted, verdicts))
