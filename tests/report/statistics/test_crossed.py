"""The error over seeds and examples: against a table of a textbook, and simulated, where wrong formulas fail."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import special

from suite.report.statistics.crossed import Layer, mean_squares, paired, rooted, unpaired
from suite.report.statistics.variance import Variance

# Shrout and Fleiss (1979), table 2: six targets, each rated by four judges. Here judges are seeds, targets examples.
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float).T


def test_mean_squares_are_those_of_a_published_table() -> None:
    found = mean_squares(RATINGS)
    assert (found.n, found.m) == (4, 6)
    assert (round(found.example, 2), round(found.seed, 2), round(found.residual, 2)) == (11.24, 32.49, 1.02)


def test_variance_and_degrees_of_freedom_by_hand() -> None:
    found, squares = paired([Layer(1.0, "x", RATINGS)]), mean_squares(RATINGS)
    total = squares.seed + squares.example - squares.residual
    assert found.value == pytest.approx(total / 24)
    by_df = squares.seed**2 / 3 + squares.example**2 / 5 + squares.residual**2 / 15
    assert found.df == pytest.approx(total**2 / by_df)
    alone = unpaired([Layer(1.0, "x", RATINGS)])
    assert alone.value == pytest.approx(found.value) and alone.df == pytest.approx(found.df, rel=0.25)


def test_it_is_at_least_the_residual() -> None:
    """Values that differ by seed and example together, and by neither alone."""
    values = np.array([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]])
    found = paired([Layer(1.0, "x", values)])
    assert mean_squares(values).seed == mean_squares(values).example == 0
    residual = mean_squares(values).residual
    assert (found.value, found.df) == (pytest.approx(residual / 8), 3)
    one = unpaired([Layer(1.0, "x", values), Layer(-1.0, "x", -values)])
    assert (one.value, one.df) == (pytest.approx(2 * residual / 8), pytest.approx(6))


def test_rooted_values_have_the_root_mean_square_as_their_mean() -> None:
    errors = np.abs(np.random.default_rng(0).normal(size=(3, 50)))
    assert rooted(errors).mean(1) == pytest.approx(np.sqrt((errors**2).mean(1)))
    assert (rooted(np.zeros((2, 4))) == 0).all()


Rows = tuple[np.ndarray, np.ndarray]  # two rows of values (seeds, examples)
Draw = Callable[[np.random.Generator], Rows]


def crossed_values(rng: np.random.Generator, n: int, m: int, seed: float, example: float, rest: float,
                   shared: float = 0.7) -> Rows:
    """Two rows (n, m) with equal means: deviations of seeds, examples and both, of which a share is common to both."""
    one, other = np.zeros((n, m)), np.zeros((n, m))
    for size, deviation in (((n, 1), seed), ((1, m), example), ((n, m), rest)):
        both = rng.normal(size=size) * math.sqrt(shared)
        one = one + deviation * (both + rng.normal(size=size) * math.sqrt(1 - shared))
        other = other + deviation * (both + rng.normal(size=size) * math.sqrt(1 - shared))
    return one, other


def covered(draw: Draw, variance: Callable[[np.ndarray, np.ndarray], Variance], draws: int = 1500) -> float:
    """How often the 95 % interval of the difference holds 0, which is true."""
    rng, hits = np.random.default_rng(7), 0
    for _ in range(draws):
        one, other = draw(rng)
        found = variance(one, other)
        half = float(special.stdtrit(found.df, 0.975)) * math.sqrt(found.value)
        hits += abs(one.mean() - other.mean()) <= half
    return hits / draws


def layers(one: np.ndarray, other: np.ndarray) -> list[Layer]:
    return [Layer(1.0, "x", one), Layer(-1.0, "x", other)]


def right(one: np.ndarray, other: np.ndarray) -> Variance:
    return paired(layers(one, other))


def of_seeds_alone(one: np.ndarray, other: np.ndarray) -> Variance:
    """What the first interval takes: examples as they are."""
    means = (one - other).mean(1)
    return Variance(float(means.var(ddof=1)) / len(means), len(means) - 1)


def of_examples_alone(one: np.ndarray, other: np.ndarray) -> Variance:
    means = (one - other).mean(0)
    return Variance(float(means.var(ddof=1)) / len(means), len(means) - 1)


def as_if_independent(one: np.ndarray, other: np.ndarray) -> Variance:
    """All values of the table as a sample."""
    values = one - other
    return Variance(float(values.var(ddof=1)) / values.size, values.size - 1)


SPREADS = {"seeds": (1.0, 1.0, 4.0), "examples": (0.05, 3.0, 3.0), "both": (0.2, 3.0, 4.0), "neither": (0.0, 0.0, 4.0)}


@pytest.mark.parametrize("n", [3, 10])
@pytest.mark.parametrize("spread", SPREADS)
def test_intervals_cover_whatever_the_spread_comes_from(spread: str, n: int) -> None:
    """Satterthwaite's law is an approximation: at three seeds 92 % in the worst case, 99 % in the best."""
    least = 0.91 if n == 3 else 0.935
    assert least <= covered(lambda rng: crossed_values(rng, n, 60, *SPREADS[spread]), right) <= 0.997


@pytest.mark.parametrize(("wrong", "spread"), [(of_seeds_alone, "examples"), (of_examples_alone, "seeds"),
                                               (as_if_independent, "both")])
def test_wrong_formulas_do_not_cover(wrong: Callable[[np.ndarray, np.ndarray], Variance], spread: str) -> None:
    assert covered(lambda rng: crossed_values(rng, 10, 60, *SPREADS[spread]), wrong) < 0.90


@pytest.mark.parametrize("make", [paired, unpaired])
def test_the_variance_is_not_biased(make: Callable[[list[Layer]], Variance]) -> None:
    """Without MS_residual taken off, it would be too large by a third here; with it taken off twice, too small."""
    rng, shared = np.random.default_rng(1), 0.0 if make is unpaired else 0.5
    found, means = [], []
    for _ in range(4000):
        one, other = crossed_values(rng, 8, 30, 0.5, 1.5, 4.0, shared)
        found.append(make(layers(one, other)).value)
        means.append(one.mean() - other.mean())
    free = 2 * (1 - shared)
    true = free * (0.5**2 / 8 + 1.5**2 / 30 + 4.0**2 / 240)
    assert np.mean(found) == pytest.approx(true, rel=0.03) and np.var(means) == pytest.approx(true, rel=0.08)


def bits(rng: np.random.Generator, n: int, m: int) -> Rows:
    """Right or not: easy and hard examples, good and bad seeds; two rows of the same chances, on the same examples."""
    hard = 2.0 * rng.normal(size=m)
    rows = [1.0 + 0.3 * rng.normal(size=(n, 1)) + hard + 0.8 * rng.normal(size=m) for _ in range(2)]
    one, other = ((rng.random((n, m)) < special.expit(row)).astype(float) for row in rows)
    return one, other


def errors(rng: np.random.Generator, n: int, m: int) -> Rows:
    """Absolute errors whose size differs by example and seed, as values whose mean is the RMSE."""
    size = np.exp(0.4 * rng.normal(size=m))
    rows = [np.exp(0.03 * rng.normal(size=(n, 1))) * size * np.exp(0.15 * rng.normal(size=m)) for _ in range(2)]
    one, other = (rooted(np.abs(row * rng.normal(size=(n, m)))) for row in rows)
    return one, other


@pytest.mark.parametrize("draw", [bits, errors])
@pytest.mark.parametrize("n", [3, 6])
def test_unpaired_seeds_on_the_same_examples_cover_for_accuracy_and_rmse(draw: Callable[..., Rows], n: int) -> None:
    def unpaired_(one: np.ndarray, other: np.ndarray) -> Variance:
        return unpaired(layers(one, other))

    def as_two_sets(one: np.ndarray, other: np.ndarray) -> Variance:
        return unpaired([Layer(1.0, "x", one), Layer(-1.0, "y", other)])

    assert 0.93 <= covered(lambda rng: draw(rng, n, 224), unpaired_, 1000) <= 0.98
    wide = covered(lambda rng: draw(rng, n, 224), as_two_sets, 1000)
    assert wide > 0.975, "examples that are not paired give intervals that are too wide"


def test_several_sets_of_examples_add_up() -> None:
    rng = np.random.default_rng(3)
    one, other = crossed_values(rng, 4, 30, 0.0, 2.0, 1.0)
    third = crossed_values(rng, 4, 50, 0.0, 2.0, 1.0)[0]
    both = paired([*layers(one, other), Layer(0.5, "y", third)])
    single = paired(layers(one, other)).value + 0.25 * paired([Layer(1.0, "y", third)]).value
    assert both.value == pytest.approx(single, rel=0.3)  # seeds apart, which are common
    assert unpaired([*layers(one, other), Layer(0.5, "y", third)]).value == pytest.approx(
        unpaired(layers(one, other)).value + 0.25 * unpaired([Layer(1.0, "y", third)]).value)
