"""The forms of a report: golden files, names that try to be markup, and figures.

`UPDATE_GOLDEN=1 pytest tests/report/render` writes the golden files again: look at what changed.
"""

import json
import os
import re
import string
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from report_store import CLAIMS, LAYOUT, NASTY, hostile, make_grid, sources, with_holes, write_done, write_partial

from suite.report.figures import curves
from suite.report.figures.curves import Line, Panel
from suite.report.metric import metric, selection_words
from suite.report.render import latex, markdown, text
from suite.report.report import write_report
from suite.store.store import Store

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with numbers, an exclusion, a partial and a missing run; its folder, and its text for the terminal."""
    tmp = tmp_path_factory.mktemp("golden")
    grid, store = with_holes(tmp)
    last = grid.runs[-1]
    (store.root / last.run_id / "result.json").unlink()
    (store.root / last.run_id / "provenance.json").unlink()
    (store.root / last.run_id).rmdir()
    made = write_report([grid], store, tmp / "out", sources(tmp, LAYOUT, CLAIMS))
    return tmp / "out", made.text.replace(str(tmp / "out"), "reports")


def golden(name: str, content: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(content, encoding="utf-8")
    assert content == (GOLDEN / name).read_text(encoding="utf-8")


def test_terminal(report):
    golden("report.txt", report[1] + "\n")


@pytest.mark.parametrize("end", ["md", "tex"])
def test_markdown_and_latex(report, end):
    golden(f"report.{end}", (report[0] / f"demo.{end}").read_text(encoding="utf-8"))


def test_cells(report):
    content = json.loads((report[0] / "demo.cells.json").read_text())
    for key in ("fingerprint", "files", "text"):
        content.pop(key)
    rounded = json.loads(json.dumps(content), parse_float=lambda number: round(float(number), 9))
    golden("report.cells.json", json.dumps(rounded, indent=1, ensure_ascii=False) + "\n")


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """The folder of a report on a grid whose names all try to be markup."""
    return hostile(tmp_path_factory.mktemp("nasty"), [NASTY[0], NASTY[2]])


def test_a_markdown_table_keeps_its_columns(nasty):
    lines = [line for line in (nasty / "demo.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert lines
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(NASTY) + 2}


@pytest.mark.parametrize(("name", "escaped"), [
    ("a|b", r"a\|b"), ("`x`", r"\`x\`"), ("a_b*c", r"a\_b\*c"), ("<b>&", "&lt;b&gt;&amp;"), ("[x](y)", r"\[x\](y)"),
    ("1. x", r"1\. x"), ("1.5", "1.5"), ("- x", r"\- x"), ("# x", r"\# x"), ("@all", "&#64;all"),
    ("a\nb\x1b[0m", "a b \\[0m"), ("S4D-Lin ×100 (n=3)", "S4D-Lin ×100 (n=3)")])
def test_markdown_escapes(name, escaped):
    assert markdown.escape(name) == escaped


@pytest.mark.parametrize(("name", "escaped"), [
    ("50 % & more_x #1 $2", r"50 \% \& more\_x \#1 \$2"),
    ("{~^\\}", r"\{\textasciitilde{}\textasciicircum{}\textbackslash{}\}"),
    ("41.2 ± 0.3", r"41.2 \ensuremath{\pm} 0.3"), ("Lin ×100", r"Lin \ensuremath{\times}100"),
    ("Δ", r"\ensuremath{\Delta}"), ("é ç Å", r"\'{e} \c{c} \r{A}"), ("ï", r"\"{\i}"), ("漢", r"\texttt{U+6F22}"),
    ("a--b", "a-{}-b"), ("---", "-{}-{}-"), ("a–b", "a--b"), ("<|>", r"\textless{}\textbar{}\textgreater{}"),
    ("*a [b", "{*}a {[}b"), ("e\u0301", r"\'{e}"), ("a\nb\x00", "a b "), ("S4D-Lin", "S4D-Lin")])
def test_latex_escapes(name, escaped):
    assert latex.escape(name) == escaped


def test_latex_is_ascii_with_balanced_braces_for_every_character():
    characters = [*string.printable, *map(chr, range(0x80, 0x3000)), *NASTY]
    for character in characters:
        escaped = latex.escape(character)
        assert escaped.isascii(), unicodedata.name(character, character)
        bare = re.sub(r"\\[{}\\]", "", escaped)
        assert bare.count("{") == bare.count("}")
        assert not re.search(r"(?<!\\)[%#$&_]", re.sub(r"\\ensuremath\{[^}]*\{?[^}]*\}?\}", "", escaped))


def test_latex_of_nasty_names(nasty):
    tex = (nasty / "demo.tex").read_text(encoding="utf-8")
    assert tex.isascii()
    assert r"\input{x}" not in tex
    bodies = [part[part.index(r"\midrule"):part.index(r"\bottomrule")].splitlines()[1:-1]
              for part in tex.split(r"\begin{table}")[1:]]
    counts = [[len(re.findall(r"(?<!\\)&", line)) for line in body] for body in bodies]
    assert all(len(set(each)) == 1 and len(each) == 2 for each in counts), "two rows in each part, of equal length"
    assert sum(each[0] for each in counts) == len(NASTY), "each column once"


def test_the_terminal_gets_no_control_characters():
    assert text.clean("a\x1b[31mb\rc\nd ± é") == "a\ufffd[31mb\ufffdc\nd ± é"


@pytest.mark.parametrize(("name", "heading", "axis"), [
    ("val/accuracy", "validation accuracy, % ↑", "validation accuracy (%)"),
    ("test/rmse", "test RMSE, target units ↓", "test RMSE (target units)"),
    ("test@8000/accuracy", "test at 8000 Hz accuracy, % ↑", "test at 8000 Hz accuracy (%)"),
    ("train/loss", "training loss ↓", "training loss"),
    ("time/train", "training time, s ↓", "training time (s)"),
])
def test_metrics_have_names_units_and_directions(name, heading, axis):
    shown = metric(name, "here")
    assert (shown.heading, shown.axis) == (heading, axis)


def test_numbers_have_a_true_minus_and_no_negative_zero():
    shown = metric("val/accuracy", "here", digits=1)
    assert [shown.format(-1.25, signed=True), shown.format(-0.04)] == ["−1.2", "0.0"]
    assert shown.format(0.04, signed=True) == "0.0"
    assert shown.format(3.0, signed=True) == "+3.0"
    assert selection_words("min val/rmse") == "the epoch with the lowest validation RMSE"


def panel(names: list[str], epochs: int = 5, title: str = "sCIFAR") -> Panel:
    x = np.arange(1, epochs + 1)
    return Panel(title, "validation accuracy (%)", tuple(
        Line(name, x, 30 + x * (i + 1.0), np.full(epochs, np.nan if i else 0.5)) for i, name in enumerate(names)))


def test_figures_name_everything_they_show():
    drawn = curves.figure([panel(["a", "_b", "$c_1$"]), panel(["a"], title="SC")])
    assert [axes.get_xlabel() for axes in drawn.axes] == ["epoch", "epoch"]
    assert [axes.get_ylabel() for axes in drawn.axes] == ["validation accuracy (%)"] * 2
    assert [axes.get_title() for axes in drawn.axes] == ["sCIFAR", "SC"]
    assert [label.get_text().strip("\u200b") for label in drawn.legends[0].get_texts()] == ["a", "_b", "$c_1$"]


def test_lines_stay_apart_by_colour_or_dash():
    drawn = curves.figure([panel([f"method {i}" for i in range(20)])])
    looks = {(line.get_color(), line.get_linestyle()) for line in drawn.axes[0].get_lines()}
    assert len(looks) == 20


def test_curves_average_the_seeds_that_are_there(tmp_path):
    from suite.report.against.verdict import judged_table
    from suite.report.published.papers import load_published
    from suite.report.tables.layout import default_layout
    from suite.report.tables.results import read_results

    grid, store = make_grid(["a"], ["t"], seeds=3), Store(tmp_path)
    write_done(store, grid.runs[0], [0.1, 0.2, 0.3, 0.4])
    write_partial(store, grid.runs[1], [0.3, 0.4])
    results = read_results(grid, store, store.states([run.run_id for run in grid.runs]))
    tables = [judged_table(default_layout(grid), grid, results, load_published())]
    made, = curves.panels(tables, results, curves.curves(tables, results))
    line, = made.lines
    assert line.epochs.tolist() == [1, 2, 3, 4]
    assert line.mean == pytest.approx([20, 30, 30, 40])
    assert line.std[:2] == pytest.approx([200**0.5] * 2)
    assert np.isnan(line.std[2:]).all()


def test_numbers_that_are_not_final_have_a_note_and_a_common_n_is_said_once(report):
    tex = (report[0] / "demo.tex").read_text()
    assert r"softmax & 30.0\textsuperscript{a} & --\textsuperscript{b} & --\textsuperscript{b}" in tex
    assert r"\textsuperscript{a} Not finished: at epoch 1 of 4, n=3. \textsuperscript{b} Excluded: softmax" in tex
    assert "(n=3)" not in tex and tex.count("(n=2, 1 not run)") == 3 and "n=3 unless a cell says otherwise." in tex
