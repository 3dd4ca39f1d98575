"""Whether a verdict also holds for other examples of the same kind: the look, tested over seeds and examples."""

from __future__ import annotations

from dataclasses import replace

from suite.report.claims.claim import Claim
from suite.report.claims.history import Tested
from suite.report.claims.kinds.comparing import between
from suite.report.claims.kinds.registry import KINDS
from suite.report.claims.outcome import Comparison


def over_examples(claim: Claim, look: Tested) -> Tested | None:
    """The look with each comparison tested over seeds and examples. Returns None if one of them cannot be."""
    parts = [_retested(part) for part in look.parts]
    found = tuple(part for part in parts if part is not None)
    if len(found) < len(parts):
        return None
    return replace(look, parts=found, pair=KINDS[claim.kind].together(claim, [part.pair for part in found]))


def _retested(part: Comparison) -> Comparison | None:
    if not part.tested:
        return part
    if part.crossed is None or part.bounds is None:
        return None
    return replace(part, estimate=part.crossed, pair=between(part.crossed, *part.bounds))
