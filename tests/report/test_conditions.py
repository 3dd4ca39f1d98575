"""What the numbers of a table do not share: listed, and where it goes with the seeds, said in one short sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_store import fill, make_grid, sources

from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.report import conditions
from suite.report.claims.stacking import MIXED
from suite.report.conditions import counted
from suite.report.document import Document, document_of
from suite.report.report import write_report
from suite.store.store import Store

ROOT = Path(__file__).parents[2]
LAYOUT = "name: demo\nrows: {axis: method}\ncolumns:\n  - {label: sCIFAR, where: {task: sCIFAR}}\n"
SEEDS = (0, 1, 2)
DIFFER = "also differ in code."


def record(**values: object) -> dict[str, object]:
    code = values.pop("code", "abc")
    return {"environment": {"device": "a cpu", "threads": 1} | values, "mixed": [], "code": code}


def document(grid: Grid, folder: Path, of: dict[tuple[str, int], dict[str, object]]) -> Document:
    """The report on a grid whose runs, by method and seed, were made under these conditions."""
    store = Store(folder / "store")
    for run in grid.runs:
        one = Grid(**{**vars(grid), "runs": (run,)})
        fill(store, one, record(**of.get((run.labels["method"], run.config.seed), {})))
    return document_of(grid, store, sources(folder, LAYOUT))


def everywhere(grid: Grid, by_seed: dict[int, dict[str, object]]) -> dict[tuple[str, int], dict[str, object]]:
    return {(run.labels["method"], run.config.seed): by_seed.get(run.config.seed, {}) for run in grid.runs}


@pytest.mark.parametrize(("by_seed", "words"), [
    ({1: {"code": "def"}, 2: {"code": "abd"}}, "seed and code are confounded."),
    ({2: {"device": "another"}}, "seed and device are confounded."),
    ({2: {"device": "another", "code": "def"}}, "seed, code and device are confounded."),
    ({2: {"cpu": "another"}}, "")])
def test_what_goes_with_the_seeds_is_one_sentence(by_seed: dict[int, dict[str, object]], words: str,
                                                  tmp_path: Path) -> None:
    grid = make_grid(tasks=["sCIFAR"])
    made = document(grid, tmp_path, everywhere(grid, by_seed))
    assert made.warnings == ((f"demo: {words}",) if words else ())


def test_a_run_of_its_own_within_a_seed_is_named(tmp_path: Path) -> None:
    grid = make_grid(tasks=["sCIFAR"])
    of = everywhere(grid, {0: {"code": "a"}, 1: {"code": "b"}, 2: {"code": "c"}})
    made = document(grid, tmp_path, of | {("S4D-Inv", 1): {"code": "b, then d"}})
    assert made.warnings == (f"demo: seed and code are confounded; runs of the same seed (1) {DIFFER}",)
    (name, values), *_ = counted(grid.runs, made.provenance)
    assert (name, values) == ("code", [("a (seed 0)", 3), ("c (seed 2)", 3), ("b (seed 1)", 2),
                                       ("b, then d (seed 1)", 1)])


def test_what_cuts_across_the_seeds_is_listed_without_hashes(tmp_path: Path) -> None:
    grid = make_grid(tasks=["sCIFAR"])
    made = document(grid, tmp_path, {("S4D-Inv", seed): {"code": "f" * 40, "threads": 2} for seed in SEEDS})
    assert made.warnings == ("sCIFAR: the runs of this column differ in code: 2 versions.",
                             "sCIFAR: the runs of this column differ in threads: 1; 2.")


def test_every_run_with_code_of_its_own_is_no_matter_of_seeds(tmp_path: Path) -> None:
    grid = make_grid(tasks=["sCIFAR"])
    of = {(run.labels["method"], run.config.seed): {"code": run.run_id} for run in grid.runs}
    assert document(grid, tmp_path, of).warnings == ("sCIFAR: the runs of this column differ in code: 9 versions.",)


def test_a_claim_that_mixes_runs_of_a_stack_with_others_says_so_in_every_format(tmp_path: Path) -> None:
    grid = make_grid(tasks=["sCIFAR"])
    text = LAYOUT + "  - {label: all, where: {task: sCIFAR}}\n"
    made = sources(tmp_path, text)
    (made / "claims.yaml").write_text("\n".join([
        "claims:", *(f"  - {{id: {left}-{right}, text: One is worse, source: here, table: demo, kind: worse, "
                     f"columns: sCIFAR, left: S4D-{left}, right: S4D-{right}}}"
                     for left, right in (("Real", "Inv"), ("Real", "Lin")))]))
    store = Store(tmp_path / "store")
    for run in grid.runs:
        stack = {} if run.labels["method"] == "S4D-Inv" else {"stack": "a b"}
        fill(store, Grid(**{**vars(grid), "runs": (run,)}), record(**stack))
    write_report([grid], store, tmp_path / "out", made, figures=False)
    told = {one["id"]: one["evidence"] for one in json.loads((tmp_path / "out/demo.cells.json").read_text())["claims"]}
    assert told["Real-Inv"].endswith(MIXED) and MIXED not in told["Real-Lin"]
    for name in ("demo.md", "demo.tex", "index.html"):
        assert (tmp_path / "out" / name).read_text().count(MIXED) >= 1, name


def test_the_kept_first_epoch_says_so(tmp_path: Path) -> None:
    """Seeds 0, 1 and 2 were run by three commits, seed 2 on another CPU."""
    folder = ROOT / "results/table3b-scifar-epoch1"
    store = Store(folder / "store")
    grid = load_grid(ROOT / "grids/first-epoch.yaml")
    made = document_of(grid, store)
    assert made.warnings[0] == f"first-epoch: seed, code and device are confounded; runs of the same seed (2) {DIFFER}"
    assert not any("233e6df" in one for one in made.warnings)
    code = dict(conditions.counted(grid.runs, made.provenance))["code"]
    assert {value.rpartition(" (")[2] for value, _ in code} == {"seed 0)", "seed 1)", "seed 2)"}
    write_report([grid], store, tmp_path, figures=False)
    page = (tmp_path / "index.html").read_text()
    assert "233e6df" in page.partition("<summary>Provenance</summary>")[2]
