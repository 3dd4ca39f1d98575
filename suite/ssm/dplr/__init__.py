"""Kernels of S4 on a CPU by powers of A_bar, for sequences that are long relative to the state size.

The entry point is `squaring.dplr`, which returns the same kernel as `suite.ssm.cauchy.dplr`; `squaring.is_better` says
when to use it. `steps` computes the first powers in O(N) each, `squaring` doubles them, `rows` makes the other table.
"""
