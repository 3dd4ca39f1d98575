"""Trackers in their offline modes, read back with their own readers; and the times at which epochs ended."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from big_store import write_grids, write_runs
from report_store import make_run, rows_of
from wandb_file import records

from suite.cli.main import main
from suite.files import atomic
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.report.tables.results import read_results
from suite.report.trackers import wall_times
from suite.store.store import Store

BEGUN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
FEW = ["--only", "method=M1", "--only", "task=SC"]
READ_TRACKIO = """
import json, sys
from trackio.sqlite_storage import SQLiteStorage as storage
project, run = sys.argv[1:]
print(json.dumps([storage.get_logs(project, run), storage.get_run_config(project, run), storage.get_runs(project)],
                 default=str))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid of 40 runs with ten epochs each, of which the tests export one."""
    tmp = tmp_path_factory.mktemp("trackers")
    write_runs(tmp / "runs", write_grids(tmp / "grids", 40, 1))
    return tmp


def export(place: Path, tracker: str) -> int:
    return main(["export", str(place / "grids/big00.yaml"), *FEW, "--store", str(place / "runs"), "--out",
                 str(place / "out"), "--to", tracker])


def stored(place: Path) -> tuple[str, list[dict]]:
    run = load_grid(place / "grids/big00.yaml", None, (), ("method=M1", "task=SC")).runs[0]
    return run.run_id, json.loads((place / "runs" / run.run_id / "result.json").read_bytes())["rows"]


def test_wandb_reads_back(place: Path) -> None:
    pytest.importorskip("wandb", reason="the extra [wandb] is not installed: its files are NOT tested")
    from wandb.proto import wandb_internal_pb2

    assert export(place, "wandb") == 0 and export(place, "wandb") == 0  # a second time, it replaces the first
    files = list((place / "out/wandb").rglob("*.wandb"))
    assert len(files) == 1
    rows, config, names = [], {}, []
    for data in records(files[0]):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json)
                         for item in record.history.item})
        if record.WhichOneof("record_type") == "run":
            names.append((record.run.project, record.run.display_name, record.run.run_group))
            config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    run_id, expected = stored(place)
    assert set(names) == {("big00", "M1-SC/seed-0", "M1-SC")}
    assert config["run_id"] == run_id and config["ssm.init"] == "lin"
    assert [row["val/accuracy"] for row in rows] == [row["val/accuracy"] for row in expected]
    assert [row["epoch"] for row in rows] == list(range(1, 11))
    assert rows[1]["_timestamp"] == pytest.approx(BEGUN + 2 * (10.123456 + 1.23456), abs=1e-3)


def test_trackio_reads_back(place: Path) -> None:
    pytest.importorskip("trackio", reason="the extra [trackio] is not installed: its files are NOT tested")
    env = os.environ | {"TRACKIO_DIR": str((place / "out/trackio").absolute())}
    words = [str(Path(__file__).parents[2] / "run_grid.py"), "export", str(place / "grids/big00.yaml"), *FEW, "--store",
             str(place / "runs"), "--out", str(place / "out"), "--to", "trackio"]
    for _ in range(2):  # a second time, it replaces the first
        subprocess.run([sys.executable, *words], check=True, timeout=120)
    done = subprocess.run([sys.executable, "-c", READ_TRACKIO, "big00", "M1-SC/seed-0"], env=env, check=True,
                          timeout=60, capture_output=True, text=True)
    logs, config, runs = json.loads(done.stdout.splitlines()[-1])
    run_id, expected = stored(place)
    assert runs == ["M1-SC/seed-0"] and config["run_id"] == run_id
    assert [row["val/accuracy"] for row in logs] == [row["val/accuracy"] for row in expected]
    assert [row["step"] for row in logs] == list(range(1, 11))
    assert datetime.fromisoformat(logs[1]["timestamp"]).timestamp() == pytest.approx(BEGUN + 22.716, abs=1e-2)


def test_a_package_that_is_not_there_is_named(place: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as Python marks what cannot be imported
    assert export(place, "wandb") == 2
    told = capsys.readouterr().err
    assert "the package wandb is not installed" in told and "s4d-suite[wandb]" in told and "Traceback" not in told


def test_an_epoch_ended_in_the_attempt_that_computed_it(tmp_path: Path) -> None:
    run = make_run({"method": "a"}, 0, epochs=3)
    folder = tmp_path / run.run_id
    folder.mkdir()
    attempts = [{"number": 1, "when": "2026-01-01 00:00:00 +0000", "from_step": 0, "to_step": 10},
                {"number": 2, "when": "2026-01-02 00:00:00 +0000", "from_step": 10}]
    atomic.replace(folder / "provenance.json", atomic.seal({"attempts": attempts}), atomic.nobody(), durable=False)
    atomic.replace(folder / "result.json", atomic.seal({"id": run.run_id, "rows": rows_of([0.1, 0.2, 0.3]), "epochs": 3,
                                                        "shape": "s"}), atomic.nobody(), durable=False)
    grid = Grid(name="g", title="", path=tmp_path / "g.yaml", profile="mini", runs=(run,), excluded=(),
                axes={"method": ["a"]}, seeds=(0,))
    store = Store(tmp_path)
    results = read_results(grid, store, store.states([run.run_id]))
    day = 24 * 3600
    assert wall_times(run, results) == pytest.approx([BEGUN + 0.5, BEGUN + day + 0.5, BEGUN + day + 1.0])
