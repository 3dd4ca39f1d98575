"""`better`, `worse`, `noninferior`, `equivalent`, and `order`: bounds on left minus right."""

from __future__ import annotations

import math

from suite.report.claims.claim import Stated
from suite.report.claims.kinds.comparing import SHAPES, Bounds, compare
from suite.report.claims.kinds.kind import Kind, by_columns
from suite.report.claims.outcome import Comparison
from suite.report.claims.view import View
from suite.report.metric import Metric

PAIRS = frozenset({"margin", "of_pairs", "of_left", "level"}) | SHAPES
MARGIN = frozenset({"margin"})


def _beyond(margin: float, upwards: bool) -> Bounds:
    return (margin, math.inf) if upwards else (-math.inf, 0.0 - margin)


def _better(stated: Stated, shown: Metric) -> Bounds:
    return _beyond(stated.margin(shown), shown.direction == "max")


def _worse(stated: Stated, shown: Metric) -> Bounds:
    return _beyond(stated.margin(shown), shown.direction == "min")


def _noninferior(stated: Stated, shown: Metric) -> Bounds:
    return _beyond(-stated.margin(shown), shown.direction == "max")


def _equivalent(stated: Stated, shown: Metric) -> Bounds:
    margin = stated.margin(shown)
    return -margin, margin


def better(view: View) -> tuple[Comparison, ...]:
    """Left is better than right, by more than the margin."""
    return compare(view, _better)


def worse(view: View) -> tuple[Comparison, ...]:
    """Left is worse than right, by more than the margin."""
    return compare(view, _worse)


def noninferior(view: View) -> tuple[Comparison, ...]:
    """Left is worse than right by less than the margin, if at all."""
    return compare(view, _noninferior)


def equivalent(view: View) -> tuple[Comparison, ...]:
    """Left and right differ by less than the margin (two one-sided tests)."""
    return compare(view, _equivalent)


BETTER = Kind(frozenset(), PAIRS, better, by_columns, no_difference=True)
WORSE = Kind(frozenset(), PAIRS, worse, by_columns, no_difference=True)
NONINFERIOR = Kind(MARGIN, PAIRS, noninferior, by_columns)
EQUIVALENT = Kind(MARGIN, PAIRS, equivalent, by_columns)
ORDER = Kind(frozenset({"chain"}), SHAPES, better, by_columns, sides=False)
