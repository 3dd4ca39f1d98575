"""Our number and the published one: difference and verdict, or the reason why they cannot be compared.

The interval of ours − published includes the error of both means: ± t·s·√(1/n + 1/n_paper), with s pooled over the
column, and n_paper the smaller of the counts that the paper gives. Let m be 1 point of accuracy or 0.02 RMSE (the
paper's own tables differ by so much for one configuration), or two published standard deviations if that is larger.
Match: the 90 % interval lies within ±m; off: the 95 % interval lies outside; compatible: it contains 0; undecided:
otherwise. A single seed gets no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from suite.data import cards
from suite.report.against.readings import OPEN, is_open
from suite.report.against.spreads import Spread, Spreads, offsets
from suite.report.metric import MARGINS
from suite.report.published.number import Number, number_text, paper_of
from suite.report.tables.builder import Row, build_table, rows_of
from suite.report.tables.layout import Column, Placed
from suite.report.tables.settings import PlacedSettings, SettingColumn, build_settings, setting_text
from suite.report.tables.table import Cell, Head, Judged, Table, Verdict

if TYPE_CHECKING:
    from suite.grid.model import Grid, GridRun
    from suite.report.metric import Metric
    from suite.report.published.papers import Published
    from suite.report.tables.results import Results

MARGIN = MARGINS | {"parameters": 500.0}  # in the printed unit; for parameters, the rounding to thousands
NOT_PRINTED = {"missing": "lost in the source text", "absent": "the paper has a dash here"}
CAREFUL = {"ocr": "its reading was rebuilt from garbled text", "suspicious": "it is printed, but odd",
           "unsigned": "it is printed without a sign"}


def judged_table(placed: Placed, grid: Grid, results: Results, published: Published) -> Table:
    """The table of a layout, with the published number and the verdict in each cell.

    Raises UserError as `build_table` does.
    """
    table, name = build_table(placed, grid, results, published), placed.layout.published
    if name is None:
        return table
    columns = placed.layout.columns

    def judged(cell: Cell, head: Head, column: Column, row: Row, by_column: Mapping[str, Cell]) -> Cell:
        parts = [by_column[label] for label in column.average]
        numbers = [published.find(table, row.printed, column.published or column.label)
                   for table in (name, *placed.layout.also)]
        if cell.state == "published":
            return cell
        return replace(cell, judged=tuple(one for number in numbers if number is not None
                                          for one in judge(cell, head, number, published, grid, parts, spreads,
                                                           number.table not in placed.layout.other_protocol)))

    spreads = Spreads(table, grid)
    made = []
    for row, cells in zip(rows_of(placed, grid, published), table.cells, strict=True):
        by_column = {cell.column: cell for cell in cells}
        made.append(tuple(judged(cell, head, column, row, by_column)
                          for cell, head, column in zip(cells, table.heads, columns, strict=True)))
    compared = replace(table, cells=tuple(made))
    return replace(compared, offsets=offsets(compared, spreads, published.least_seeds(name)))


def judged_settings(placed: PlacedSettings, grid: Grid, published: Published) -> Table:
    """A table of settings, with the published value and the verdict in each cell."""
    table, name = build_settings(placed, grid), placed.layout.published
    if name is None:
        return table
    why = incomparable([], grid)

    def judged(cell: Cell, column: SettingColumn) -> Cell:
        raw = setting_text(published.file.configurations[name].rows[cell.row][cell.column])
        printed = column.words.get(raw, raw)
        verdict: Verdict = "not comparable" if why else "match" if printed == cell.number else "off"
        return replace(cell, judged=(Judged(name, cell.row, cell.column, printed, None, None, None, None, verdict,
                                            why),))

    return replace(table, cells=tuple(tuple(judged(cell, column) for cell, column
                                            in zip(cells, placed.layout.columns, strict=True))
                                      for cells in table.cells))


def judge(cell: Cell, head: Head, number: Number, published: Published, grid: Grid,
          parts: Sequence[Cell] = (), spreads: Spreads | None = None, alike: bool = True) -> tuple[Judged, ...]:
    """The cell compared with that number, and with all others that the paper prints for the same configuration.

    `parts` are the cells of an average; if one of them is not comparable, neither is the average. `spreads` are those
    of the cell's table; without them, the cell's own variance is used. `alike`: the models behind the published number
    have our size and training. If they do not, the number is shown without a verdict, whatever its split.
    """
    ids = {run_id for part in parts or [cell] for run_id in part.run_ids}
    runs = [run for run in grid.runs if run.run_id in ids]
    why = incomparable(runs, grid, number.table) or (_other_split(head.metric, number) if alike else "")
    remark = "; ".join(remarks(runs, grid))
    numbers = (number,) if cell.base else published.same(number)
    spread = (spreads or Spreads()).of(cell)
    return tuple(_judge(cell, head.metric, one, published, why, remark, spread if alike else None) for one in numbers)


def _judge(cell: Cell, metric: Metric, number: Number, published: Published, why: str, remark: str,
           spread: Spread | None) -> Judged:
    unit = metric.factor / (100 if number.metric == "accuracy" else 1)  # factor from the printed to the shown unit
    printed = _printed(number, cell.base, published)
    value = None if printed is None else printed * unit
    std = None if number.std is None else number.std * unit
    unsaid = "" if number.split else "its paper does not say whether it is of validation or test data"
    remark = "; ".join(filter(None, (remark, CAREFUL.get(number.flag, ""), _assumed(number, cell.base), number.note,
                                     unsaid)))

    def judged(verdict: Verdict, reason: str = "", difference: float | None = None,
             interval: tuple[float, float] | None = None) -> Judged:
        text = number_text(number, metric, value, std, signed=bool(cell.base))
        return Judged(number.table, number.row, number.column, text, value, std, difference, interval, verdict, reason,
                      remark)

    if value is None and not number.failed:
        return judged("not printed", NOT_PRINTED.get(number.flag, "its reference is not printed"))
    if cell.mean is None:
        return judged("no number", cell.reason)
    if why:
        return judged("not comparable", why)
    if spread is None:
        return judged("other protocol", "its models have another size or training")
    if value is None or cell.chance:  # without a value, an X is printed
        reason = "X in the paper" if value is None else "X here"
        if cell.interval is None:
            return judged("one seed", reason)
        return judged("match") if value is None and cell.chance else judged("off", reason)
    difference = cell.mean - value
    if cell.interval is None:
        return judged("one seed", "", difference)
    margin = max(MARGIN[number.metric] * unit, 2 * (std or 0.0))
    narrow, wide = (spread.interval(cell, value, published.least_seeds(number.table), level) for level in (0.90, 0.95))
    return judged(_place(narrow, wide, margin), "", difference, wide)


def _place(narrow: tuple[float, float], wide: tuple[float, float], margin: float) -> Verdict:
    """The verdict for a 90 % and a 95 % interval."""
    if -margin <= narrow[0] and narrow[1] <= margin:
        return "match"
    if wide[0] > margin or wide[1] < -margin:
        return "off"
    return "compatible" if wide[0] <= 0 <= wide[1] else "undecided"


def _printed(number: Number, base: str, published: Published) -> float | None:
    """The printed value in the form of the cell: as a difference from `base`, or absolute."""
    if not base:
        return published.absolute(number)
    if number.delta_of == base or number.assumed:
        return number.mean
    reference = published.find(number.table, base, number.column)
    sides = published.absolute(number), published.absolute(reference) if reference else None
    return None if sides[0] is None or sides[1] is None else sides[0] - sides[1]


def _assumed(number: Number, base: str) -> str:
    return f"the paper does not say from which row this is a difference; here from {base}" if number.assumed and base \
        else ""


def incomparable(runs: Iterable[GridRun], grid: Grid, table: str = "") -> str:
    """The reason why these runs cannot be compared with the paper's table. Returns "" if they can."""
    if grid.profile != "paper":
        return f"profile {grid.profile}"
    runs = tuple(runs)
    changed = [change for change in grid.changes if change.startswith("--set ") and not _open(change, runs, table)]
    if changed:
        return f"changed on the command line: {' '.join(changed)}"
    return next((reason for run in runs if (reason := _other_data(run, table))), "")


def _open(change: str, runs: Iterable[GridRun], table: str) -> bool:
    field = change.removeprefix("--set ").partition("=")[0].strip()
    return field == "data.variant" or field in OPEN and all(is_open(field, run.config, table) for run in runs)


def _other_data(run: GridRun, table: str) -> str:
    data = run.config.data
    variant = cards.load(data.name).variant(data.variant)
    if data.variant != "original" and not variant.close:
        return f"data variant {data.variant}: {variant.about.splitlines()[0]}"
    other = {key: value for key, value in data.options.items()
             if value != variant.options[key].default and not is_open(f"data.{key}", run.config, table)}
    return f"data with {', '.join(f'{key} {value}' for key, value in other.items())}" if other else ""


def remarks(runs: Iterable[GridRun], grid: Grid) -> Iterable[str]:
    """Remarks on a comparison of these runs with published numbers."""
    variants = {(run.config.data.name, run.config.data.variant) for run in runs}
    for name, variant in sorted(variants):
        if variant != "original":
            yield f"data variant {variant}: {cards.load(name).variant(variant).about.splitlines()[0]}"
    read = [change for change in grid.changes if change.startswith("--set ") and "data.variant" not in change]
    if read:
        yield f"another reading of the paper: {' '.join(read)}"


def _other_split(metric: Metric, number: Number) -> str:
    split = metric.name.partition("/")[0].partition("@")[0]
    if number.metric == "parameters" or number.split in (None, split):
        return ""
    return f"the paper's number is of the split {number.split}, this one of {split}"


def apart(judged: tuple[Judged, ...]) -> float | None:
    """The range of the paper's own numbers for one configuration, None if it prints only one."""
    ours = paper_of(judged[0].table)[0] if judged else ""
    values = [one.value for one in judged if one.value is not None and paper_of(one.table)[0] == ours]
    return max(values) - min(values) if len(values) > 1 else None
