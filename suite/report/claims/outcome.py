"""The outcome of a claim: its verdict, the comparisons behind it, and a sentence that describes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from suite.report.claims.claim import Claim
from suite.report.metric import Metric
from suite.report.statistics.contrast import Estimate
from suite.report.statistics.multiple import UNTESTED, Pair
from suite.report.tables.evaluated import counted

MOST_SHOWN = 6
LEAST_FOR_G = 5  # seeds needed to show an effect size: with fewer, the standard deviation is too uncertain
VerdictName = Literal["supported", "contradicted", "no difference", "not by seeds", "undecided", "untested"]
VERDICT_NAMES: tuple[VerdictName, ...] = get_args(VerdictName)
RULES = (
    "Supported: the claim is shown, at its level after Holm's correction within its family; contradicted: its opposite "
    "is shown; no difference: the interval at that level lies within the margin (a point of accuracy, 0.02 RMSE); not "
    "by seeds: the declared number of seeds does not decide it, or would with a probability below 5 %; undecided: "
    "more seeds may still decide it; untested: there is nothing to test. A family with looks is tested again with each "
    "seed that is added, each look at a level of its own, so that alpha holds for all of them together. 95 % "
    "CI: unadjusted confidence interval over seeds, for these examples. Over seeds and examples: the same "
    "for other seeds on other examples of this kind; a verdict holds for such examples if it would be the same with "
    "this error, at its level.")


@dataclass(frozen=True)
class Comparison:
    """One comparison within a claim. Numbers are in the metric's shown unit; None if nothing was tested.

    The comparison holds if the true difference lies between `bounds`. `low` and `high` are its unadjusted interval. It
    was tested with `estimate`, or with the test named `test`. `n` has the number of seeds on each side, `examples` the
    number of examples behind each number, `noun` their name. `why` is the reason if nothing was tested. `crossed` is
    the estimate over seeds and examples, `not_crossed` the reason why there is none.
    """

    words: str
    metric: Metric | None = None
    pair: Pair = UNTESTED
    n: tuple[int, int] = (0, 0)
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    estimate: Estimate | None = None
    bounds: tuple[float, float] | None = None
    why: str = ""
    note: str = ""
    name: str = "difference"
    test: str = ""
    examples: int | None = None
    noun: str = "examples"
    crossed: Estimate | None = None
    not_crossed: str = ""

    @property
    def tested(self) -> bool:
        """Whether there was something to test."""
        return not self.why

    @property
    def exact(self) -> Pair:
        """The p values (0 or 1) if the difference is taken to have no error."""
        if self.difference is None or self.bounds is None:
            return UNTESTED
        holds = self.bounds[0] < self.difference < self.bounds[1]
        return Pair(float(not holds), float(holds))

    @property
    def p(self) -> float | None:
        """The smaller of the two-sided p values that the comparison holds and that it fails; None if untested."""
        return self.pair.p if self.tested else None

    @property
    def df(self) -> float | None:
        """Degrees of freedom of its t test, None for another test."""
        return self.estimate.df if self.estimate else None

    @property
    def g(self) -> float | None:
        """Hedges' g, the effect size in pooled standard deviations; None with fewer than five seeds."""
        counts = [n for n in self.n if n]
        return self.estimate.g if self.estimate and counts and min(counts) >= LEAST_FOR_G else None

    @property
    def test_words(self) -> str:
        """The test in words: its name, paired or not, and its degrees of freedom."""
        one = self.estimate
        return self.test if one is None else \
            f"{one.test}, {'paired' if one.paired else 'unpaired'}, df {f'{one.df:.1f}'.removesuffix('.0')}"

    @property
    def seeds(self) -> str:
        """`3 seeds` or `3 and 2 seeds`. Returns "" for numbers without seeds."""
        counts = [n for n in self.n if n]  # a constant has no seeds
        if not counts:
            return ""
        return f"{' and '.join(str(n) for n in (counts[:1] if len(set(counts)) == 1 else counts))} seed" + \
            "s" * (max(counts) > 1)

    @property
    def evaluated(self) -> str:
        """`224 clips`. Returns "" if their number is unknown."""
        return counted(self.examples, self.noun) if self.examples else ""

    @property
    def size(self) -> str:
        """The estimate with its unit, `−13.24 points`. Returns "" if it is unknown."""
        m = self.metric
        if self.difference is None or m is None:
            return ""
        return _with_unit(m.format(self.difference, signed=True), m)

    @property
    def interval(self) -> str:
        """The interval over seeds, `−15.94 to −10.54`. Returns "" if there is no interval."""
        if self.low is None or self.high is None or self.metric is None:
            return ""
        return " to ".join(self.metric.format(bound, signed=True) for bound in (self.low, self.high))

    def over_examples(self, level: float) -> str:
        """`over seeds and clips 95 % CI −0.5 to +4.6 points`, or the reason why it is unknown.

        Returns "" if the metric is not a mean over examples.
        """
        if self.crossed is None or self.metric is None:
            return f"over seeds and {self.noun}: {self.not_crossed}" if self.not_crossed else ""
        sides = [self.metric.format(side, signed=True) for side in self.crossed.interval(level)]
        return f"over seeds and {self.noun} {100 * level:g} % CI {_with_unit(' to '.join(sides), self.metric)}"

    @property
    def margin(self) -> str:
        """`±1.00 points`. Returns "" if there is no margin."""
        finite = [b for b in self.bounds or () if abs(b) != float("inf")]
        if self.metric is None or not any(finite):
            return ""
        return _with_unit(f"±{self.metric.format(abs(finite[0]))}" if len(finite) == 2 else
                          self.metric.format(finite[0], signed=True), self.metric)

    def text(self, level: float) -> str:
        """Estimate, interval at `level`, margin, effect size, test and n, in one line."""
        if not self.size or self.metric is None:
            return ""
        parts = [f"{self.name} {self.size}"]
        parts += [f"{100 * level:g} % CI {self.interval} (unadjusted)"] if self.interval else []
        parts += [f"margin {self.margin}"] if self.margin else []
        parts += [f"Hedges g {self.g:+.1f}".replace("-", "−")] if self.g is not None else []
        return ", ".join([*parts, *filter(None, (self.test_words, self.seeds, self.evaluated))])


def _with_unit(text: str, m: Metric) -> str:
    return f"{text} {m.difference_unit}" if m.difference_unit else text


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim, at its level after the correction within its family.

    `verdict` is one of VERDICT_NAMES. `p` is two-sided and of the whole claim, `adjusted` the same after Holm's
    correction (only if there is a single look). `level` is what p is compared with, at a look with `seeds` seeds.
    `small` is set if the difference is shown to lie within the margin. `looks` is the number of looks so far; `held`
    is True if no further one is possible. `by_means_alone`: whether the claim would hold if the differences had no
    error. `declared` says when its family was declared; `notes` are further remarks. `for_such_examples`: whether the
    verdict also holds, at its level, over seeds and examples (None: unknown).
    """

    claim: Claim
    verdict: VerdictName
    reason: str
    parts: tuple[Comparison, ...] = ()
    p: float | None = None
    adjusted: float | None = None
    level: float | None = None
    family: int = 1
    seeds: int | None = None
    small: str = ""
    held: bool = False
    by_means_alone: bool | None = None
    looks: int = 0
    declared: str = ""
    notes: tuple[str, ...] = ()
    for_such_examples: bool | None = None

    @property
    def final(self) -> bool:
        """Whether the verdict is final: no further seed can change it."""
        return self.held or self.verdict not in ("undecided", "untested")

    @property
    def words(self) -> str:
        """`supported at 4 seeds`, `supported at 7 seeds, less than a point`, `undecided`."""
        words = f"{self.verdict} at {self.seeds} seeds" if self.seeds else self.verdict
        return f"{words}, {self.small}" if self.small else words

    @property
    def decisive(self) -> Comparison | None:
        """The comparison that decides the verdict.

        If the claim is contradicted, the one with the strongest evidence against it. Otherwise the weakest one if all
        must hold, or else the strongest one. None if there are no comparisons.
        """
        if not self.parts:
            return None
        tested = [part for part in self.parts if part.tested]
        if not tested:
            return next((part for part in self.parts if part.difference is not None), self.parts[0])
        if self.verdict == "contradicted":
            return min(tested, key=lambda part: part.pair.fails)
        every = {self.claim.of_pairs, self.claim.of_columns, self.claim.of_left} == {"all"}
        return (max if every else min)(tested, key=lambda part: part.pair.holds)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many comparisons hold, fail, and are undecided, each at the claim's level without correction."""
        alpha = self.claim.alpha
        holds = sum(part.tested and part.pair.holds <= alpha for part in self.parts)
        fails = sum(part.tested and part.pair.fails <= alpha for part in self.parts)
        return holds, fails, len(self.parts) - holds - fails

    @property
    def evidence(self) -> str:
        """Differences, intervals, tests, n and p, in one line, followed by remarks."""
        shown = self.decisive
        words = []
        text = shown.text(1 - self.claim.alpha) if shown is not None else ""
        if len(self.parts) > 1 and not any(part.tested for part in self.parts):
            words += self._differences()
        elif shown is not None and text:
            words.append(text if len(self.parts) == 1 else f"{self.count_words}; {shown.words}: {text}")
        words += [self.p_words] if self.p_words else []
        return "; ".join(filter(None, [", ".join(words), self.over_examples, *self.remarks]))

    @property
    def p_words(self) -> str:
        """`p = 0.002 (level 0.0038 at 3 seeds for 4 claims)`. Returns "" if nothing was tested."""
        return f"p {equals(self.p)}{self._correction()}" if self.p and self.verdict != "untested" else ""

    @property
    def remarks(self) -> list[str]:
        """Remarks on the verdict: on its variance, its reason, its declaration."""
        note = self.decisive.note if self.decisive is not None else ""
        return [text for text in (note, self.reason, self.declared, *self.notes) if text]

    @property
    def over_examples(self) -> str:
        """`over seeds and clips 95 % CI …: holds for such clips`. Returns "" if there is no such interval."""
        shown = self.decisive
        text = shown.over_examples(1 - self.claim.alpha) if shown is not None else ""
        if shown is None or self.for_such_examples is None:
            return text
        return f"{text}: " + (f"holds for such {shown.noun}" if self.for_such_examples else
                              f"holds for these {shown.noun}, not shown for other ones")

    def _correction(self) -> str:
        if self.seeds is not None and self.level is not None:
            return f" (level {self.level:.2g} at {self.seeds} seeds for {self.family} claim{'s' * (self.family > 1)})"
        return f" ({equals(self.adjusted).removeprefix('= ')} after Holm's correction over {self.family} claims)" \
            if self.family > 1 and self.adjusted is not None else ""

    def _differences(self) -> list[str]:
        """The first few differences, for claims that cannot be tested."""
        known = [(part, part.metric, part.difference) for part in self.parts]
        words = [f"{part.words}: {m.format(d, signed=True)}" for part, m, d in known if m is not None and d is not None]
        more = [f"{len(words) - MOST_SHOWN} more"] if len(words) > MOST_SHOWN else []
        return ["differences " + "; ".join([*words[:MOST_SHOWN], *more])] if words else []

    @property
    def count_words(self) -> str:
        """`2 of 3 comparisons hold, 1 undecided`."""
        holds, fails, rest = self.counts
        untested = sum(not part.tested for part in self.parts)
        words = [f"{holds} of {len(self.parts)} comparisons hold{'s' * (holds == 1)}"]
        words += [f"{fails} fail{'s' if fails == 1 else ''}"] if fails else []
        words += [f"{rest - untested} undecided"] if rest - untested else []
        words += [f"{untested} untested"] if untested else []
        return ", ".join(words)


def equals(p: float) -> str:
    """A p value with its relation sign: `= 0.002`, `< 0.0001`."""
    return "< 0.0001" if p < 1e-4 else f"= {p:.2g}"


def counts(verdicts: Iterable[Verdict]) -> dict[VerdictName, int]:
    """The number of each verdict, in the order of VERDICT_NAMES."""
    found = Counter(verdict.verdict for verdict in verdicts)
    return {word: found[word] for word in VERDICT_NAMES}


def counts_text(verdicts: Iterable[Verdict]) -> str:
    """`4 supported, 1 contradicted, …`, including verdicts that do not occur."""
    return ", ".join(f"{count} {word}" for word, count in counts(verdicts).items())


def reasons(parts: Sequence[Comparison]) -> str:
    """The reasons why comparisons are untested, without duplicates."""
    return "; ".join(dict.fromkeys(part.why for part in parts if part.why))
