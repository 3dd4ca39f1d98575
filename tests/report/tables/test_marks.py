"""What stands beside a number: the mark of those near the best, numbers of several papers, and what a caption says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from report_store import fill, make_grid, sources, write_done, write_partial

from suite.report.report import write_report
from suite.store.store import Store

LAYOUT = """\
name: demo
published: a2020/1
also: [b2021/1]
rows: method
columns:
  - {label: sCIFAR, where: {task: sCIFAR}, digits: 1}
  - {label: SC test, where: {task: SC}, metric: test/accuracy, digits: 1}
"""
ALONE = LAYOUT.replace("published: a2020/1\nalso: [b2021/1]\n", "")
PAPER = """\
schema_version: 1
id: %s
title: A title
year: 2020
citation: %s
tables:
  '1':
    caption: a table
    split: val
    selection: null
    columns:
      sCIFAR: {task: scifar, metric: accuracy, digits: 1}
    rows:
      S4D-Lin: {cells: {sCIFAR: %s}}
      S4D-Real: {cells: {sCIFAR: %s}}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with two papers and a row that is not finished."""
    tmp = tmp_path_factory.mktemp("marks")
    grid = make_grid(profile="paper", data={"name": "cifar10", "variant": "original"})
    store, texts = Store(tmp / "store"), sources(tmp, LAYOUT)
    fill(store, grid)
    for run in grid.runs:
        if run.labels["method"] == "S4D-Real":
            (store.folder(run.run_id) / "result.json").unlink()
            write_partial(store, run, [0.1, 0.2])
    for key, name, lin, real in (("a2020", "Alpha, A paper, 2020", 40.3, 30), ("b2021", "Beta, Another, 2021", 39, 31)):
        (texts / "published" / f"{key}.yaml").write_text(PAPER % (key, name, lin, real))
    write_report([grid], store, tmp / "out", texts, figures=False)
    return tmp / "out"


def cells(report: Path) -> dict[tuple[str, str], dict]:
    content = json.loads((report / "demo.cells.json").read_text())
    return {(cell["row"], cell["column"]): cell for cell in content["cells"]}


def test_a_cell_shows_each_paper_with_its_key_in_every_format(report: Path) -> None:
    told = (report / "demo.md").read_text()
    assert r"40.5 ± 0.5 (n=3) \[a2020 40.3; b2021 39.0\]" in told
    assert r"20.0 at epoch 2 of 4, n=3 \[a2020 30.0; b2021 31.0\]" in told
    assert "Published: a2020, Alpha, A paper, 2020; b2021, Beta, Another, 2021." in told
    assert "[a2020 40.3; b2021 39.0]" in json.loads((report / "demo.cells.json").read_text())["text"]
    tex = (report / "demo.tex").read_text()
    assert re.search(r"{\\footnotesize a2020 40.3}.*\n.*{\\footnotesize b2021 39.0}", tex), "a line below the other"
    page = (report / "index.html").read_text()
    assert "a2020 40.3: compatible</small>" in page and "b2021 39.0: " in page and "<i>20.0</i>" in page


def test_the_tables_against_the_papers_name_each(report: Path) -> None:
    told = (report / "demo.md").read_text()
    assert "| S4D-Lin (a2020)" in told and "| S4D-Lin (b2021)" in told


def test_numbers_so_far_are_in_no_mark_and_no_comparison(report: Path) -> None:
    cell = cells(report)["S4D-Real", "sCIFAR"]
    assert (cell["mean"], cell["n"]) == (None, 0) and not {"p_from_best", "near_best"} & cell.keys()
    assert cell["so_far"] == {"mean": pytest.approx(20.0), "epoch": 2, "epochs": 4, "n": 3}
    assert {one["verdict"] for one in cell["published"]} == {"no number"}


def test_near_the_best_is_marked_after_selection(tmp_path: Path) -> None:
    grid, store = make_grid(["S4D-Lin", "S4D-Inv"], seeds=2), Store(tmp_path / "store")
    fill(store, grid)  # two points apart, half a point between seeds
    write_report([grid], store, tmp_path / "out", sources(tmp_path, ALONE), figures=False)
    first = cells(tmp_path / "out")["S4D-Lin", "sCIFAR"]
    assert first["p_from_best"] == pytest.approx(0.0299, abs=1e-3) and "near_best" not in first
    for run in grid.runs:
        best = 0.400 + 0.002 * (run.labels["method"] == "S4D-Inv") + 0.01 * run.config.seed
        write_done(store, run, [best] * 4)
    write_report([grid], store, tmp_path / "out", sources(tmp_path, ALONE), figures=False)
    second = cells(tmp_path / "out")["S4D-Lin", "sCIFAR"]
    assert second["p_from_best"] == pytest.approx(0.804, abs=1e-3) and second["near_best"]
    told = (tmp_path / "out/demo.md").read_text()
    assert "40.5 ± 0.7 (n=2) ≈" in told
    assert "≈: not distinguishable from the best of its column, after selection" in told
    tex, page = (tmp_path / "out/demo.tex").read_text(), (tmp_path / "out/index.html").read_text()
    assert r"40.5} \ensuremath{\pm} 0.7 \ensuremath{\approx}" in tex and "after selection\">≈</span>" in page


def test_the_caption_says_that_the_best_epoch_is_optimistic_if_it_is(report: Path) -> None:
    told = (report / "demo.md").read_text()
    assert "The best epoch is chosen on the validation split that is reported, so these numbers are optimistic" in told
