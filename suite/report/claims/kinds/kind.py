"""A kind of claim: its keys, and how it is tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from suite.report.claims.claim import Claim
from suite.report.claims.outcome import Comparison
from suite.report.claims.view import View
from suite.report.statistics.multiple import Needed, Pair, together

T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """A kind of claim: required and optional keys, the function that makes its comparisons, and the one that combines
    their p values.

    `grows`: it may be tested at several looks. `sides`: it compares `left` with `right`. `no_difference`: an interval
    within the margin is also a verdict.
    """

    must: frozenset[str]
    may: frozenset[str]
    compare: Callable[[View], tuple[Comparison, ...]]
    together: Callable[[Claim, Sequence[Pair]], Pair]
    grows: bool = True
    sides: bool = True
    no_difference: bool = False


def by_columns(claim: Claim, parts: Sequence[Pair]) -> Pair:
    """Combines the p values of a claim's comparisons, in order: first the pairs of each column, then the columns."""
    size = len(claim.groups) or 1
    if claim.of_left != "all":
        parts = [together(parts[i + j:i + size:len(claim.right)], claim.of_left)
                 for i in range(0, len(parts), size) for j in range(len(claim.right))]
        size = len(claim.right)
    needed: Needed = "all" if claim.over == "mean" else claim.of_columns
    return together([together(parts[i:i + size], claim.of_pairs if size > 1 else "all")
                     for i in range(0, len(parts), size)], needed)


def all_of(claim: Claim, parts: Sequence[Pair]) -> Pair:
    """Combines p values such that all comparisons must hold."""
    return together(parts)
