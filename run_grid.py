"""Runs, plans, watches and reports a grid: `python run_grid.py grids/quickstart.yaml`, or `--help`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # PYTHONSAFEPATH leaves it out, and others may have a `suite`

from suite.cli.main import main  # noqa: E402  (the path comes first)

if __name__ == "__main__":
    raise SystemExit(main())
