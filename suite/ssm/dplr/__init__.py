"""Kernels of S4 on a CPU by powers of A_bar, for sequences that are long for their state size.

The entry point is `squaring.dplr`, which returns the kernel of `suite.ssm.cauchy.dplr`; `squaring.pays` says when it is
faster. `steps` makes the first powers in O(N) each, `squaring` doubles them, and `rows` makes the other table.
"""
