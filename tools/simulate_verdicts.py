"""Error rates and power of verdicts, simulated with the suite's code. `python tools/simulate_verdicts.py`

Each scenario is a family of claims with the standard deviations and effects of kept runs. An experiment draws all seeds
of all rows, shows the first `start`, and then acts as `--decide`: one more seed for the rows of claims without a final
verdict. For each scenario, it prints how often all real effects are supported, how often any verdict is false, the
number of runs, and whether the target is met. A second table has families that are tested once, at three seeds. Both
are kept in docs/error-rates.txt: `python tools/simulate_verdicts.py > docs/error-rates.txt`. Rates do not depend on
`--jobs`: each scenario has its own generator. The last line is the time that it took.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from suite.report.claims.claim import Claim, Family, LooksPlan, Stated
from suite.report.claims.judge import judge
from suite.report.claims.numbers import Datum
from suite.report.claims.outcome import Verdict
from suite.report.metric import metric
from suite.report.statistics.contrast import summarise

ACCURACY = metric("val/accuracy", "")
PLAN = LooksPlan(start=3, most=10)


@dataclass(frozen=True)
class Target:
    """The limits of a scenario: shares of experiments, as in `Rates`, and mean number of runs."""

    found: float = 0.0
    false: float = 1.0
    runs: float = math.inf

    def missed(self, made: Rates, errors: float = 0.0) -> list[str]:
        """The limits that the rates miss by more than so many standard errors."""
        def error(share: float) -> float:
            return errors * math.sqrt(share * (1 - share) / made.rounds)

        found = [f"found {made.found:.3f} < {self.found:g}"] if made.found < self.found - error(self.found) else []
        found += [f"false {made.false:.3f} > {self.false:g}"] if made.false > self.false + error(self.false) else []
        return found + ([f"runs {made.runs:.1f} > {self.runs:g}"]
                        if made.runs > self.runs + errors * made.runs_error else [])


@dataclass(frozen=True)
class Scenario:
    """A family of claims that left is worse than right in a column, and the truth.

    `means` and `spread` (standard deviation) by column and row; a row without a mean has 0. `seed_spread`: standard
    deviation of the effect that all rows of a seed share.
    """

    name: str
    rows: tuple[str, ...]
    spread: Mapping[str, Mapping[str, float] | float]
    claims: tuple[tuple[str, str, str], ...]  # left, right, column
    means: Mapping[tuple[str, str], float] = field(default_factory=dict)
    by_seed: bool = False
    seed_spread: float = 0.0
    rules: Family = Family(looks=PLAN)
    target: Target = Target()

    def null(self, name: str = "", false: float = 0.065) -> Scenario:
        """The same without any effect. `false`: the largest allowed share of experiments with a false verdict."""
        return replace(self, name=name or f"{self.name}, no effects", means={}, target=Target(false=false))

    def once(self, variance: Literal["column", "cell"], points: float = 0.0) -> Scenario:
        """The same, but tested once at three seeds, with left worse by `points` in each claim."""
        means = {(column, left): self.means.get((column, left), 0.0) - points for left, _, column in self.claims} \
            if points else {}
        return replace(self, name=f"{self.name}, {variance}", means=means, rules=Family(variance=variance))

    @property
    def stated(self) -> list[Stated]:
        """The claims in the form that `judge` takes."""
        return [Stated(Claim(id=f"c{i}", text="t", source="s", family="f", table="t", kind="worse", left=left,  # type: ignore[arg-type]
                             right=right, columns=column, by="seed" if self.by_seed else None),  # type: ignore[arg-type]
                       "", len(self.claims), self.rules) for i, (left, right, column) in enumerate(self.claims)]

    def effect(self, claim: tuple[str, str, str]) -> float:
        """The true difference of left and right."""
        left, right, column = claim
        return self.means.get((column, left), 0.0) - self.means.get((column, right), 0.0)


@dataclass(frozen=True)
class Seeded(Datum):
    """A datum that caches its subsets: `known` is shared by all data of a cell, whose seeds come in a fixed order."""

    known: dict[tuple[int, ...], Datum] = field(default_factory=dict, compare=False)

    def at(self, seeds: Sequence[int]) -> Datum:
        """The datum of these seeds only."""
        key = tuple(seeds)
        if any(seed not in self.values for seed in key):
            return super().at(seeds)
        if key not in self.known:
            self.known[key] = super().at(seeds)
        return self.known[key]


@dataclass
class Drawn:
    """One experiment: all values by column and row, of which the first `shown` have run."""

    values: dict[tuple[str, str], np.ndarray]
    shown: dict[tuple[str, str], int]
    names: tuple[str, ...]
    made: dict[tuple[str, str, int], Datum] = field(default_factory=dict)
    known: dict[tuple[str, str], dict[tuple[int, ...], Datum]] = field(default_factory=dict)
    profile = "paper"
    seeds: Sequence[int] = range(PLAN.most)

    def datum(self, claim: Claim, row: str, column: str) -> Datum:
        """The seeds that have run."""
        n = self.shown[column, row]
        if (column, row, n) not in self.made:
            there = self.values[column, row][:n].tolist()
            self.made[column, row, n] = Seeded(ACCURACY, summarise(there), dict(enumerate(there)), planned=n,
                                               model="ssm", known=self.known.setdefault((column, row), {}))
        return self.made[column, row, n]

    def published(self, claim: Claim, row: str, column: str) -> None:
        """There are no published numbers."""

    def rows(self, claim: Claim) -> Sequence[str]:
        """All rows."""
        return self.names

    def borrowed(self, claim: Claim, column: str) -> None:
        """There is no variance of another grid."""

    def variants(self, claim: Claim) -> Mapping[str, tuple[str, str]]:
        """There are no variants."""
        return {}


def draw(scenario: Scenario, generator: np.random.Generator, start: int = PLAN.start) -> Drawn:
    """An experiment with normal errors, of which the first `start` seeds have run."""
    values = {}
    for column, spread in scenario.spread.items():
        shared = generator.normal(size=PLAN.most) * scenario.seed_spread
        for row in scenario.rows:
            std = spread if isinstance(spread, float | int) else spread[row]
            values[column, row] = 50 + scenario.means.get((column, row), 0.0) + shared + \
                generator.normal(size=PLAN.most) * std
    return Drawn(values, dict.fromkeys(values, start), scenario.rows)


def decide(scenario: Scenario, drawn: Drawn, stated: Sequence[Stated]) -> tuple[Verdict, ...]:
    """As `--decide`: add one seed to the rows of undecided claims, until each has a final verdict."""
    while True:
        verdicts = judge(stated, drawn)
        if not scenario.rules.looks:
            return verdicts
        cells = {(column, row) for verdict in verdicts if not verdict.final
                 for row, column in verdict.claim.cells}
        if not cells:
            return verdicts
        for verdict in verdicts:
            if not verdict.final:
                there = min(drawn.shown[column, row] for row, column in verdict.claim.cells)
                for row, column in verdict.claim.cells:
                    drawn.shown[column, row] = max(drawn.shown[column, row], there + 1)


@dataclass(frozen=True)
class Rates:
    """Shares of experiments: `found`: all real effects were supported; `false`: any verdict was false; and mean runs.

    `power`: the share of single real effects that were supported. `words`: shares of claims, by verdict.
    """

    found: float
    false: float
    runs: float
    runs_error: float
    power: float
    words: Mapping[str, float]
    rounds: int


def rates(scenario: Scenario, rounds: int, seed: int = 0) -> Rates:
    """The rates of a scenario over so many experiments."""
    generator, stated = np.random.default_rng(seed), scenario.stated
    effects = [scenario.effect(claim) for claim in scenario.claims]
    found = false = supported = 0
    runs = np.zeros(rounds)
    words: dict[str, int] = {}
    for i in range(rounds):
        drawn = draw(scenario, generator)
        verdicts = decide(scenario, drawn, stated)
        names = [verdict.verdict for verdict in verdicts]
        right = [word == "supported" for word, effect in zip(names, effects, strict=True) if effect < 0]
        found, supported = found + all(right), supported + sum(right)
        false += any((word == "supported" and effect >= 0) or (word == "contradicted" and effect <= 0)
                     for word, effect in zip(names, effects, strict=True))
        runs[i] = sum(drawn.shown.values())
        for word in names:
            words[word] = words.get(word, 0) + 1
    real = max(sum(effect < 0 for effect in effects), 1)
    return Rates(found / rounds, false / rounds, float(runs.mean()), float(runs.std()) / math.sqrt(rounds),
                 supported / rounds / real,
                 {word: count / rounds / len(effects) for word, count in sorted(words.items())}, rounds)


QUICK_ROWS = ("Lin", "Inv", "LegS", "Real", "x100")
QUICKSTART = Scenario(  # pooled deviations and effects of the kept quickstart
    "quickstart", QUICK_ROWS, {"sCIFAR": 1.09, "SC": 1.68},
    tuple((left, "Lin", column) for left in ("Real", "x100") for column in ("sCIFAR", "SC")),
    {("sCIFAR", "Real"): -2.10, ("sCIFAR", "x100"): -3.67, ("SC", "Real"): -4.46, ("SC", "x100"): -5.65},
    target=Target(found=0.94, runs=40))
INIT_ROWS = ("Lin", "x0.01", "x100", "Inv", "Inv2", "Quad", "Random", "Real")
INITS = Scenario(  # seeds as blocks: the residual deviation of the 42 kept runs of this column; a seed moves it by 1.3
    "first-epoch-inits", INIT_ROWS, {"x": 0.94},
    (("x0.01", "Lin", "x"), ("x100", "Lin", "x"), ("Inv2", "Inv", "x"), ("Quad", "Inv", "x"), ("Random", "Inv", "x"),
     ("Real", "Inv", "x")),
    {("x", "x0.01"): -9.89, ("x", "x100"): -7.93, ("x", "Inv2"): -1.95, ("x", "Random"): -8.53, ("x", "Real"): -4.41},
    by_seed=True, seed_spread=1.3, target=Target(found=0.90, runs=31))
KEPT_SPREADS = {"sCIFAR": {"Lin": 0.61, "Inv": 1.05, "LegS": 0.91, "Real": 1.33, "x100": 1.35},
                "SC": {"Lin": 0.68, "Inv": 2.46, "LegS": 2.06, "Real": 0.26, "x100": 1.80}}
WIDE = replace(INITS, name="first-epoch-inits, with the deviation of its own 24 runs", spread={"x": 1.16})
UNEQUAL = replace(QUICKSTART.null("unequal variances, ratios of the kept runs, no effects", 0.075), spread=KEPT_SPREADS)
TWICE = replace(QUICKSTART.null("both tested rows twice the spread of the others, no effects", 0.10), spread={
    column: dict.fromkeys(QUICK_ROWS, 1.0) | {"Real": 2.0, "x100": 2.0} for column in ("sCIFAR", "SC")})
PRINTED = Scenario(  # the deviations of table 4, which the guard does not let be pooled
    "deviations as printed in table 4, no effects", ("S4-LegS", "S4-FouT", "S4D-LegS", "S4D-Inv", "S4D-Lin"),
    {"sCIFAR": {"S4-LegS": 0.43, "S4-FouT": 0.25, "S4D-LegS": 1.69, "S4D-Inv": 0.06, "S4D-Lin": 0.03}},
    tuple((left, "S4-LegS", "sCIFAR") for left in ("S4D-LegS", "S4D-Inv", "S4D-Lin")), target=Target(false=0.075))
ALL = (QUICKSTART, QUICKSTART.null(), INITS, INITS.null(), WIDE, UNEQUAL, TWICE, PRINTED)
ONCE = {  # claims tested once: any false verdict without effects, and the power of a claim at three points
    "quickstart, Welch's t": (QUICKSTART, "cell"), "quickstart, pooled": (QUICKSTART, "column"),
    "first-epoch-inits, paired t": (INITS, "cell"), "first-epoch-inits, seeds as blocks": (INITS, "column")}


@dataclass(frozen=True)
class Task:
    """A scenario to simulate."""

    scenario: Scenario
    rounds: int
    seed: int


@dataclass(frozen=True)
class Made:
    """The rates of a scenario, and the time that they took."""

    rates: Rates
    seconds: float


def simulate(task: Task) -> Made:
    """The rates of a scenario, with one thread."""
    started = time.monotonic()
    with threadpool_limits(1):
        made = rates(task.scenario, task.rounds, task.seed)
    return Made(made, time.monotonic() - started)


def main() -> None:
    """Print both tables, and the time that they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000, help="experiments for each scenario (default: 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each (default: 1)")
    args = parser.parse_args()
    if min(args.rounds, args.jobs) < 1:
        parser.error("--rounds, --jobs: give at least 1")
    began = time.monotonic()
    once = [one.null().once(variance, points) for one, variance in ONCE.values() for points in (0.0, 3.0)]
    with ProcessPoolExecutor(args.jobs) as pool:
        made = pool.map(simulate, [Task(one, args.rounds, args.seed) for one in (*ALL, *once)])
        print_decided(made)
        print_once(made)
    print(f"\nrounds {args.rounds}, seed {args.seed}, processes {args.jobs}: {time.monotonic() - began:.0f} s in all")


def print_decided(made: Iterator[Made]) -> None:
    """The scenarios that are decided look by look, each with its target."""
    print(f"{'scenario':<62} {'all found':>9} {'any false':>9} {'runs':>6}  against the target; words, share of claims")
    for scenario, one in zip(ALL, made, strict=False):
        words = ", ".join(f"{word} {share:.3f}" for word, share in one.rates.words.items())
        against = ", ".join(scenario.target.missed(one.rates)) or "met"
        found = f"{one.rates.found:.3f}" if any(map(scenario.effect, scenario.claims)) else "–"
        print(f"{scenario.name:<62} {found:>9} {one.rates.false:>9.4f} {one.rates.runs:>6.1f}  {against}; "
              f"{words}  ({one.seconds:.0f} s)", flush=True)


def print_once(made: Iterator[Made]) -> None:
    """The families that are tested once: without effects, and with effects of three points."""
    print(f"\n{'tested once, at three seeds':<62} {'any false':>9} {'power':>9}")
    for name in ONCE:
        null, effects = next(made), next(made)
        print(f"{name:<62} {null.rates.false:>9.4f} {effects.rates.power:>9.3f}", flush=True)


if __name__ == "__main__":
    main()
