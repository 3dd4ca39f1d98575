"""Benchmark and ablation suite for structured state space models, after the S4D paper (Gu et al., 2022)."""

__version__ = "0.1.0"
