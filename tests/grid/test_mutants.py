"""Some of the mutated grid files of `tools/mutants.py`, which tries ten thousand."""

from pathlib import Path

import pytest
from mutants import try_all


def test_no_mutant_of_a_real_grid_is_taken_badly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, runs = try_all(tmp_path, 400, seed=1)
    assert not bad, capsys.readouterr().err
    assert runs.counts["refused"] > 100 and runs.counts["accepted"] > 20 and runs.launched > 100
