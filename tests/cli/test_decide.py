"""`--decide`: seeds are added for undecided claims alone, and belong to the grid from then on. Runs are faked here."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from report_store import write_done

from suite.cli import run as running
from suite.cli.decide import next_look
from suite.cli.main import main
from suite.grid.expand import load_grid
from suite.grid.seeds import at_seed, configurations, in_order, with_runs
from suite.launch.options import Launched, Options
from suite.report.added import most_seeds, with_added
from suite.store import declaration
from suite.store.merge import merge
from suite.store.store import Store

ROOT = Path(__file__).parents[2]
QUICKSTART = str(ROOT / "grids/quickstart.yaml")
BEFORE = "declared before the first look of this store"
EFFECTS = {"S4D-Real": -3.0, "S4D-Lin ×100": -5.0}


class Faked:
    """Runs in no time: an accuracy of 40 plus the method's effect and half a point of noise."""

    def __init__(self, store: Path) -> None:
        self.store, self.launches, self.effects = Store(store), [], dict(EFFECTS)  # type: ignore[var-annotated]
        self.over_at = []  # type: ignore[var-annotated]
        self.most = 10**6

    def launch(self, plan_, held, options, executor, where):  # type: ignore[no-untyped-def]
        runs = [*plan_.todo, *held][:self.most]
        self.launches.append([run.name for run in runs])
        self.over_at.append(options.over_at)
        for run in runs:
            noise = np.random.default_rng(int(run.run_id[:8], 16)).normal() / 2
            top = (40 + self.effects.get(run.labels["method"], 0.0) + noise) / 100
            epochs = run.config.train.epochs
            self.store.add(run.config)
            write_done(self.store, run, [0.1] * (epochs - 1) + [top])
        return Launched({})


@pytest.fixture
def faked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faked:
    made = Faked(tmp_path / "runs")
    monkeypatch.setattr(running, "_launch", made.launch)
    monkeypatch.setattr(running, "check_data", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    return made


pytestmark = pytest.mark.usefixtures("no_figures")


def decide(*more: str) -> int:
    return main([QUICKSTART, "--decide", *more])


def claims(folder: Path) -> dict[str, dict[str, object]]:
    shown = json.loads((folder / "reports/quickstart.cells.json").read_text())
    return {claim["id"]: claim for claim in shown["claims"]}


def test_seeds_are_added_until_every_claim_has_a_final_word(faked: Faked, tmp_path: Path) -> None:
    assert decide() == 0
    assert len(faked.launches[0]) == 30  # the first three seeds of every row, also of those without a claim
    assert {claim["verdict"] for claim in claims(tmp_path).values()} == {"supported"}
    assert {claim["declared"] for claim in claims(tmp_path).values()} == {BEFORE}
    further = [name for launch in faked.launches[1:] for name in launch]
    assert not [name for name in further if "Inv" in name or "LegS" in name]
    before = len(faked.launches)
    assert decide() == 0
    assert len(faked.launches) == before  # a second call starts nothing


def test_only_rows_of_undecided_claims_get_seeds_and_these_belong_to_the_grid(
        faked: Faked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faked.effects["S4D-Real"] = -0.4
    assert decide() == 0
    rows = {name.rsplit(" seed", 1)[0] for launch in faked.launches[1:] for name in launch}
    assert rows == {"sCIFAR S4D-Lin", "sCIFAR S4D-Real", "SC S4D-Lin", "SC S4D-Real"}
    made = claims(tmp_path)
    assert {made[f"quickstart-scale-{task}"]["seeds"] for task in ("sc", "scifar")} == {3}
    late = made["quickstart-real-sc"]
    assert late["verdict"] != "undecided" and int(str(late["seeds"])) > 3
    seeds = len(next(cell for cell in json.loads((tmp_path / "reports/quickstart.cells.json").read_text())["cells"]
                     if (cell["row"], cell["column"]) == ("S4D-Real", "SC"))["values"])
    assert seeds >= int(str(late["seeds"]))
    total = sum(map(len, faked.launches))
    capsys.readouterr()
    assert main(["status", QUICKSTART]) == 0
    assert f"{total} runs: {total} done" in capsys.readouterr().out
    assert main(["gc", QUICKSTART]) == 0
    assert "0 runs were started by these grids but are no longer in them" in capsys.readouterr().out
    assert main(["why", QUICKSTART, "S4D-Real", "SC", "seed=3"]) == 0
    assert main(["plan", QUICKSTART]) == 0
    assert "× 3 seeds" in capsys.readouterr().out  # without --decide, the grid's own seeds


def test_added_seeds_are_kept_checked_and_merged_with_their_declaration(faked: Faked, tmp_path: Path) -> None:
    faked.effects["S4D-Real"] = -0.4
    assert decide() == 0
    assert main(["freeze", QUICKSTART, "--out", "kept"]) == 0
    assert 3 in json.loads((tmp_path / "kept/frozen.json").read_text())["added"]
    assert main(["report", "--check", "kept"]) == 0
    merge(tmp_path / "kept", tmp_path / "other")
    both = [declaration.read(Store(tmp_path / name), "quickstart", "quickstart") for name in ("runs", "other")]
    assert both[0] is not None and both[0] == both[1]
    grid = load_grid(ROOT / "grids/quickstart.yaml", None, (), ())
    assert len(with_added([grid], Store(tmp_path / "other"))[0].runs) == sum(map(len, faked.launches))


def test_runs_from_before_are_not_declared_beforehand(faked: Faked, tmp_path: Path) -> None:
    assert main([QUICKSTART]) == 0
    assert {claim["declared"] for claim in claims(tmp_path).values()} == {"not declared beforehand"}
    assert decide() == 0
    assert {claim["declared"] for claim in claims(tmp_path).values()} == {"not declared beforehand"}


def test_a_family_that_was_edited_after_the_first_look_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    declaration.declare(store, "g", "f", "one", 0)
    declaration.declare(store, "g", "f", "one", 1)
    assert declaration.read(store, "g", "f") == declaration.Declaration("one", 0)
    declaration.declare(store, "g", "f", "two", 2)
    declaration.declare(store, "g", "f", "three", 4)
    assert declaration.read(store, "g", "f") == declaration.Declaration("one", 0, 2)  # the first is never changed
    assert declaration.read(store, "g", "other") is None


def test_two_stores_that_looked_at_different_times_give_one_verdict(faked: Faked, tmp_path: Path) -> None:
    faked.effects["S4D-Real"] = -0.4
    assert decide() == 0  # declared, and looked at until all was decided
    first = claims(tmp_path)
    here = faked.store
    faked.store = Store(tmp_path / "theirs")
    assert main([QUICKSTART, "--store", "theirs"]) == 0  # run first, then looked at
    assert decide("--store", "theirs") == 0
    assert {claim["declared"] for claim in claims(tmp_path).values()} == {"not declared beforehand"}
    for source, target in ((here.root, tmp_path / "a"), (Path("theirs"), tmp_path / "a"),
                           (Path("theirs"), tmp_path / "b"), (here.root, tmp_path / "b"), (here.root, tmp_path / "b")):
        merge(source, target)
    for name in ("a", "b"):
        assert main(["report", QUICKSTART, "--store", name]) == 0
        made = claims(tmp_path)
        assert {claim["declared"] for claim in made.values()} == {"not declared beforehand"}  # one of them was not
        assert [(c["verdict"], c["seeds"], c["p"]) for c in made.values()] == \
            [(c["verdict"], c["seeds"], c["p"]) for c in first.values()]


def test_merged_stores_of_different_families_say_so(tmp_path: Path) -> None:
    mine, theirs, both = (Store(tmp_path / name) for name in ("mine", "theirs", "both"))
    declaration.declare(mine, "g", "f", "one", 0)
    declaration.declare(theirs, "g", "f", "two", 0)
    declaration.declare(theirs, "g", "f", "three", 2)
    for source in (mine, theirs, theirs, mine):
        declaration.copy(source.root, both.root)
    assert declaration.read(both, "g", "f") == declaration.Declaration("one", 0, 2, several=True)
    assert len(list((both.root / declaration.FOLDER).iterdir())) == 3


def test_what_does_not_finish_is_not_started_for_ever(faked: Faked) -> None:
    faked.most = 7
    assert decide() == 0
    first = len(faked.launches)
    assert first < 3
    faked.most = 10**6
    assert decide() == 0  # the next call continues
    assert sum(map(len, faked.launches)) >= 30


def test_hours_bound_it(faked: Faked, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    assert decide("--hours", "1", "--jobs", "4") == 0
    assert len(faked.launches[0]) == 30  # a look is started whole: the launcher looks at the clock
    assert {3590 < over_at - started < 3660 for over_at in faked.over_at} == {True}
    assert decide("--hours", "0.0000001", "--jobs", "4", "--store", "empty") == 0
    assert "the time limit is reached; run the same command again to continue" in capsys.readouterr().out
    assert main([QUICKSTART, "--hours", "1"]) == 2
    assert "only for --decide" in capsys.readouterr().err


def test_plan_decide_says_what_the_next_look_costs(faked: Faked, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", QUICKSTART, "--decide"]) == 0
    shown = capsys.readouterr().out
    assert "quickstart: next look: 30 runs, later looks: at most 42 more" in shown
    assert "estimated time of the next look: " in shown and " at a time, within a factor of 2\n" in shown
    faked.effects["S4D-Real"] = -0.4
    assert main([QUICKSTART]) == 0
    capsys.readouterr()
    assert main(["plan", QUICKSTART, "--decide"]) == 0
    assert "next look: 4 runs, later looks: at most 24 more" in capsys.readouterr().out
    assert main([str(ROOT / "grids/step.yaml"), "--decide"]) == 2
    assert "no family of claims for this grid declares looks" in capsys.readouterr().err


def test_of_several_grids_those_without_looks_are_reported_only(
        faked: Faked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([QUICKSTART, str(ROOT / "grids/step.yaml"), "--decide"]) == 0
    assert "step: no claims declare looks, so no run is started for it\n" in capsys.readouterr().out
    assert not [name for launch in faked.launches for name in launch if not name.startswith(("sCIFAR", "SC"))]
    assert (tmp_path / "reports/index.html").is_file()  # of all the grids that were named


def test_a_grid_with_gaps_in_its_seeds_goes_on_after_the_largest(faked: Faked) -> None:
    grid = load_grid(ROOT / "grids/quickstart.yaml", None, (), ())
    runs = tuple(at_seed(run, seed) for run in configurations(grid.runs) for seed in (0, 5, 7))
    grid = replace(grid, runs=runs, seeds=(0, 5, 7))
    faked.effects["S4D-Real"] = -0.4
    asked = []
    for _ in range(2):
        look = next_look(grid, faked.store)
        asked.append(look.wanted)
        faked.launch(SimpleNamespace(todo=look.wanted), [], Options(faked.store.root), None, None)
    assert {run.config.seed for run in asked[0]} == {0, 5, 7}
    assert {run.config.seed for run in asked[1]} == {0, 5, 7, 8}


@pytest.mark.parametrize(("seeds", "first"), [((4, 2), {4, 2, 5}), (tuple(range(12)), {0, 1, 2})])
def test_a_grid_with_fewer_or_more_seeds_than_the_looks(faked: Faked, seeds: tuple[int, ...], first: set[int]) -> None:
    grid = load_grid(ROOT / "grids/quickstart.yaml", None, (), ())
    runs = tuple(at_seed(run, seed) for run in configurations(grid.runs) for seed in seeds)
    look = next_look(replace(grid, runs=runs, seeds=seeds), faked.store)
    assert {run.config.seed for run in look.wanted} == first


def test_the_order_of_seeds() -> None:
    assert in_order([0, 1, 2], 5) == (0, 1, 2, 3, 4)
    assert in_order([0, 5, 7], 5) == (0, 5, 7, 8, 9)
    assert in_order([100, 101], 3) == (100, 101, 102)
    assert in_order(range(12), 10) == tuple(range(10))
    grid = load_grid(ROOT / "grids/quickstart.yaml", None, (), ())
    more = with_runs(grid, [at_seed(grid.runs[0], 5)])
    assert (more.seeds, len(more.runs)) == ((0, 1, 2, 3, 4, 5), len(grid.runs) + 1)  # no seed is skipped
    assert most_seeds(grid) == 10
