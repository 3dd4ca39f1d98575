"""LaTeX tables fit their page without being scaled: smaller letters, then parts between columns or rows."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from report_store import fill, make_grid, sources

from suite.report.render.latex_fit import ARTICLE, Box, Page, fit, plain
from suite.report.render.latex_table import Frame, environments
from suite.report.render.latex_text import fold, width
from suite.report.render.sheet import Sheet, Side, Top
from suite.report.report import write_report
from suite.store.store import Store


def made(columns: int, rows: int = 3, text: str = "85.30 ± 0.20", group: int = 0) -> Sheet[Box]:
    tops = tuple(Top(f"group {i // group}" if group else "", f"c{i}", "") for i in range(columns))
    return Sheet("method", tops, tuple(
        Side(0, "", f"row {i}", "", tuple(Box((plain(text),)) for _ in range(columns))) for i in range(rows)))


def heads(sheet: Sheet[Box]) -> list[Box]:
    return [Box((plain(top.label),)) for top in sheet.tops]


def fitted(sheet: Sheet[Box], page: Page = ARTICLE) -> tuple[str, list[tuple[int, int]]]:
    found = fit(sheet, heads(sheet), page, 0.0)
    return found.size.command, [(len(part.sides), len(part.tops)) for part in found.parts]


@pytest.mark.parametrize(("columns", "expected"), [
    (4, ("", [(3, 4)])), (5, (r"\small", [(3, 5)])), (6, (r"\footnotesize", [(3, 3), (3, 3)])),
    (8, (r"\footnotesize", [(3, 4), (3, 4)])), (15, (r"\footnotesize", [(3, 5), (3, 5), (3, 5)]))])
def test_letters_become_smaller_before_columns_are_split(columns, expected):
    assert fitted(made(columns)) == expected


def test_columns_are_split_at_a_heading_over_neighbours():
    assert fitted(made(8))[1] == [(3, 4), (3, 4)]
    assert fitted(made(8, group=3))[1] == [(3, 3), (3, 5)]


def test_rows_are_split_where_the_page_ends_and_no_part_is_a_remainder():
    assert fitted(made(2, rows=60))[1] == [(30, 2), (30, 2)]


def test_every_row_and_column_stands_in_one_part():
    sheet = made(9, rows=70)
    sheet = replace(sheet, sides=tuple(replace(side, cells=tuple(Box((plain(f"{i}/{j}"),)) for j in range(9)))
                                       for i, side in enumerate(sheet.sides)))
    sheet = replace(sheet, tops=tuple(replace(top, label="a long heading that takes room") for top in sheet.tops))
    found = fit(sheet, [Box((plain("a long heading that"),)) for _ in range(9)], ARTICLE, 0.0)
    cells = [cell.lines[0].text for part in found.parts for side in part.sides for cell in side.cells]
    assert sorted(cells) == sorted(f"{i}/{j}" for i in range(70) for j in range(9)) and len(found.parts) > 2


def test_later_parts_are_called_so_and_have_labels_of_their_own():
    texts = environments(made(8), Frame("All of it.", "x", ["n=3 throughout."], ARTICLE))
    assert [re.search(r"\\caption\{(.*)\}", text)[1] for text in texts] == [
        "All of it.", "Continued from the table before."]
    assert [re.search(r"\\label\{(.*)\}", text)[1] for text in texts] == ["tab:x", "tab:x-2"]
    assert ["n=3 throughout." in text for text in texts] == [True, False]


def test_lines_are_no_wider_than_the_room():
    words = "a rather long label with averyveryveryverylongwordwithoutanyspace in it"
    for room in (40.0, 80.0, 300.0):
        lines = fold(words, room, 10)
        assert all(width(line, 10) <= room for line in lines)
        assert "".join("".join(lines).split()) == "".join(words.split())
    assert fold("accuracy,\u00a0%\u00a0↑", 1000, 10) == ["accuracy,\u00a0%\u00a0↑"]


def test_nothing_is_scaled(tmp_path):
    grid, store = make_grid([f"method {i}" for i in range(12)]), Store(tmp_path / "store")
    fill(store, grid)
    write_report([grid], store, tmp_path / "out", sources(tmp_path), figures=False)
    tex = (tmp_path / "out/demo.tex").read_text()
    assert "resizebox" not in tex and "graphicx" not in tex and "scriptsize" not in tex
