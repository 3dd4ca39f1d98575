"""What data a set of runs needs: here, to download, or only the user can get it; bytes; and how large each form is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suite.config.run_config import RunConfig
from suite.data import prepared
from suite.data.extent import extent
from suite.data.families import FAMILIES, family
from suite.data.needs import VIEWS, Standing, needs
from suite.grid.expand import load_grid

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUITE_DATA", "SPEECH_COMMANDS", "BIDMC32", "LRA_RELEASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))


def config(task: str, **fields: Any) -> RunConfig:
    return RunConfig.build({"task": task} | fields)


def test_what_table_3a_needs_is_3_6_gigabytes_of_which_bidmc_is_one_task() -> None:
    found = {one.name: one for one in needs(run.config for run in load_grid(ROOT / "grids/table3a.yaml").runs)}
    assert found.keys() == {"cifar10", "speech_commands", "bidmc"}
    assert all(one.standing is Standing.DOWNLOAD and one.to_prepare for one in found.values())
    assert sum(one.download_bytes for one in found.values()) == pytest.approx(3.64e9, rel=0.01)
    assert found["bidmc"].tasks == ("bidmc_spo2",) and found["bidmc"].download_bytes == 2 * 533_500_000
    assert found["bidmc"].disk_bytes > found["bidmc"].download_bytes  # the arrays, too


def test_an_archive_of_several_sets_is_downloaded_once_and_every_part_takes_its_disk() -> None:
    listops, pathfinder = needs([config("listops"), config("pathfinder")])
    assert listops.download_bytes == 7.7e9 and pathfinder.download_bytes == 0
    assert pathfinder.standing is Standing.DOWNLOAD and pathfinder.disk_bytes > 900e6


def test_what_has_no_address_needs_the_user_and_says_how() -> None:
    [one] = needs([config("bidmc_hr", **{"data.variant": "cut", "data.split": "recording"})])
    assert one.standing is Standing.USER and "Parquet" in one.fix and one.download_bytes == 0


def test_what_is_prepared_takes_no_more_disk() -> None:
    run = config("bidmc_spo2", **{"data.variant": "sample", "data.decimate": 4})
    [before] = needs([run])
    assert before.standing is Standing.HERE and before.to_prepare and 0 < before.disk_bytes < 7e6
    data = prepared.load(run.data, run.task)
    size = extent(run.data, run.task)
    assert data.length == size.length and data.count("test") == size.counts["test"]
    assert size.counts["train"] - data.count("train") == 1  # a window without a target, as the card says
    [after] = needs([run, config("bidmc_spo2", **{"data.variant": "sample", "data.decimate": 4, "model.layers": 2})])
    assert not after.to_prepare and after.disk_bytes == 0


def test_a_benchmark_needs_no_data() -> None:
    assert needs(run.config for run in load_grid(ROOT / "grids/step.yaml").runs) == []


def test_the_views_are_those_of_the_families() -> None:
    shared = {task: view for name in FAMILIES for task, view in family(name).VIEWS.items()}
    assert shared == {task: VIEWS.get(task, task) for task in shared}


@pytest.mark.parametrize(("task", "fields", "length", "train"), [
    ("scifar", {}, 1024, 45000),
    ("scifar", {"data.variant": "sample", "data.pool": 2}, 256, 5000),
    ("sc_bi", {"data.variant": "sc17-2khz", "data.decimate": 4}, 500, 1262),
    ("pathx", {}, 16384, 160000),
    ("pathx", {"data.variant": "generated", "data.size": 16, "data.count": 4000}, 256, 3200),
    ("listops", {"data.variant": "generated", "data.train_count": 50, "data.max_length": 90}, 90, 50),
    ("text", {"data.variant": "sample", "data.max_length": 256}, 256, 4058),
])
def test_how_large_a_form_is(task: str, fields: dict[str, Any], length: int, train: int) -> None:
    size = extent(config(task, **fields).data, task)
    assert (size.length, size.counts["train"], size.sure) == (length, train, True)
