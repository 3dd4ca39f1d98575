"""All kinds of claims. To add one: a module with its keys and its test, a line here, its name in `claim.Kind`."""

from __future__ import annotations

from collections.abc import Mapping

from suite.report.claims.kinds import correlation, differences, shares, solves
from suite.report.claims.kinds.kind import Kind

KINDS: Mapping[str, Kind] = {
    "better": differences.BETTER,
    "worse": differences.WORSE,
    "noninferior": differences.NONINFERIOR,
    "equivalent": differences.EQUIVALENT,
    "order": differences.ORDER,
    "keeps": shares.KEEPS,
    "collapses": shares.COLLAPSES,
    "solves": solves.SOLVES,
    "correlation": correlation.CORRELATION,
}
