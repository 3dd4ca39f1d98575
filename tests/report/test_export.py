"""The tidy export, read back: CSV, Parquet, and TensorBoard's event files."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from big_store import EPOCHS, write_grids, write_runs
from report_store import fill, make_grid, write_partial

from suite.cli.main import main
from suite.grid.expand import load_grid
from suite.report import trackers
from suite.report.tables.results import read_results
from suite.report.trackers import Tracker
from suite.store.store import Store


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two grids of which one shares no run with the other, 40 runs each, one of them on its way and one not begun."""
    tmp = tmp_path_factory.mktemp("export")
    paths = write_grids(tmp / "grids", 80, 2)
    write_runs(tmp / "runs", paths)
    runs = load_grid(paths[0]).runs
    for run in runs[:2]:
        for path in [*(tmp / "runs" / run.run_id / "attempts").iterdir(), *(tmp / "runs" / run.run_id).iterdir()]:
            if path.is_file():
                path.unlink()
    write_partial(Store(tmp / "runs"), runs[0], [0.3, 0.4])
    assert main(["export", *map(str, paths), "--store", str(tmp / "runs"), "--out", str(tmp / "out"),
                 "--tensorboard"]) == 0
    return tmp, paths


def test_csv_and_parquet_hold_the_same(place):
    tmp, _ = place
    parquet = pd.read_parquet(tmp / "out/runs.parquet")
    texts = {name: "str" for name in parquet if not pd.api.types.is_numeric_dtype(parquet[name])}
    csv = pd.read_csv(tmp / "out/runs.csv", dtype=texts)
    assert len(parquet) == 78 * 10 + 2
    pd.testing.assert_frame_equal(csv.fillna(dict.fromkeys(texts, "")), parquet.fillna(dict.fromkeys(texts, "")),
                                  check_dtype=False, rtol=0, atol=0)


def test_every_number_and_field_is_there(place):
    tmp, paths = place
    table = pd.read_parquet(tmp / "out/runs.parquet")
    assert list(table)[:7] == ["grid", "method", "task", "run_id", "seed", "state", "epoch"]
    run = load_grid(paths[1]).runs[-1]
    rows = table[table.run_id == run.run_id]
    stored = json.loads((tmp / "runs" / run.run_id / "result.json").read_bytes())["rows"]
    assert rows.grid.unique().tolist() == ["big01"]
    assert len(stored) == EPOCHS
    for row, (_, exported) in zip(stored, rows.iterrows(), strict=True):
        assert {name: exported[name] for name in row} == row
    fields = run.config.flat()
    assert {name: rows[name].iloc[0] for name in ("ssm.init", "ssm.imag_scale", "optim.lr", "model.features")} == {
        name: fields[name] for name in ("ssm.init", "ssm.imag_scale", "optim.lr", "model.features")}
    assert rows["ssm.train_a"].iloc[0] == "true"
    assert json.loads(rows["train.evaluate"].iloc[0]) == list(fields["train.evaluate"])
    assert set(fields) - {name for name in fields if name.startswith("bench.")} <= {*table, "task"}


def test_a_run_on_its_way_has_the_rows_so_far(place):
    tmp, paths = place
    run = load_grid(paths[0]).runs[0]
    rows = pd.read_parquet(tmp / "out/runs.parquet")
    rows = rows[rows.run_id == run.run_id]
    assert rows.epoch.tolist() == [1, 2]
    assert rows.state.unique().tolist() == ["partial"]
    assert rows["val/accuracy"].tolist() == [0.3, 0.4]


def test_event_files_read_back(place):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator",
                                      reason="the extra [tensorboard] is not installed: event files are NOT tested")
    tmp, paths = place
    folders = {path.parent for path in (tmp / "out/tensorboard").rglob("events.out.tfevents.*")}
    assert len(folders) == 79
    run = load_grid(paths[0]).runs[-1]
    folder = tmp / "out/tensorboard/big00" / "-".join(run.labels.values()) / f"seed-{run.config.seed}"
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    stored = json.loads((tmp / "runs" / run.run_id / "result.json").read_bytes())["rows"]
    assert set(events.Tags()["scalars"]) == {name for name in stored[0] if "/" in name}
    assert len(events.Tags()["scalars"]) > 2
    for name in events.Tags()["scalars"]:
        scalars = events.Scalars(name)
        assert [one.step for one in scalars] == [row["epoch"] for row in stored]
        assert [one.value for one in scalars] == pytest.approx([row[name] for row in stored], rel=1e-6)


def test_event_files_have_the_times_at_which_epochs_ended(place):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator",
                                      reason="the extra [tensorboard] is not installed: event files are NOT tested")
    tmp, paths = place
    run = load_grid(paths[0]).runs[-1]
    events = accumulator.EventAccumulator(str(tmp / "out/tensorboard/big00" / "-".join(run.labels.values())
                                              / f"seed-{run.config.seed}"))
    events.Reload()
    begun = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    ends = [begun + epoch * (10.123456 + 1.23456) for epoch in range(1, EPOCHS + 1)]
    assert [one.wall_time for one in events.Scalars("train/loss")] == pytest.approx(ends, abs=1e-3)


def test_exported_again_the_event_files_are_not_doubled(place):
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed: event files are NOT tested")
    tmp, paths = place
    before = len(list((tmp / "out/tensorboard").rglob("events.*")))
    main(["export", str(paths[1]), "--store", str(tmp / "runs"), "--out", str(tmp / "out"), "--tensorboard"])
    assert len(list((tmp / "out/tensorboard").rglob("events.*"))) == before


def test_nothing_has_run(tmp_path, capsys):
    path = write_grids(tmp_path / "grids", 40, 1)[0]
    assert main(["export", str(path), "--store", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith("0 epochs of 0 runs")
    assert len(pd.read_parquet(tmp_path / "out/runs.parquet")) == 0


def test_a_place_that_cannot_be_written(place, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    tmp, paths = place
    assert main(["export", str(paths[0]), "--store", str(tmp / "runs"), "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_names_stay_in_their_folder(tmp_path: Path):
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed: event files are NOT tested")
    grid = make_grid(["../../escape", "/etc"], ["a/b"], seeds=1, name="..")
    store = Store(tmp_path / "store")
    fill(store, grid)
    results = read_results(grid, store, store.states([run.run_id for run in grid.runs]))
    assert trackers.write(Tracker.TENSORBOARD, grid, results, tmp_path / "out" / "deep") == 2
    assert {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("events.*")} == {("out", "deep")}
