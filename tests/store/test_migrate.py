"""Files of other versions: older ones are brought up to date, newer ones are refused by name and left as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_training import config
from places import tree
from report_store import fill, make_grid, rows_of, sources, write_done

from suite.errors import UserError
from suite.files import atomic
from suite.job import job
from suite.job.order import Order
from suite.report.report import write_report
from suite.store import migrate
from suite.store.folder import read_config, read_head, read_result
from suite.store.store import Store


@pytest.fixture
def version_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite whose version 2 calls accuracy `val/accuracy`, where version 1 called it `val/acc`."""
    def renamed(content: dict[str, Any]) -> dict[str, Any]:
        rows = [{("val/accuracy" if key == "val/acc" else key): value for key, value in row.items()}
                for row in content["rows"]]
        return content | {"rows": rows}

    monkeypatch.setattr(migrate, "SCHEMA", 2)
    monkeypatch.setattr("suite.store.store.SCHEMA", 2)
    monkeypatch.setitem(migrate.STEPS, 1, renamed)


def write(folder: Path, **more: Any) -> dict[str, Any]:
    result = {"id": folder.name, "rows": [{"epoch": 1, "val/acc": 0.5}], "epochs": 1, "shape": "s"} | more
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_bytes(atomic.seal(result))
    return result


@pytest.mark.parametrize("more", [{}, {"schema": 1}])
def test_an_older_result_is_migrated_when_it_is_read(tmp_path: Path, version_2: None, more: dict[str, int]) -> None:
    folder = tmp_path / "0123456789abcdef"
    write(folder, **more)
    before = tree(tmp_path)
    assert read_result(folder).rows == [{"epoch": 1, "val/accuracy": 0.5}]
    assert read_result(folder).version == 2
    assert read_head(folder / "result.json").epochs == 1
    assert Store(tmp_path).state(folder.name).name == "done"
    assert Store(tmp_path).rows(folder.name) == [{"epoch": 1, "val/accuracy": 0.5}]
    assert tree(tmp_path) == before


@pytest.mark.parametrize("version", [2, 99, "2"])
def test_a_newer_result_is_refused_and_left_alone(tmp_path: Path, version: Any) -> None:
    store, run = Store(tmp_path), config()
    folder = store.add(run)
    write(folder, schema=version)
    with pytest.raises(UserError, match=f"has schema version {version}; this release of the suite reads up to 1"):
        read_result(folder)
    state = store.state(run.run_id)
    assert state.name == "unknown"
    assert f"result.json: has schema version {version}" in state.detail
    assert store.prices() == {}
    before = (folder / "result.json").read_bytes()
    ended = job.run(folder, Order())
    assert (ended.name, f"has schema version {version}" in ended.detail) == ("failed", True)
    assert (folder / "result.json").read_bytes() == before
    assert not list(folder.glob("*.corrupt-*"))


def test_a_newer_configuration_is_refused(tmp_path: Path) -> None:
    folder = Store(tmp_path).add(config())
    content = atomic.read_sealed(folder / "config.json")
    (folder / "config.json").write_bytes(atomic.seal(content | {"schema": 2}))
    with pytest.raises(UserError, match="has schema version 2"):
        read_config(folder)


def test_a_report_names_the_run_that_is_newer(tmp_path: Path) -> None:
    store, grid = Store(tmp_path / "store"), make_grid()
    fill(store, grid)
    write_done(store, grid.runs[0], [0.3] * 4)
    path = store.root / grid.runs[0].run_id / "result.json"
    path.write_bytes(atomic.seal(atomic.read_sealed(path) | {"schema": 2, "rows": rows_of([0.9])}))
    text = " ".join(write_report([grid], store, tmp_path / "out", sources(tmp_path), figures=False).text.split())
    assert "(n=2, 1 unreadable)" in text
    assert f"Run {grid.runs[0].run_id} cannot be read:" in text
    assert "has schema version 2" in text


@pytest.mark.parametrize("content", [{"rows": None, "epochs": 1}, {"rows": [], "epochs": None}, {}])
def test_a_result_without_rows_is_corrupt(tmp_path: Path, content: dict[str, Any]) -> None:
    folder = tmp_path / "0123456789abcdef"
    folder.mkdir()
    (folder / "result.json").write_bytes(atomic.seal({"id": folder.name} | content))
    for read in (lambda: read_result(folder), lambda: read_head(folder / "result.json")):
        with pytest.raises(atomic.Corrupt):
            read()
    assert Store(tmp_path).state(folder.name).name == "partial"
