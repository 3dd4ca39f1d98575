"""The sentences of a table's caption."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from suite.report.against import comparison
from suite.report.conditions import data_words
from suite.report.published.number import CHANCE
from suite.report.tables.evaluated import evaluated_words
from suite.report.tables.table import Head, Table

if TYPE_CHECKING:
    from suite.grid.model import Grid

SPREAD = {"sample": "± is the sample standard deviation (n\u00a0−\u00a01 in the denominator) over n seeds.",
          "population": "± is the standard deviation over n seeds (n in the denominator).",
          "none": "Means over n seeds."}
ONE_SEED = "Each number is of one seed."
MARKS = {"latex": "Bold: best of a {}; underlined: second; among cells with all their seeds.",
         "html": "Bold: best of a {}; underlined: second; among cells with all their seeds.",
         "text": "Bold: best of a {}, among cells with all their seeds.",
         "plain": "*: best of a {}, among cells with all their seeds."}

SEPARATE = ("latex", "text")  # forms with a separate table for the comparison with the paper
NEAR_BEST = ("≈: not distinguishable from the best of its {0}, after selection (t tests against the best, with the "
             "variance of the {0} if its cells are alike; Holm, 5 %).")
OTHERS = "Differences are not among those tested; the best of the others has no mark."
OPTIMISTIC = ("The best epoch is chosen on the validation split that is reported, so these numbers are optimistic: on "
              "new data they would be slightly worse.")
UNFINISHED = ("Runs that are not finished show their mean at the newest epoch that all of these seeds have reached; no "
              "mark, claim or comparison uses it.")


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
    sentences += [_spread(table), *_columns(heads), _optimism(heads), *_rows(table, form)]
    if any(cell.rank for row in table.cells for cell in row):
        sentences.append(MARKS[form].format("row" if table.transpose else "column"))
    if table.marked:
        sentences.append(NEAR_BEST.format("row" if table.transpose else "column"))
        sentences += [OTHERS] if any(line.base for line in table.lines) else []
    sentences += [evaluated_words(heads), f"Data: {'; '.join(_data(heads))}." if heads else ""]
    sentences.append(profile_note(grid.profile))
    if comparison.compared(table):
        sentences += [comparison.summary(table), *([] if form in SEPARATE else comparison.offset_words(table)),
                      comparison.rule(table) if form == "html" else ""]
    sentences.append(changed)
    return [sentence for sentence in sentences if sentence]


def _spread(table: Table) -> str:
    """The meaning of ±, if a cell has one."""
    cells = [cell for row, line in zip(table.cells, table.lines, strict=True) if not line.constant for cell in row]
    if any(cell.std is not None for cell in cells):
        return SPREAD[table.spread]
    return ONE_SEED if {cell.n for cell in cells if cell.n} == {1} else SPREAD["none"]


def _optimism(heads: Iterable[Head]) -> str:
    """A warning if a column shows the split on which its epoch was chosen."""
    chosen = any(select.partition(" ")[2].partition("/")[0] == head.metric.name.partition("/")[0]
                 for head in heads if head.epoch == "best" and "/" in head.metric.name for select in head.selects)
    return OPTIMISTIC if chosen else ""


def _rows(table: Table, form: str) -> list[str]:
    """Sentences on differences, X, averages, printed rows, unfinished runs and papers, if they occur."""
    cells = [cell for row in table.cells for cell in row]
    bases = dict.fromkeys(line.base for line in table.lines if line.base)
    row = "Columns" if table.transpose else "Rows"  # of the printed table
    *most, last = bases or [""]
    names = f"{', '.join(most)} or {last}" if most else last
    sentences = [f"Signed: differences from {names}, over the same seeds."] if bases else []
    if any(cell.chance for cell in cells):
        sentences.append("X: most seeds end within the 95 % binomial interval of chance.")
    sentences += [_average(head, table) for head in table.heads if head.averages]
    if any(line.constant for line in table.lines):
        mark = "in italics" if form == "latex" and not table.transpose else "without n"
        sentences.append(f"{row} {mark} are as printed in the paper.")
    if any(cell.so_far for cell in cells):
        sentences.append(UNFINISHED)
    if table.papers:
        sentences.append(f"Published: {'; '.join(f'{one.key}, {one.citation}' for one in table.papers)}.")
    return sentences


def _average(head: Head, table: Table) -> str:
    before = [other.label for other in table.heads[:table.heads.index(head)] if not other.averages]
    every = f"the {'rows' if table.transpose else 'columns'} before it"
    of = every if set(before) == set(head.averages) else ", ".join(head.averages)
    x = any(cell.chance for row in table.cells for cell in row if cell.column in head.averages)
    return f"{head.label}: mean of {of}{f', an X counted as {CHANCE:g}' if x else ''}."


def profile_note(profile: str) -> str:
    """A sentence on the profile: whether its numbers may be compared with published ones."""
    return "Profile: paper." if profile == "paper" else f"Not comparable with published numbers: profile {profile}."


def _columns(heads: Sequence[Head]) -> list[str]:
    """Metric, unit and epoch of the columns, grouped if they are the same."""
    kinds: dict[str, list[str]] = {}
    for head in heads:
        unit = f" in {head.metric.unit}" if head.metric.unit else ""
        kinds.setdefault(f"{head.metric.words}{unit}, {head.epoch_words}", []).append(head.label)
    if len(kinds) == 1 or _by_epoch(heads):
        words = next(iter(kinds))
        words = words.rpartition(", ")[0] + ", after the epoch that heads the column" if len(kinds) > 1 else words
        return [words[0].upper() + words[1:] + "."]
    return [f"{', '.join(labels)}: {words}." for words, labels in kinds.items()]


def _by_epoch(heads: Sequence[Head]) -> bool:
    """Whether all columns show one metric, each after the epoch in its label."""
    return len({(head.metric.words, head.metric.unit) for head in heads}) == 1 and \
        all(head.label == f"epoch {head.epoch}" for head in heads)


def _data(heads: Iterable[Head]) -> list[str]:
    """Data set, variant and options of the columns, grouped if they are the same."""
    kinds: dict[str, list[str]] = {}
    for head in heads:
        sets = dict.fromkeys(data_words(run) for run in head.runs)
        kinds.setdefault(" and ".join(sets), []).append(head.label)
    if len(kinds) == 1:
        return list(kinds)
    return [f"{', '.join(labels)}: {words}" for words, labels in kinds.items()]
