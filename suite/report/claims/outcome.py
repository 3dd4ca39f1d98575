"""What was found for a claim: a final word, the comparisons behind it, and the sentence that tells them."""

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
ENOUGH = 5  # seeds from which on an effect size in deviations is shown: of fewer, the deviation is hardly known
Word = Literal["supported", "contradicted", "no difference", "not by seeds", "undecided", "untested"]
WORDS: tuple[Word, ...] = get_args(Word)
RULES = (
    "Supported: the claim is shown, at its level after Holm's correction within its family; contradicted: its opposite "
    "is shown; no difference: the interval at that level lies within the margin (a point of accuracy, 0.02 RMSE); not "
    "by seeds: the declared number of seeds does not decide it, or would with a probability below 5 %; undecided: "
    "more seeds may still decide it; untested: there is nothing to test. A family with looks is tested again with each "
    "seed that is added, each look at a level of its own, so that alpha holds for all of them together. 95 % "
    "CI: unadjusted confidence interval over seeds; examples are taken as they are. Over seeds and examples: the same "
    "for other seeds on other examples of this kind; a verdict holds for such examples if it would be the same with "
    "this error, at its level.")


@dataclass(frozen=True)
class Comparison:
    """One comparison within a claim. Numbers are in the metric's shown unit; None if nothing was tested.

    It holds if the true difference lies between `bounds`; `low` and `high` are its unadjusted interval, `estimate`
    what it was tested with, or `test` the name of another test. `n` has the seeds on either side, `examples` how many
    examples each number was evaluated on, `noun` what they are called, `why` the reason for what was not tested.
    `crossed` is the estimate over seeds and examples, `uncrossed` why there is none.
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
    uncrossed: str = ""

    @property
    def tested(self) -> bool:
        """Whether there was something to test."""
        return not self.why

    @property
    def exact(self) -> Pair:
        """What the difference says if it is taken to have no error."""
        if self.difference is None or self.bounds is None:
            return UNTESTED
        holds = self.bounds[0] < self.difference < self.bounds[1]
        return Pair(float(not holds), float(holds))

    @property
    def p(self) -> float | None:
        """Two-sided p of whichever it shows, that the comparison holds or that it fails."""
        return self.pair.p if self.tested else None

    @property
    def df(self) -> float | None:
        """Degrees of freedom of its t."""
        return self.estimate.df if self.estimate else None

    @property
    def g(self) -> float | None:
        """The effect size in pooled standard deviations; None below five seeds."""
        counts = [n for n in self.n if n]
        return self.estimate.g if self.estimate and counts and min(counts) >= ENOUGH else None

    @property
    def test_words(self) -> str:
        """The test with its degrees of freedom, paired or not."""
        one = self.estimate
        return self.test if one is None else \
            f"{one.test}, {'paired' if one.paired else 'unpaired'}, df {f'{one.df:.1f}'.removesuffix('.0')}"

    @property
    def seeds(self) -> str:
        """`3 seeds`, or `3 and 2 seeds`; '' for numbers without any."""
        counts = [n for n in self.n if n]  # a constant has no seeds
        if not counts:
            return ""
        return f"{' and '.join(str(n) for n in (counts[:1] if len(set(counts)) == 1 else counts))} seed" + \
            "s" * (max(counts) > 1)

    @property
    def evaluated(self) -> str:
        """`224 clips`; '' if nobody counted them."""
        return counted(self.examples, self.noun) if self.examples else ""

    @property
    def size(self) -> str:
        """The estimate with its unit, `−13.24 points`; '' if it is not known."""
        m = self.metric
        if self.difference is None or m is None:
            return ""
        return _with_unit(m.format(self.difference, signed=True), m)

    @property
    def interval(self) -> str:
        """`−15.94 to −10.54`; '' if there is none."""
        if self.low is None or self.high is None or self.metric is None:
            return ""
        return " to ".join(self.metric.format(bound, signed=True) for bound in (self.low, self.high))

    def over_examples(self, level: float) -> str:
        """`over seeds and clips 95 % CI −0.5 to +4.6 points`, or why it is not known; '' for no mean over examples."""
        if self.crossed is None or self.metric is None:
            return f"over seeds and {self.noun}: {self.uncrossed}" if self.uncrossed else ""
        sides = [self.metric.format(side, signed=True) for side in self.crossed.interval(level)]
        return f"over seeds and {self.noun} {100 * level:g} % CI {_with_unit(' to '.join(sides), self.metric)}"

    @property
    def margin(self) -> str:
        """`±1.00 points`; '' if there is none."""
        finite = [b for b in self.bounds or () if abs(b) != float("inf")]
        if self.metric is None or not any(finite):
            return ""
        return _with_unit(f"±{self.metric.format(abs(finite[0]))}" if len(finite) == 2 else
                          self.metric.format(finite[0], signed=True), self.metric)

    def text(self, level: float) -> str:
        """Estimate, interval, margin, test, effect size, n, in one line."""
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
    """What the runs say about a claim, at its level after the correction within its family.

    `verdict`: one of WORDS. `p` is two-sided and of the whole claim, `adjusted` the same after Holm's correction if
    there is a single look, and `level` what p is compared with at a look of `seeds` seeds. `small`: the difference is
    shown to lie within the margin. `held`: no further look will come, after `looks` of them. `at_face`: whether the
    claim would hold if the differences had no error. `declared` says when its family was declared, `notes` what a
    reader must know, `such` whether the verdict holds at its level over seeds and examples, too (None: not known).
    """

    claim: Claim
    verdict: Word
    reason: str
    parts: tuple[Comparison, ...] = ()
    p: float | None = None
    adjusted: float | None = None
    level: float | None = None
    family: int = 1
    seeds: int | None = None
    small: str = ""
    held: bool = False
    at_face: bool | None = None
    looks: int = 0
    declared: str = ""
    notes: tuple[str, ...] = ()
    such: bool | None = None

    @property
    def final(self) -> bool:
        """Whether no further seed is wanted for it."""
        return self.held or self.verdict not in ("undecided", "untested")

    @property
    def words(self) -> str:
        """`supported at 4 seeds`, `supported at 7 seeds, less than a point`, `undecided`."""
        words = f"{self.verdict} at {self.seeds} seeds" if self.seeds else self.verdict
        return f"{words}, {self.small}" if self.small else words

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
        every = {self.claim.of_pairs, self.claim.of_columns, self.claim.of_left} == {"all"}
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
        """Differences, intervals, tests, n and p, in one line; then, each after a semicolon, what must be known."""
        shown = self.telling
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
        """`p = 0.002 (level 0.0038 at 3 seeds for 4 claims)`; '' if nothing was tested."""
        return f"p {equals(self.p)}{self._correction()}" if self.p and self.verdict != "untested" else ""

    @property
    def remarks(self) -> list[str]:
        """What must be known of the verdict, sentence by sentence."""
        note = self.telling.note if self.telling is not None else ""
        return [text for text in (note, self.reason, self.declared, *self.notes) if text]

    @property
    def over_examples(self) -> str:
        """`over seeds and clips 95 % CI …: holds for such clips`; '' if nothing is known of examples."""
        shown = self.telling
        text = shown.over_examples(1 - self.claim.alpha) if shown is not None else ""
        if shown is None or self.such is None:
            return text
        return f"{text}: " + (f"holds for such {shown.noun}" if self.such else
                              f"holds for these {shown.noun}, not shown for other ones")

    def _correction(self) -> str:
        if self.seeds is not None and self.level is not None:
            return f" (level {self.level:.2g} at {self.seeds} seeds for {self.family} claim{'s' * (self.family > 1)})"
        return f" ({equals(self.adjusted).removeprefix('= ')} after Holm's correction over {self.family} claims)" \
            if self.family > 1 and self.adjusted is not None else ""

    def _differences(self) -> list[str]:
        """The first few differences, where nothing can be tested."""
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
    """A p value after its sign: `= 0.002`, `< 0.0001`."""
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
