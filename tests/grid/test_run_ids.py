"""The id of every run of every grid is what it was."""

from __future__ import annotations

import json
from pathlib import Path

from run_ids import run_ids

GOLDEN = Path(__file__).parents[1] / "golden" / "run_ids.json"


def test_the_ids_of_all_grids_are_as_they_were() -> None:
    golden, found = json.loads(GOLDEN.read_text()), run_ids()
    assert sum(map(len, golden.values())) > 2000
    assert found.keys() == golden.keys()
    assert [name for name in golden if found[name] != golden[name]] == []
