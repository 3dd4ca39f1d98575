"""gc and cancel touch what the grids that they are given have started, and nothing that anybody else has asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_runner import Ear, all_well
from fake_training import STEPS, training
from places import claim_of, tree
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.cli.main import main
from suite.files import atomic
from suite.grid.expand import load_grid
from suite.grid.model import Grid, GridRun
from suite.job.compute import Compute
from suite.job.job import run
from suite.job.order import Order
from suite.launch import cancel, local, slurm
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.plan.plan import make_plan
from suite.store import attempt, requests
from suite.store.store import Store

GRID = ("name: {name}\nbase: {{task: scifar, data.variant: sample, train.epochs: 3}}\naxes: {{ssm.init: {inits}}}\n"
        "seeds: {seeds}\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Store:
    return Store(Path("runs"))


def write(name: str, inits: str = "[lin]", seeds: str = "[0]") -> Grid:
    Path(f"{name}.yaml").write_text(GRID.format(name=name, inits=inits, seeds=seeds))
    return load_grid(Path(f"{name}.yaml"))


def start(grid: Grid, store: Store, compute: bool = True) -> None:
    """What `run` does, with a training of milliseconds."""
    missing = [one for one in grid.runs if store.state(one.run_id).name == "todo"]
    requests.record([grid], {one.run_id for one in missing}, store)
    for one in missing if compute else ():
        run(store.add(one.config), Order(), training())


def ids(grid: Grid, **labels: str) -> set[str]:
    return {one.run_id for one in grid.runs if labels.items() <= one.labels.items()}


def test_gc_lists_and_moves_what_the_grid_started_and_names_no_more(store: Store,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    old = write("g", "[lin, inv, quad]")
    start(old, store)
    start(write("h", "[inv, legs]"), store)  # it names a run that `g` has started
    write("g", "[lin]")
    before = tree(store.root)
    assert main(["gc", "g.yaml"]) == 0
    out = capsys.readouterr().out
    quad, = ids(old) - ids(load_grid(Path("g.yaml"))) - ids(load_grid(Path("h.yaml")))
    assert "1 runs were started by these grids but are no longer in them; --yes" in out
    assert f"{quad}  done" in out and "quad seed 0" in out and tree(store.root) == before
    assert main(["gc", "g.yaml", "--yes"]) == 0
    assert not store.folder(quad).exists() and store.state(quad).name == "todo"
    assert set(store.run_ids()) == (ids(old) | ids(load_grid(Path("h.yaml")))) - {quad}
    (store.root / "trash" / f"{quad}-1").rename(store.folder(quad))
    assert store.state(quad).name == "done" and len(store.rows(quad)) == 3, "moved back, it is what it was"
    write("h", "[legs]")
    capsys.readouterr()
    assert main(["gc", "g.yaml", "h.yaml", "--yes"]) == 0
    assert "2 runs were moved to runs/trash" in capsys.readouterr().out


def test_gc_leaves_alone_what_other_profiles_and_settings_have_asked_for(store: Store, folder: Path,
                                                                         capsys: pytest.CaptureFixture[str]) -> None:
    start(write("g", "[lin]"), store)
    start(load_grid(Path("g.yaml"), "mini"), store)
    start(load_grid(Path("g.yaml"), sets=["ssm.state_size=4"]), store)
    (folder / "other").mkdir()
    Path("other/g.yaml").write_text(GRID.format(name="g", inits="[quad]", seeds="[0]"))  # the name alone says little
    start(load_grid(Path("other/g.yaml")), store)
    assert len(store.run_ids()) == 4
    for words in (["g.yaml"], ["g.yaml", "--profile", "mini"], ["g.yaml", "--set", "ssm.state_size=4"]):
        assert main(["gc", *words, "--yes"]) == 0
    write("g", "[inv]")
    capsys.readouterr()
    for words in (["g.yaml"], ["g.yaml", "--profile", "mini"], ["g.yaml", "--set", "ssm.state_size=4"]):
        assert main(["gc", *words, "--yes"]) == 0
        assert "1 runs were moved to runs/trash" in capsys.readouterr().out
    assert set(store.run_ids()) == ids(load_grid(Path("other/g.yaml")))
    with pytest.raises(SystemExit):
        main(["gc", "g.yaml", "--only", "seed=0"])  # the others would look like orphans


def test_gc_leaves_alone_what_is_under_way_and_what_nobody_is_known_to_have_started(
        store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    grid = write("g", "[lin, inv]")
    busy, free = (one.run_id for one in grid.runs)
    start(grid, store, compute=False)
    for one in grid.runs:
        run(store.add(one.config), Order(compute=Compute(until=1)), training())
    unknown = write("h", "[quad]").runs[0]
    run(store.add(unknown.config), Order(), training())
    own = attempt.claim(store.folder(busy))
    assert own is not None
    write("g", "[legs]")
    assert main(["gc", "g.yaml", "--yes"]) == 0
    assert "kept, it is active" in capsys.readouterr().out
    assert set(store.run_ids()) == {busy, unknown.run_id}
    place = store.root / "trash" / f"{free}-1"
    place.rename(store.folder(free))
    assert store.state(free).name == "partial" and store.state(free).epochs == 1


def test_gc_refuses_where_a_record_cannot_be_read(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    start(write("g", "[lin, inv]"), store)
    start(write("h", "[inv]"), store)
    for path in (store.root / "launches").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    write("g", "[lin]")
    assert main(["gc", "g.yaml", "--yes"]) == 2
    assert "this record of a start cannot be read" in capsys.readouterr().err and len(store.run_ids()) == 2


def test_an_equal_start_leaves_one_record_and_no_start_needs_none(store: Store) -> None:
    grid = write("g")
    requests.record([grid], (), store)
    assert not store.root.exists()
    for _ in range(3):
        start(grid, store)
    assert len(requests.all_of(store)) == 2  # the one that computed, and those that found all done
    store.root.rename("elsewhere")
    Path("runs").write_text("")
    requests.record([grid], (), store)
    with pytest.raises(NotADirectoryError):
        requests.record([grid], ids(grid), store)


@pytest.fixture
def launched(store: Store, quick_looks: None) -> Callable[..., tuple[threading.Thread, Ear]]:
    """Starts a launch of a grid in a thread, and returns when runs are under way."""
    def launch(grid: Grid, jobs: int, pause: float = 0.3, retry: bool = False) -> tuple[threading.Thread, Ear]:
        started, ear = threading.Event(), Ear()

        def heard(one: GridRun, beat: object) -> None:
            started.set()

        ear.on_progress = heard
        requests.record([grid], ids(grid), store)
        options = Options(store.root, jobs=jobs, retry=retry)
        thread = threading.Thread(target=lambda: local.launch(grid.runs, options, ear, training(pause=pause)))
        thread.start()
        assert started.wait(30)
        return thread, ear
    return launch


@pytest.mark.slow
@pytest.mark.parametrize("retry", [False, True])
def test_cancel_ends_what_computes_and_what_waits(store: Store, retry: bool, capsys: pytest.CaptureFixture[str],
                                                  launched: Callable[..., tuple[threading.Thread, Ear]]) -> None:
    grid = write("g", seeds="[0, 1, 2, 3]")
    thread, ear = launched(grid, jobs=2, retry=retry)
    assert main(["cancel", "g.yaml"]) == 0
    thread.join(20)
    assert not thread.is_alive() and "4 cancelled" in capsys.readouterr().out
    states = store.states(ids(grid))
    assert {state.name for state in states.values()} == {"cancelled"} and len(ear.states) == 4
    assert sorted(what for what, _ in ear.heard if what == "started") == ["started"] * 2
    local.launch(grid.runs, Options(store.root), Ear(), training())
    assert store.states(ids(grid)) == states, "what was cancelled is not run again unasked"
    local.launch(grid.runs, Options(store.root, jobs=2, retry=True), Ear(), training())
    all_well(store, list(grid.runs))
    assert main(["cancel", "g.yaml"]) == 0 and "no active run was started by these" in capsys.readouterr().out


@pytest.mark.slow
def test_cancel_leaves_alone_what_another_grid_has_started_and_what_is_not_chosen(
        store: Store, capsys: pytest.CaptureFixture[str],
        launched: Callable[..., tuple[threading.Thread, Ear]]) -> None:
    other = write("h", "[lin]")
    requests.record([other], ids(other), store)
    grid = write("g", "[lin, inv, quad]")
    thread, ear = launched(grid, jobs=3, pause=0.15)
    assert main(["cancel", "g.yaml", "--only", "ssm.init=lin", "--only", "ssm.init=inv"]) == 0
    assert "1 run left alone: " in capsys.readouterr().out
    thread.join(30)
    assert {one.labels["ssm.init"]: ear.states[one.run_id].name for one in grid.runs} == {
        "lin": "done", "inv": "cancelled", "quad": "done"}


def test_cancel_says_who_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cancel, "PATIENCE_S", 0.1)
    grid = write("g", seeds="[0, 1]")
    requests.record([grid], ids(grid), store)
    far, waiting = (store.add(one.config) for one in grid.runs)
    (far / "attempts").mkdir()
    (far / "attempts/0001.json").write_bytes(claim_of(7, 7, "another boot"))
    assert main(["cancel", "g.yaml"]) == 1
    out = capsys.readouterr().out
    assert "1 cancelled" in out and f"{far.name} lin seed 0 was asked to stop, but is active after 0.1 s" in out
    assert atomic.read_sealed(far / "attempts/0001.stop")["who"] and store.state(waiting.name).name == "cancelled"


def test_a_stop_is_for_one_attempt_only(store: Store) -> None:
    one = write("g").runs[0]
    folder = store.add(one.config)
    run(folder, Order(compute=Compute(until=1)), training())
    attempt.ask_to_stop(folder, 1, "me")
    assert run(folder, Order(), training()).name == "done"
    assert store.rows(one.run_id)[-1]["step"] == 3 * STEPS


def submit(store: Store, grid: Grid, **settings: int) -> None:
    requests.record([grid], ids(grid), store)
    slurm.launch(grid.runs, Options(store.root.absolute()), Ear(), cluster=Cluster(**settings), canaries=False)


def test_cancel_takes_jobs_out_of_the_queue_and_asks_those_that_run(cluster: Fake, store: Store, quick_looks: None,
                                                                    capsys: pytest.CaptureFixture[str],
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel, "PATIENCE_S", 0.2)
    grid = write("g", seeds="[0, 1, 2, 3]")
    submit(store, grid)
    cluster.state("100_1", "RUNNING")
    running = store.folder(grid.runs[1].run_id)
    (running / "attempts").mkdir()
    (running / "attempts/0001.json").write_bytes(claim_of(7, 7, "another boot"))
    assert main(["cancel", "g.yaml"]) == 1
    assert cluster.lines("cancelled") == ["100_0", "100_2", "100_3"]
    out = capsys.readouterr().out
    assert "3 cancelled" in out and f"{running.name} lin seed 1 was asked" in out
    assert (running / "attempts/0001.stop").exists()
    assert [store.state(one.run_id).name for one in grid.runs] == ["cancelled", "claimed", "cancelled", "cancelled"]


def test_cancel_leaves_a_job_that_has_runs_of_others(cluster: Fake, store: Store, quick_looks: None,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    grid = write("g", seeds="[0, 1, 2]")
    submit(store, grid, runs_per_job=2)
    assert main(["cancel", "g.yaml", "--only", "seed=0"]) == 0
    assert cluster.lines("cancelled") == [] and "1 cancelled" in capsys.readouterr().out  # by its file
    assert [store.state(one.run_id).name for one in grid.runs] == ["cancelled", "todo", "todo"]
    assert main(["cancel", "g.yaml", "--only", "seed=2"]) == 0
    assert cluster.lines("cancelled") == ["100_1"]
    cluster.set("silent", "slurmctld is down")
    assert main(["cancel", "g.yaml"]) == 0
    assert "the queue cannot be read (slurmctld is down)" in capsys.readouterr().out


def test_retry_takes_failures_and_cancelled_runs_by_reason_and_by_filter(store: Store) -> None:
    grid = write("g", "[lin, inv, quad]", seeds="[0, 1]")
    ends = [("failed", "error"), ("failed", "oom"), ("cancelled", ""), ("failed", "killed"), ("partial", "budget"),
            ("todo", "")]
    for one, (state, reason) in zip(grid.runs[:-1], ends[:-1], strict=True):
        own = attempt.claim(store.add(one.config))
        assert own is not None
        own.end(state, reason)
    names = {one.run_id: reason or state for one, (state, reason) in zip(grid.runs, ends, strict=True)}

    def again(*reasons: str, **chosen: Any) -> set[str]:
        made = make_plan([load_grid(Path("g.yaml"), **chosen)], store, retry=reasons)
        return {names[one.run_id] for one in made.todo}

    missing = {"killed", "budget", "todo"}
    assert again() == missing, "what did not fail by itself is no failure, and starts with every run"
    assert again("all") == {"error", "oom", "cancelled"} | missing
    assert again("oom") == {"oom"} and again("cancelled") == {"cancelled"} and again("diverged") == set()
    assert again("error", "oom", only=["seed=0"]) == {"error"}


def test_retry_by_reason_starts_nothing_where_no_run_ended_so(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    todo, held = write("g", "[lin, inv]").runs
    assert attempt.claim(store.add(held.config)) is not None
    before = tree(store.root)
    assert main(["retry", "g.yaml", "--reason", "oom"]) == 0
    assert "no run ended for this reason: oom; nothing was started" in capsys.readouterr().out
    assert tree(store.root) == before and store.state(todo.run_id).name == "todo"
