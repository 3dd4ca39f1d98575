"""A table may have a row in two of its blocks: its runs count once in whatever is estimated from the column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from claim_store import claim, shelf_of, write
from report_store import make_grid

from suite.report.against.spreads import Spreads
from suite.report.against.verdict import judged_table
from suite.report.claims.judge import judge
from suite.report.claims.language import load_claims
from suite.report.claims.numbers import RunNumbers
from suite.report.claims.outcome import Verdict
from suite.report.published.papers import load_published
from suite.report.tables.layout_files import load_layout
from suite.report.tables.marks import marked
from suite.report.tables.results import read_results
from suite.report.tables.table import Table

PUBLISHED = load_published()
VALUES = {"S4D-Lin": [0.40, 0.43, 0.45, 0.44], "S4D-Real": [0.30, 0.35, 0.33, 0.32],
          "S4D-Inv": [0.43, 0.42, 0.46, 0.44]}
ONCE = "[{rows: [S4D-Lin, S4D-Real, S4D-Inv]}]"
TWICE = "[{rows: [S4D-Lin, S4D-Real, S4D-Inv]}, {label: again, rows: [S4D-Lin], where: {task: sCIFAR}}]"
AGAIN = "again, S4D-Lin"
LOOKS = {"looks": {"start": 3, "most": 4}}


def made(folder: Path, groups: str, *claims: dict[str, Any], seeds: int = 3, **families: Any
         ) -> tuple[Table, Spreads, list[Verdict]]:
    """The table with these blocks, its spreads, and the verdicts on claims about it."""
    folder.mkdir(exist_ok=True)
    grid = make_grid(seeds=seeds)
    shelf = shelf_of(grid, folder, {(row, "sCIFAR"): values[:seeds] for row, values in VALUES.items()})
    results = read_results(grid, shelf, shelf.states([run.run_id for run in grid.runs]))
    (folder / "demo.yaml").write_text(f"name: demo\nrows: {{axis: method, groups: {groups}}}\n"
                                      "columns: [{label: sCIFAR, where: {task: sCIFAR}}]\n")
    placed = load_layout(folder / "demo.yaml", grid, PUBLISHED)
    assert placed is not None
    table = judged_table(placed, grid, results, PUBLISHED)
    numbers = RunNumbers(grid, [table], results, PUBLISHED)
    found = judge(load_claims(write(folder, *claims, **families), grid, [table]), numbers) if claims else ()
    return marked(table, grid, PUBLISHED), Spreads(table, grid), list(found)


@pytest.mark.parametrize("by", [None, "seed"])
@pytest.mark.parametrize(("family", "seeds"), [({}, 3), (LOOKS, 3), (LOOKS, 4)])
def test_it_counts_once_in_the_variance_of_a_claim(tmp_path: Path, by: str | None, family: Any, seeds: int) -> None:
    asked = claim(family="f", by=by)
    _, _, [once] = made(tmp_path / "a", ONCE, asked, seeds=seeds, f=family)
    _, _, [twice] = made(tmp_path / "b", TWICE, asked, seeds=seeds, f=family)
    assert once.parts[0].df is not None and "over 3 rows" in twice.evidence
    assert (twice.parts[0].df, twice.parts[0].low) == (once.parts[0].df, once.parts[0].low)
    _, _, [other] = made(tmp_path / "c", TWICE, asked | {"right": AGAIN}, seeds=seeds, f=family)
    assert (other.parts[0].df, other.parts[0].low) == (once.parts[0].df, once.parts[0].low)  # by its second name


def test_two_names_of_a_row_are_one_term(tmp_path: Path) -> None:
    asked = claim(over="pairs", left=None, right=None, pairs=[["S4D-Real", "S4D-Lin"], ["S4D-Real", AGAIN]])
    _, _, [pairs, plain] = made(tmp_path, TWICE, asked | {"id": "pairs"}, claim())
    assert pairs.parts[0].difference == pytest.approx(plain.parts[0].difference)
    assert pairs.parts[0].low == pytest.approx(plain.parts[0].low)


def test_it_counts_once_among_the_rows_that_are_held_against_the_best(tmp_path: Path) -> None:
    once, _, _ = made(tmp_path / "a", ONCE)
    twice, _, _ = made(tmp_path / "b", TWICE)
    before, after = ({row: cells[0].p_from_best for row, cells in zip(one.rows, one.cells, strict=True)}
                     for one in (once, twice))
    assert before["S4D-Lin"] is not None and before["S4D-Inv"] is None  # the best
    assert after == before | {AGAIN: before["S4D-Lin"]}


def test_it_counts_once_in_the_spread_that_published_numbers_are_compared_with(tmp_path: Path) -> None:
    for groups in (ONCE, TWICE):
        table, spreads, _ = made(tmp_path / str(len(groups)), groups)
        own = [spreads.of(cell).own for row in table.cells for cell in row]
        assert all(one is not None and one.df == 6 for one in own)
