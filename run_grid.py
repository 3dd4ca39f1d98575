"""Runs, prices, watches and reports a grid: `python run_grid.py grids/quickstart.yaml`, or `--help`."""

from suite.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
