"""`keeps` and `collapses`: left keeps more (or less) than a share of right."""

from __future__ import annotations

import math

from suite.errors import UserError
from suite.report.claims.claim import Stated
from suite.report.claims.kinds.comparing import SHAPES, Bounds, compare
from suite.report.claims.kinds.kind import Kind, by_columns
from suite.report.claims.outcome import Comparison
from suite.report.claims.view import View
from suite.report.metric import Metric

COSTS = frozenset({"ms", "mb", "parameters"})  # lower is better, but shares of them are meaningful


def _above(stated: Stated, shown: Metric) -> Bounds:
    if shown.direction == "min" and shown.name.rpartition("/")[2] not in COSTS and not shown.name.startswith("time/"):
        raise UserError(f"claim {stated.claim.id}: a share of {shown.words} has no meaning, because lower is better",
                        stated.where)
    return 0.0, math.inf


def _below(stated: Stated, shown: Metric) -> Bounds:
    low, high = _above(stated, shown)
    return -high, low


def _name(view: View) -> str:
    return f"excess over {100 * (view.stated.claim.share or 0):g} %"


def keeps(view: View) -> tuple[Comparison, ...]:
    """Left keeps more than the share of right."""
    return compare(view, _above, _name(view))


def collapses(view: View) -> tuple[Comparison, ...]:
    """Left keeps less than the share of right."""
    return compare(view, _below, _name(view))


MUST, MAY = frozenset({"share"}), frozenset({"of_pairs"}) | SHAPES
KEEPS = Kind(MUST, MAY, keeps, by_columns)
COLLAPSES = Kind(MUST, MAY, collapses, by_columns)
