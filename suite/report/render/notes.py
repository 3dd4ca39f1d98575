"""What a reader must know beside the numbers: the caption's sentences, and warnings where a column mixes conditions."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from suite.data import cards
from suite.report.against import comparison
from suite.report.published import CHANCE
from suite.report.tables.table import Cell, Head, Table

if TYPE_CHECKING:
    from suite.config.fields import Data
    from suite.grid.expand import Grid, GridRun
    from suite.report.figures.curves import Panel
    from suite.store.store import RunState

SPREAD = {"sample": "± is the sample standard deviation (n − 1 in the denominator) over n seeds.",
          "population": "± is the standard deviation over n seeds as of a population (n in the denominator).",
          "none": "Means over n seeds."}
MARKS = {"latex": "Bold: best of a {}; underlined: second; among cells with all their seeds.",
         "html": "Bold: best of a {}; underlined: second; among cells with all their seeds.",
         "text": "Bold: best of a {}, among cells with all their seeds.",
         "plain": "*: best of a {}, among cells with all their seeds."}


def caption(table: Table, grid: Grid, form: str) -> list[str]:
    """The caption's sentences for one form of output (a key of MARKS)."""
    first = table.caption or grid.title
    sentences = [first if first.endswith(".") else f"{first}."] if first else []
    heads = [head for head in table.heads if head.runs]
    changed = f"Changed on the command line: {' '.join(grid.changes)}." if grid.changes else ""
    if table.kind == "configuration":
        sentences += ["Read off the runs of the grid.", comparison.summary(table), profile_note(grid.profile), changed]
        return [sentence for sentence in sentences if sentence]
    machines = dict.fromkeys(run.config.bench.machine for head in heads for run in head.runs)
    if any(machines):
        return [*sentences, f"Measured on {'; '.join(filter(None, machines))}."]
    sentences += [SPREAD[table.spread], *_columns(heads), *_rows(table)]
    if any(cell.rank for row in table.cells for cell in row):
        sentences.append(MARKS[form].format("row" if table.transpose else "column"))
    sentences += [f"Data: {'; '.join(_data(heads))}." if heads else "", profile_note(grid.profile)]
    sentences += [comparison.summary(table) if comparison.compared(table) else "", changed]
    return [sentence for sentence in sentences if sentence]


def _rows(table: Table) -> list[str]:
    """What the reader of the rows must know: differences, X, averages, printed rows."""
    cells = [cell for row in table.cells for cell in row]
    bases = dict.fromkeys(line.base for line in table.lines if line.base)
    row = "Columns" if table.transpose else "Rows"  # as they are printed
    told = [f"Signed: differences from {' or '.join(bases)}, over the same seeds."] if bases else []
    if any(cell.chance for cell in cells):
        told.append("X: most seeds end within the 95 % binomial interval of chance.")
    told += [_average(head, table) for head in table.heads if head.averages]
    if any(line.constant for line in table.lines):
        told.append(f"{row} without n are as printed in the paper.")
    return told


def _average(head: Head, table: Table) -> str:
    before = [other.label for other in table.heads[:table.heads.index(head)] if not other.averages]
    every = f"the {'rows' if table.transpose else 'columns'} before it"
    of = every if set(before) == set(head.averages) else ", ".join(head.averages)
    x = any(cell.chance for row in table.cells for cell in row if cell.column in head.averages)
    return f"{head.label}: mean of {of}{f', an X counted as {CHANCE:g}' if x else ''}."


def curve_words(panels: Iterable[Panel]) -> tuple[str, str]:
    """What the figure is called, and what its lines are."""
    if any(panel.x != "epoch" for panel in panels):
        return "Time against length", "Medians of passes that take turns; both axes are logarithmic."
    return ("Learning curves",
            "Lines: mean over the seeds that have reached the epoch; bands: ± sample standard deviation.")


def profile_note(profile: str) -> str:
    """Whether the numbers may be held against published ones."""
    return "Profile: paper." if profile == "paper" else f"Not comparable with published numbers: profile {profile}."


def _columns(heads: Iterable[Head]) -> list[str]:
    """What is shown in which unit at which epoch, columns of one kind together."""
    kinds: dict[str, list[str]] = {}
    for head in heads:
        unit = f" in {head.metric.unit}" if head.metric.unit else ""
        kinds.setdefault(f"{head.metric.words}{unit}, {head.epoch_words}", []).append(head.label)
    if len(kinds) == 1:
        words = next(iter(kinds))
        return [words[0].upper() + words[1:] + "."]
    return [f"{', '.join(labels)}: {words}." for words, labels in kinds.items()]


def _data(heads: Iterable[Head]) -> list[str]:
    """The data set, variant and options behind each column, columns of one kind together."""
    kinds: dict[str, list[str]] = {}
    for head in heads:
        sets = dict.fromkeys(data_words(run) for run in head.runs)
        kinds.setdefault(" and ".join(sets), []).append(head.label)
    if len(kinds) == 1:
        return list(kinds)
    return [f"{', '.join(labels)}: {words}" for words, labels in kinds.items()]


def data_words(run: GridRun) -> str:
    """The data that a run sees: name, variant, and the options that are not as usual."""
    return _data_words(run.config.data)


@lru_cache
def _data_words(data: Data) -> str:
    usual = cards.load(data.name).variant(data.variant).options if data.options else {}
    options = ", ".join(f"{key} {value}" for key, value in sorted(data.options.items()) if value != usual[key].default)
    return f"{data.name}, variant {data.variant}" + (f" ({options})" if options else "")


def warnings(tables: Iterable[Table], provenance: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One sentence for each condition that the numbers of a column, or of a row, do not share; `provenance` by run id.

    What a column mixes is not told again of the rows across it.
    """
    columns: dict[str, list[str]] = {}
    rows: dict[str, list[str]] = {}
    trajectories: dict[str, None] = {}
    for table in tables:
        for head, cells in zip(table.heads, zip(*table.cells, strict=True), strict=True):
            ids = _with_numbers(cells)
            for what in [*_mixed(ids, provenance), *_mixed_settings(ids, head)]:
                columns.setdefault(what, []).append(head.label)
            for run_id in ids:
                for change in provenance.get(run_id, {}).get("mixed", ()):
                    trajectories[f"Run {run_id} changed on its way, {change}."] = None
        for name, cells in zip(table.rows, table.cells, strict=True):
            for what in _mixed(_with_numbers(cells), provenance, OF_TASKS):
                rows.setdefault(what, []).append(name)
    return [*_sentences(columns, "column"), *_sentences({w: r for w, r in rows.items() if w not in columns}, "row"),
            *trajectories]


def _with_numbers(cells: Iterable[Cell]) -> list[str]:
    return sorted({run_id for cell in cells if cell.n for run_id in cell.run_ids})


def _mixed(ids: Iterable[str], provenance: Mapping[str, Mapping[str, Any]], left_out: Container[str] = ()) -> list[str]:
    """The conditions that differ between these runs, each with its values."""
    records = {id(one): one for run_id in ids if (one := provenance.get(run_id)) is not None}  # most are equal
    told = [conditions(one) for one in records.values()]
    names = dict.fromkeys(name for one in told for name in one if name not in ONLY_TOLD and name not in left_out)
    values = {name: sorted({one.get(name, "not recorded") for one in told}) for name in names}
    return [f"{name}: {'; '.join(there)}." for name, there in values.items() if len(there) > 1]


def _mixed_settings(ids: Iterable[str], head: Head) -> list[str]:
    """Data and lengths that differ between the runs of a column: these are not to be compared with each other."""
    wanted = set(ids)
    runs = [run for run in head.runs if run.run_id in wanted and run.config.kind == "train"]
    values = {"data": sorted({data_words(run) for run in runs}),
              "length": sorted({f"{run.config.train.epochs} epochs" for run in runs})}
    return [f"{name}: {'; '.join(there)}." for name, there in values.items() if len(there) > 1]


def _sentences(mixed: Mapping[str, Iterable[str]], place: str) -> Iterable[str]:
    return (f"{', '.join(dict.fromkeys(labels))}: the runs of this {place} differ in {what}"
            for what, labels in mixed.items())


def unreadable(grid: Grid, states: Mapping[str, RunState]) -> list[str]:
    """A sentence for each run of which nobody can tell how far it is: files of a newer suite, a link for a folder."""
    told = {run.run_id: states[run.run_id] for run in grid.runs if states[run.run_id].name == "unknown"}
    return [f"Run {run_id} cannot be read: {state.detail}." for run_id, state in told.items()]


OF_TASKS = ("prepared data",)  # which differ along a row by nature
ONLY_TOLD = ("cpu", "system")  # listed, but no cause for a warning: where it matters, `device` differs too
NAMES = {"kernel_backend": "kernel back end", "python": "Python", "data": "prepared data"}


def conditions(record: Mapping[str, Any]) -> dict[str, str]:
    """The conditions that a run's numbers may depend on, by their name: code, device, torch, …"""
    environment = record.get("environment", {})
    return {"code": str(record.get("code", "not recorded"))} | {
        NAMES.get(key, key): str(value) for key, value in environment.items()}
