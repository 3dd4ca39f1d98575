"""The published JSON Schema agrees with the reader of grids on which settings there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.config.run_config import GROUPS, fields
from suite.errors import UserError
from suite.grid import schema
from suite.grid.expand import load_grid

SETTINGS = schema.grid_schema()["$defs"]["Settings"]["properties"]


def accepted(folder: Path, text: str) -> bool:
    (folder / "g.yaml").write_text(f"name: g\n{text}")
    try:
        return bool(load_grid(folder / "g.yaml").runs)
    except UserError:
        return False


def test_the_seed_is_no_setting_for_the_schema_or_the_reader(tmp_path: Path) -> None:
    assert "seed" not in SETTINGS
    assert not accepted(tmp_path, "base: {task: scifar, data.variant: sample, seed: 3}\n")
    axes = schema.grid_schema()["properties"]["axes"]
    assert axes["properties"]["seed"]["type"] == "object"  # a name for bundles, but no list of values
    assert not accepted(tmp_path, "base: {task: scifar, data.variant: sample}\naxes: {seed: [1, 2]}\n")
    assert accepted(tmp_path, "base: {task: scifar, data.variant: sample}\naxes: {seed: {a: {ssm.init: lin}}}\n")


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_may_be_nested_for_the_schema_and_the_reader(group: str, tmp_path: Path) -> None:
    inner = {"ssm": "init: lin", "model": "layers: 2", "data": "name: none", "optim": "lr: 0.1",
             "train": "epochs: 1", "bench": "length: 16"}
    assert SETTINGS[group]["type"] == "object"
    assert accepted(tmp_path, f"base: {{kind: bench, {group}: {{{inner[group]}}}}}\n")


def test_the_schema_names_the_fields_that_the_reader_knows() -> None:
    named = {key for key in SETTINGS if not key.startswith("data.") and key not in GROUPS}
    assert named == {key for key in fields() if not key.startswith("data.") and key != "seed"}
