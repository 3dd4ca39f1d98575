"""Prints the id of every run of every grid: `python tools/run_ids.py > tests/golden/run_ids.json`.

The test of these ids fails if a change gives runs another identity, since users would lose their results. Make the file
again only if that is intended, and say so in the commit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALONE = {"kernels.yaml", "step.yaml"}  # benchmarks: they have one size, whatever the profile
sys.path.insert(0, str(ROOT))


def run_ids() -> dict[str, list[str]]:
    """The ids of runs by grid and profile (`table3a.yaml mini`), in the order of the grid's runs."""
    from suite.grid.expand import load_grid

    return {f"{path.name} {profile}": [run.run_id for run in load_grid(path, profile).runs]
            for path in sorted((ROOT / "grids").glob("*.yaml"))
            for profile in (["paper"] if path.name in ALONE else ["paper", "mini"])}


if __name__ == "__main__":
    print(json.dumps(run_ids(), indent=1).replace('",\n  "', '", "').replace('[\n  "', '["').replace('"\n ]', '"]'))
