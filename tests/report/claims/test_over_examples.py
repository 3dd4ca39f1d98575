"""The second interval of a claim: over seeds and examples, in every format, and what it says of a verdict."""

from __future__ import annotations

import html
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claim_store import claim, tables_of, write
from report_store import CLAIMS, LAYOUT, Shelf, fill, make_grid, sources

from suite.config.outcomes import encode
from suite.files import atomic
from suite.grid.model import Grid
from suite.report.claims.judge import judge
from suite.report.claims.language import load_claims
from suite.report.claims.outcome import Verdict
from suite.report.report import write_report
from suite.report.statistics.crossed import Layer, paired, rooted, unpaired
from suite.report.tables.evaluated import ExampleOutcomes
from suite.report.tables.results import read_results
from suite.store.folder import OUTCOMES as FILE
from suite.store.store import Store

LIN, REAL = "S4D-Lin", "S4D-Real"
Bits = dict[str, np.ndarray]  # by method: (seeds, examples)


def shelf(grid: Grid, folder: Path, values: Bits, recorded: bool = True) -> Shelf:
    """A store where these are the outcomes of the first epoch, which is the best, and of the fourth."""
    made = Shelf(folder)
    for run in grid.runs:
        one = values[run.labels["method"]][run.config.seed]
        made.put(run, "done", [float(one.mean())] * 4)
        if recorded:
            (folder / run.run_id).mkdir(parents=True)
            (folder / run.run_id / FILE).write_bytes(encode({1: {"val": one}, 4: {"val": one}}))
    return made


def verdict(folder: Path, values: Bits, recorded: bool = True, **changes: Any) -> Verdict:
    grid = make_grid([LIN, REAL], ["sCIFAR"], len(values[LIN]))
    tables, numbers = tables_of(grid, shelf(grid, folder / "store", values, recorded))
    made, = judge(load_claims(write(folder, claim(**changes)), grid, tables), numbers)
    return made


def right(*counts: int, of: int) -> np.ndarray:
    """For each seed so many of the examples right: the first, and a few of the last, others in each seed."""
    found = np.zeros((len(counts), of), bool)
    for seed, count in enumerate(counts):
        found[seed, :count - seed] = True
        found[seed, of - seed:] = True
    return found


MANY = {LIN: right(800, 801, 802, of=1000), REAL: right(700, 701, 703, of=1000)}


@pytest.mark.parametrize("by", [None, "seed"])
def test_the_interval_is_that_of_the_crossed_layout(by: str | None, tmp_path: Path) -> None:
    found = verdict(tmp_path, MANY, by=by)
    part, = found.parts
    layers = [Layer(100.0, "x", MANY[REAL]), Layer(-100.0, "x", MANY[LIN])]
    expected = (paired if by else unpaired)(layers)
    assert part.crossed is not None and part.estimate is not None and part.crossed.value == part.estimate.value
    assert (part.crossed.error, part.crossed.df) == pytest.approx((math.sqrt(expected.value), expected.df))
    low, high = (f"{side:+.2f}".replace("-", "−") for side in part.crossed.interval())
    assert found.verdict == "supported" and found.for_such_examples
    assert f"; over seeds and images 95 % CI {low} to {high} points: holds for such images" in found.evidence
    assert part.crossed.error > part.estimate.error


def test_a_difference_on_few_examples_is_one_of_these_alone(tmp_path: Path) -> None:
    """Two of forty: the same ones in every seed, so that seeds show no error, and other examples might."""
    few = {LIN: right(30, 31, 32, of=40), REAL: right(27, 28, 29, of=40)}
    found = verdict(tmp_path, few)
    assert (found.verdict, found.for_such_examples) == ("supported", False)
    assert found.evidence.count("holds for these images, not shown for other ones") == 1


def test_an_undecided_claim_has_the_interval_and_no_word(tmp_path: Path) -> None:
    found = verdict(tmp_path, {LIN: right(500, 510, 520, of=1000), REAL: right(498, 515, 511, of=1000)})
    assert (found.verdict, found.for_such_examples) == ("undecided", None)
    assert "over seeds and images 95 % CI " in found.evidence and "for such" not in found.evidence


@pytest.mark.parametrize(("difference", "word"), [(0, "no difference"), (2000, "contradicted")])
def test_it_is_asked_of_every_verdict(difference: int, word: str, tmp_path: Path) -> None:
    lin = right(5000, 5001, 5002, of=10_000)
    real = right(*(5000 + difference + seed for seed in (1, 0, 2)), of=10_000)
    made = verdict(tmp_path, {LIN: lin, REAL: real})
    assert (made.verdict, made.for_such_examples) == (word, True)


def test_without_outcomes_it_says_so(tmp_path: Path) -> None:
    found = verdict(tmp_path, MANY, recorded=False)
    assert (found.verdict, found.for_such_examples) == ("supported", None)
    assert "over seeds and images: not recorded" in found.evidence


def test_outcomes_of_another_number_are_not_taken_for_these(tmp_path: Path) -> None:
    grid = make_grid([LIN, REAL], ["sCIFAR"])
    made = shelf(grid, tmp_path / "store", MANY)
    run = grid.runs[0]
    (tmp_path / "store" / run.run_id / FILE).write_bytes(encode({1: {"val": MANY[REAL][0]}}))
    tables, numbers = tables_of(grid, made)
    found, = judge(load_claims(write(tmp_path, claim()), grid, tables), numbers)
    assert "over seeds and images: not recorded" in found.evidence


def test_a_loss_has_no_outcomes(tmp_path: Path) -> None:
    assert "over seeds" not in verdict(tmp_path, MANY, columns="loss").evidence


def test_absolute_errors_become_values_whose_mean_is_the_rmse(tmp_path: Path) -> None:
    grid, made = make_grid([LIN], ["sCIFAR"], 1), Shelf(tmp_path)
    run, = grid.runs
    errors = np.abs(np.random.default_rng(0).normal(size=224)).astype(np.float16)
    root = math.sqrt((errors.astype(float)**2).mean())
    made.put(run, "done", [0.4] * 4, val__rmse=[root * 1.0001] * 4)
    (tmp_path / run.run_id).mkdir()
    (tmp_path / run.run_id / FILE).write_bytes(encode({4: {"val": errors}}))
    found = ExampleOutcomes(read_results(grid, made, made.states([run.run_id])))
    values = found.of(run, "val/rmse", "last")
    assert values is not None and values == pytest.approx(rooted(errors[None])[0])
    assert values.mean() == pytest.approx(root)
    assert found.of(run, "val/rmse", "best") is None and found.of(run, "val/accuracy", "last") is None


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in all its formats, of runs with outcomes on 1,000 images."""
    folder, grid = tmp_path_factory.mktemp("report"), make_grid()
    store = Store(folder / "store")
    fill(store, grid)
    rng = np.random.default_rng(1)
    hard = rng.permutation(1000)
    for run in grid.runs:
        rows = store.rows(run.run_id)
        found = {int(row["epoch"]): {split: hard < round(1000 * row[f"{split}/accuracy"]) for split in ("val", "test")}
                 for row in rows[2:]}
        (store.folder(run.run_id) / FILE).write_bytes(encode(found))
        path = store.folder(run.run_id) / "result.json"
        content = atomic.read_sealed(path)
        digest = atomic.sha256_of(path.parent / FILE)
        atomic.replace(path, atomic.seal(content | {"outcomes": digest}), atomic.nobody(), durable=False)
    write_report([grid], store, folder / "out", sources(folder, LAYOUT, CLAIMS))
    return folder / "out"


def test_every_format_has_it(written: Path) -> None:
    record = json.loads((written / "demo.cells.json").read_text())
    one, = (each for each in record["claims"] if each["id"] == "real")
    part, = one["comparisons"]
    assert one["verdict"] == "supported" and one["for_such_examples"] is True
    low, high = (f"{side:+.2f}".replace("-", "−") for side in part["over_examples"])
    told = f"over seeds and images 95 % CI {low} to {high} points: holds for such images"
    assert part["over_examples_df"] > 2 and told in one["evidence"] and told in record["text"]
    assert told in (written / "demo.md").read_text()
    page = html.unescape((written / "index.html").read_text())
    assert told in page
    latex = (written / "demo.tex").read_text()
    assert r"over seeds and images 95 \% CI " in latex and "holds for such images" in latex
    for name in ("demo.md", "index.html", "demo.tex"):
        assert "1,000 images" in html.unescape((written / name).read_text()).replace("~", " "), name


def test_cells_have_it_too(written: Path) -> None:
    record = json.loads((written / "demo.cells.json").read_text())
    cells = {(cell["row"], cell["column"]): cell for cell in record["cells"]}
    one = cells[LIN, "sCIFAR"]
    low, high = one["over_examples"]
    assert low < one["interval"][0] < one["mean"] < one["interval"][1] < high
    assert cells[LIN, "SC first"].get("over_examples") is None, "only the best and the last epoch are kept"
    page = (written / "index.html").read_text()
    assert "95 % interval over seeds and images" in page and "evaluated on" in page and "not recorded" in page
