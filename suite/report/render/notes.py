"""What a reader must know beside the numbers: the caption's sentences, and warnings where a column mixes conditions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from suite.report.against import comparison
from suite.report.conditions import data_words
from suite.report.published.number import CHANCE
from suite.report.tables.evaluated import evaluated_words
from suite.report.tables.table import Head, Table

if TYPE_CHECKING:
    from suite.grid.model import Grid

SPREAD = {"sample": "± is the sample standard deviation (n − 1 in the denominator) over n seeds.",
          "population": "± is the standard deviation over n seeds as of a population (n in the denominator).",
          "none": "Means over n seeds."}
MARKS = {"latex": "Bold: best of a {}; underlined: second; among cells with all their seeds.",
         "html": "Bold: best of a {}; underlined: second; among cells with all their seeds.",
         "text": "Bold: best of a {}, among cells with all their seeds.",
         "plain": "*: best of a {}, among cells with all their seeds."}

NEAR_BEST = ("≈: not distinguishable from the best of its {0}, after selection (t tests against the best, with the "
             "variance of the {0} if its cells are alike; Holm, 5 %).")
OPTIMISTIC = ("The best epoch is chosen on the validation split that is reported, so these numbers are optimistic: on "
              "new data they would be somewhat worse.")
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
    sentences += [SPREAD[table.spread], *_columns(heads), _optimism(heads), *_rows(table, form)]
    if any(cell.rank for row in table.cells for cell in row):
        sentences.append(MARKS[form].format("row" if table.transpose else "column"))
    if table.marked:
        sentences.append(NEAR_BEST.format("row" if table.transpose else "column"))
    sentences += [evaluated_words(heads), f"Data: {'; '.join(_data(heads))}." if heads else ""]
    sentences.append(profile_note(grid.profile))
    sentences += [comparison.summary(table) if comparison.compared(table) else "", changed]
    return [sentence for sentence in sentences if sentence]


def _optimism(heads: Iterable[Head]) -> str:
    """A warning if a column shows the split by which its epoch was chosen."""
    chosen = any(select.partition(" ")[2].partition("/")[0] == head.metric.name.partition("/")[0]
                 for head in heads if head.epoch == "best" and "/" in head.metric.name for select in head.selects)
    return OPTIMISTIC if chosen else ""


def _rows(table: Table, form: str) -> list[str]:
    """What the reader of the rows must know: differences, X, what is unfinished, averages, printed rows and papers."""
    cells = [cell for row in table.cells for cell in row]
    bases = dict.fromkeys(line.base for line in table.lines if line.base)
    row = "Columns" if table.transpose else "Rows"  # as they are printed
    told = [f"Signed: differences from {' or '.join(bases)}, over the same seeds."] if bases else []
    if any(cell.chance for cell in cells):
        told.append("X: most seeds end within the 95 % binomial interval of chance.")
    told += [_average(head, table) for head in table.heads if head.averages]
    if any(line.constant for line in table.lines):
        told.append(f"{row} {'in italics' if form == 'latex' and not table.transpose else 'without n'} are as printed "
                    "in the paper.")
    if any(cell.so_far for cell in cells):
        told.append(UNFINISHED)
    if table.papers:
        told.append(f"Published: {'; '.join(f'{one.key}, {one.citation}' for one in table.papers)}.")
    return told


def _average(head: Head, table: Table) -> str:
    before = [other.label for other in table.heads[:table.heads.index(head)] if not other.averages]
    every = f"the {'rows' if table.transpose else 'columns'} before it"
    of = every if set(before) == set(head.averages) else ", ".join(head.averages)
    x = any(cell.chance for row in table.cells for cell in row if cell.column in head.averages)
    return f"{head.label}: mean of {of}{f', an X counted as {CHANCE:g}' if x else ''}."


def profile_note(profile: str) -> str:
    """Whether the numbers may be compared with published ones."""
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
