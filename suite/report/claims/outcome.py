"""What was found for a claim: a verdict, the comparisons behind it, and the sentence that tells them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from suite.report.claims.language import Claim
from suite.report.metric import Metric
from suite.report.statistics.multiple import UNTESTED, Pair

MOST_SHOWN = 6
Word = Literal["supported", "contradicted", "undecided", "untested"]
WORDS: tuple[Word, ...] = get_args(Word)


@dataclass(frozen=True)
class Comparison:
    """One comparison within a claim. Numbers are in the metric's shown unit; None where nothing was tested.

    It holds where the true difference lies between `bounds`; `low` and `high` are the interval that is held against
    them, `g` the effect size, `n` the seeds on either side, `why` what was not tested for which reason.
    """

    words: str
    metric: Metric | None = None
    pair: Pair = UNTESTED
    n: tuple[int, int] = (0, 0)
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    df: float | None = None
    g: float | None = None
    bounds: tuple[float, float] | None = None
    why: str = ""
    note: str = ""
    name: str = "difference"

    @property
    def tested(self) -> bool:
        """Whether there was something to test."""
        return not self.why

    @property
    def exact(self) -> Pair:
        """What the difference says if it is taken as it stands, without error."""
        if self.difference is None or self.bounds is None:
            return UNTESTED
        holds = self.bounds[0] < self.difference < self.bounds[1]
        return Pair(float(not holds), float(holds))

    @property
    def p(self) -> float | None:
        """Two-sided p of whichever it shows, that the comparison holds or that it fails."""
        return self.pair.p if self.tested else None

    def text(self, level: float) -> str:
        """Difference, interval, margin, effect size, n, in one line."""
        m = self.metric
        if self.difference is None or m is None:
            return ""
        unit = f" {m.difference_unit}" if m.difference_unit else ""
        parts = [f"{self.name} {m.format(self.difference, signed=True)}{unit}"]
        if self.low is not None and self.high is not None:
            low, high = (m.format(bound, signed=True) for bound in (self.low, self.high))
            parts.append(f"{100 * level:g} % interval {low} to {high}")
        parts += [f"margin {_bounds(self.bounds, m)}"] if self.bounds and _bounds(self.bounds, m) else []
        parts += [f"Hedges g {self.g:+.1f}".replace("-", "−")] if self.g is not None else []
        parts += [f"n = {' and '.join(str(n) for n in self.n if n)}"] if any(self.n) else []  # a constant has no seeds
        return ", ".join(parts)


def _bounds(bounds: tuple[float, float], m: Metric) -> str:
    finite = [b for b in bounds if abs(b) != float("inf")]
    if not any(finite):
        return ""
    return f"±{m.format(abs(finite[0]))}" if len(finite) == 2 else m.format(finite[0], signed=True)


@dataclass(frozen=True)
class Verdict:
    """What the runs say to a claim, at its level after the correction within its family.

    `verdict`: supported, contradicted (the opposite is shown), undecided, untested. `p` is two-sided and of the whole
    claim, `adjusted` the same after Holm's correction; `more` is how many further seeds a cell would decide it at the
    present effects with power 0.8. `at_face`: whether the claim would hold, were the differences without error.
    """

    claim: Claim
    verdict: Word
    reason: str
    parts: tuple[Comparison, ...] = ()
    p: float | None = None
    adjusted: float | None = None
    family: int = 1
    more: int | None = None
    at_face: bool | None = None

    @property
    def telling(self) -> Comparison | None:
        """The comparison that decides: the weakest where all must hold, else the strongest, or that against."""
        if not self.parts:
            return None
        tested = [part for part in self.parts if part.tested]
        if not tested:
            return next((part for part in self.parts if part.difference is not None), self.parts[0])
        if self.verdict == "contradicted":
            return min(tested, key=lambda part: part.pair.fails)
        every = {self.claim.of_pairs, self.claim.of_columns} == {"all"}
        return (max if every else min)(tested, key=lambda part: part.pair.holds)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many comparisons hold, fail, and remain open, each at the claim's level without correction."""
        alpha = self.claim.alpha
        holds = sum(part.tested and part.pair.holds <= alpha for part in self.parts)
        fails = sum(part.tested and part.pair.fails <= alpha for part in self.parts)
        return holds, fails, len(self.parts) - holds - fails

    @property
    def evidence(self) -> str:
        """Differences, intervals, effect sizes, n, p, and what would decide it, in one line."""
        shown = self.telling
        words = []
        text = shown.text(1 - self.claim.alpha) if shown is not None else ""
        if len(self.parts) > 1 and not any(part.tested for part in self.parts):
            words += self._differences()
        elif shown is not None and text:
            words.append(text if len(self.parts) == 1 else f"{self._count()}; {shown.words}: {text}")
        if self.p is not None and self.verdict != "untested":
            words.append(f"p {_equals(self.p)}" + (
                f" ({_equals(self.adjusted).removeprefix('= ')} after Holm's correction over {self.family} claims)"
                if self.family > 1 and self.adjusted is not None else ""))
        return ", ".join(filter(None, [*words, shown.note if shown is not None else "", self.reason]))

    def _differences(self) -> list[str]:
        """The first few differences, where nothing can be tested."""
        known = [(part, part.metric, part.difference) for part in self.parts]
        words = [f"{part.words}: {m.format(d, signed=True)}" for part, m, d in known if m is not None and d is not None]
        more = [f"{len(words) - MOST_SHOWN} more"] if len(words) > MOST_SHOWN else []
        return ["differences " + "; ".join([*words[:MOST_SHOWN], *more])] if words else []

    def _count(self) -> str:
        holds, fails, rest = self.counts
        untested = sum(not part.tested for part in self.parts)
        words = [f"{holds} of {len(self.parts)} comparisons hold"]
        words += [f"{fails} fail{'s' if fails == 1 else ''}"] if fails else []
        words += [f"{rest - untested} open"] if rest - untested else []
        words += [f"{untested} untested"] if untested else []
        return ", ".join(words)


def _equals(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"= {p:.2g}"


def counts(verdicts: Iterable[Verdict]) -> dict[Word, int]:
    """How many of the verdicts are which, in the order of WORDS."""
    found = Counter(verdict.verdict for verdict in verdicts)
    return {word: found[word] for word in WORDS}


def counts_text(verdicts: Iterable[Verdict]) -> str:
    """`4 supported, 1 contradicted, …`: all the words, also those of none."""
    return ", ".join(f"{count} {word}" for word, count in counts(verdicts).items())


def reasons(parts: Sequence[Comparison]) -> str:
    """Why the untested of the comparisons are so: the reasons, each once."""
    return "; ".join(dict.fromkeys(part.why for part in parts if part.why))
