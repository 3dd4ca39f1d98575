"""Benchmark and ablation suite for structured state space models, after the S4D paper (Gu et al., 2022)."""

from suite.api import load_grid, make_report, results
from suite.version import VERSION as __version__

__all__ = ["__version__", "load_grid", "make_report", "results"]
