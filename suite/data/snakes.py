"""The geometry of Pathfinder images: chains of dashes ("paddles"), two long ones and some short distractors.

This is a separate generator with the published parameters (paper, section 5.6): its images are of the same kind as the
released ones, but not identical. Many images are drawn at a time, but each is a function of (seed, index) alone: its
random numbers are a hash of both and of their purpose. Lengths are in pixels. Pixel (i, j) covers
[i, i + 1) x [j, j + 1), and points are (row, column).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DIRECTIONS = 4096  # on the circle, from a table, so that every machine draws the same images
CANDIDATES, FIRST_CANDIDATES = 12, 32  # positions tried for a paddle, and for the first one of a short snake
FEW = 4  # candidates that are checked first
AHEAD, BEND = 3, 0.93  # a position is rejected if the border blocks the next paddles at this quantile of turns
TRIALS = 5  # of a short snake, before it is left out
HALF = 2**32
MARGIN, SEEDS, MARKERS = 0, 1, 2  # purposes of random numbers; larger values are for paddles


@dataclass(frozen=True)
class Geometry:
    """Parameters of an image, with the names of the original generator. One of `margins` is drawn for each image."""

    size: int
    margins: tuple[int, ...]
    seed_distance: float
    length: float = 5
    thickness: float = 1.5
    marker_radius: float = 3
    paddles: int = 14
    continuity: float = 1.8
    distractors: int = 8
    distractor_paddles: int = 4
    snake_contrast: float = 1
    paddle_contrast: float = 1
    padding: int = 1
    antialias: int = 2
    even: float | None = None  # limit of how much the distance of the markers depends on the label; None: no limit

    @property
    def half(self) -> float:
        """Half the length of a paddle."""
        return self.length / 2


GEOMETRIES = {
    16: Geometry(16, (1,), 5, length=2, thickness=0.5, marker_radius=1.5, paddles=3, continuity=1.0, distractors=1,
                 distractor_paddles=2, snake_contrast=2, paddle_contrast=0.75, even=1),
    32: Geometry(32, (1,), 7, length=2, thickness=0.5, marker_radius=1.5, continuity=1.0, distractors=5,
                 snake_contrast=2, paddle_contrast=0.75),
    64: Geometry(64, (1, 2), 12, length=4, thickness=1, marker_radius=2, paddles=8, distractors=6,
                 distractor_paddles=3, snake_contrast=0.9, even=4),
    128: Geometry(128, (2, 3), 20, snake_contrast=0.9),
}


@dataclass
class Snakes:
    """Paddles of n images: `centers` (n, P), NaN for a missing paddle, and `directions` (n, P), of DIRECTIONS.

    First come the two long snakes, whose k-th paddles are 2k and 2k + 1, then the short ones, one by one. `margins`
    (n,) is half the gap between adjacent paddles in a snake; other paddles are further apart, at least by the thickness
    of a paddle. The markers are at `tips` (n, 2), on the same snake if `labels` (n,) is 1.
    """

    geometry: Geometry
    margins: np.ndarray
    centers: np.ndarray
    directions: np.ndarray
    tips: np.ndarray
    labels: np.ndarray


class Random:
    """Uniform numbers for images: a hash (the mixing of SplitMix64) of seed, image, purpose and counter.

    `np.random.Philox`, NumPy's counter-based generator, has one key, but here each of a thousand images needs a few
    numbers of its own at each step. Making a generator for each takes 600 times as long.
    """

    def __init__(self, seed: int, index: np.ndarray) -> None:
        self.keys = mixed(mixed(np.asarray([seed], np.uint64)) + np.asarray(index, np.uint64))

    def __call__(self, rows: np.ndarray, purpose: np.ndarray | int, attempt: np.ndarray | int,
                 count: int) -> np.ndarray:
        """(rows, count) float64 in [0, 1), for the images at `rows`."""
        key = self.keys[rows] + np.asarray(purpose, np.uint64) * np.uint64(HALF) + np.asarray(attempt, np.uint64)
        return (mixed(mixed(key)[:, None] + np.arange(count, dtype=np.uint64)) >> np.uint64(11)) * 2.0**-53


def mixed(x: np.ndarray) -> np.ndarray:
    """A bijection of 64-bit numbers that maps close numbers far apart."""
    x = x * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0xD1B54A32D192ED03)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _circle() -> np.ndarray:
    circle: np.ndarray = np.exp(2j * np.pi * np.arange(DIRECTIONS) / DIRECTIONS).round(12)
    return circle


def _turns() -> np.ndarray:
    x = np.linspace(-np.pi / 2, np.pi / 2, 4097)
    share = (x + np.sin(2 * x) / 2) / np.pi + 0.5
    return np.interp((np.arange(DIRECTIONS) + 0.5) / DIRECTIONS, share, x) * DIRECTIONS / (2 * np.pi)


CIRCLE = _circle()
TURNS = _turns()  # quantiles of the density cos² on (-π/2, π/2), in units of a direction


def unit(directions: np.ndarray) -> np.ndarray:
    """Unit vectors (complex) of directions."""
    return CIRCLE[directions % DIRECTIONS]


def draw(geometry: Geometry, seed: int, index: np.ndarray) -> Snakes:
    """The images of these indices (n,). Labels are 0 or 1 with equal probability, independent of the snakes."""
    n = len(index)
    paddles = 2 * geometry.paddles + geometry.distractors * geometry.distractor_paddles
    random = Random(seed, index)
    rows = np.arange(n)
    margins = np.asarray(geometry.margins)[(random(rows, MARGIN, 0, 1)[:, 0] * len(geometry.margins)).astype(int)]
    snakes = Snakes(geometry, margins, np.full((n, paddles), np.nan, complex), np.zeros((n, paddles), np.int64),
                    np.empty((n, 2), complex), np.empty(n, np.int64))
    growth = Growth(snakes, random)
    growth.grow_long()
    for begin in range(2 * geometry.paddles, paddles, geometry.distractor_paddles):
        growth.grow_short(begin)
    chance = random(rows, MARKERS, 0, 2)
    first = (chance[:, 0] < 0.5).astype(int)
    snakes.labels[:] = chance[:, 1] < 0.5
    last = 2 * geometry.paddles - 2 + np.where(snakes.labels == 1, first, 1 - first)
    for k, (paddle, way) in enumerate(((first, -1), (last, 1))):
        reach = way * geometry.half * unit(snakes.directions[rows, paddle])
        snakes.tips[:, k] = snakes.centers[rows, paddle] + reach
    return snakes


class Growth:
    """Adds paddles to all images at once, one at a time. A snake that cannot grow loses a random number of paddles."""

    def __init__(self, snakes: Snakes, random: Random) -> None:
        self.snakes, self.random, self.geometry = snakes, random, snakes.geometry
        self.attempts = np.zeros(len(snakes.labels), np.int64)  # of each image, so that no random number is used twice

    def grow_long(self) -> None:
        """Grow the two long snakes alternately, as in the original, so that each is an obstacle to the other."""
        end = 2 * self.geometry.paddles
        place = np.zeros(len(self.attempts), np.int64)
        rows = np.arange(len(place))
        while len(rows):
            seeds, others = rows[place[rows] < 2], rows[place[rows] >= 2]
            good = self.sow(seeds)
            place[seeds[good]] = 2
            good = self.extend(others, place[others], place[others] - 2, end)
            place[others[good]] += 1
            failed = others[~good]
            place[failed] = self.take_back(failed, place[failed])
            if self.geometry.even is not None:
                done = rows[place[rows] == end]
                biased = done[self.bias(done) > self.geometry.even]
                place[biased] = self.take_back(biased, place[biased])
            rows = rows[place[rows] < end]

    def bias(self, rows: np.ndarray) -> np.ndarray:
        """How much closer the last end of one long snake is to a first end than that of the other; the larger of two.

        In small images, the positions of the markers could reveal the label, without following a path.
        """
        state, last = self.snakes, 2 * self.geometry.paddles - 2
        reach = self.geometry.half * unit(state.directions[rows])
        first, end = (state.centers[rows] - reach)[:, :2], (state.centers[rows] + reach)[:, last:last + 2]
        return np.abs(np.diff(np.abs(first[:, :, None] - end[:, None]), axis=2)).max(axis=(1, 2))

    def sow(self, rows: np.ndarray) -> np.ndarray:
        """Place the first paddles of both long snakes. Returns whether they are far enough apart."""
        g, state = self.geometry, self.snakes
        chance = self.random(rows, SEEDS, self.attempts[rows], 5)
        self.attempts[rows] += 1
        inner = max(g.size / 2 - 2 * g.seed_distance, 1)  # the original places the first seed this close to the center
        first = g.size / 2 * (1 + 1j) + inner * ((2 * chance[:, 0] - 1) + 1j * (2 * chance[:, 1] - 1))
        directions = (chance[:, 2:] * DIRECTIONS).astype(np.int64)
        ends = np.stack([first, first + g.seed_distance * unit(directions[:, 2])], axis=1)
        centers = ends + g.half * unit(directions[:, :2])
        state.centers[rows, :2], state.directions[rows, :2] = centers, directions[:, :2]
        free = self.free(rows, centers[:, 1:], directions[:, 1:2], np.ones(len(rows), np.int64), 2)
        return free[:, 0] & self.inside(centers, directions[:, :2]).all(axis=1)

    def extend(self, rows: np.ndarray, paddle: np.ndarray, previous: np.ndarray, end: int) -> np.ndarray:
        """Place `paddle` of each image after `previous`, at the first free candidate. Returns whether one is free."""
        g, state = self.geometry, self.snakes
        chance = self.random(rows, paddle + 3, self.attempts[rows], CANDIDATES)
        before = state.directions[rows, previous]
        gap = g.half + state.margins[rows]
        pivot = state.centers[rows, previous] + gap * unit(before)
        turn = (TURNS[(chance * DIRECTIONS).astype(np.int64)] / g.continuity).astype(np.int64)
        directions = before[:, None] + turn
        centers = pivot[:, None] + gap[:, None] * unit(directions)
        possible = self.inside(centers, directions)
        if end == 2 * g.paddles:
            possible &= self.room(rows, (end - 1 - paddle) // 2, centers, directions)
        return self.choose(rows, paddle, centers, directions, possible, previous, end)

    def choose(self, rows: np.ndarray, paddle: np.ndarray, centers: np.ndarray, directions: np.ndarray,
               possible: np.ndarray, previous: np.ndarray, end: int) -> np.ndarray:
        """Place the first of (n, K) candidates that is `possible` and free. Returns whether there is one."""
        first = np.full(len(rows), -1)
        for part in (slice(0, FEW), slice(FEW, None)):  # most images need not check all candidates
            left = np.flatnonzero((first < 0) & possible[:, part].any(axis=1))
            free = self.free(rows[left], centers[left, part], directions[left, part], previous[left], end)
            free &= possible[left, part]
            first[left] = np.where(free.any(axis=1), free.argmax(axis=1) + (part.start or 0), -1)
        good, here = first >= 0, np.arange(len(rows))
        self.snakes.centers[rows, paddle] = np.where(good, centers[here, first], np.nan)
        self.snakes.directions[rows, paddle] = directions[here, first]
        return good

    def take_back(self, rows: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Remove the newest paddles, at least k with probability 1/k. Returns how many are left."""
        chance = self.random(rows, SEEDS, self.attempts[rows], 1)[:, 0]
        self.attempts[rows] += 1
        place = np.maximum(place - np.ceil(1 / (1 - chance)).astype(np.int64), 0)
        end = 2 * self.geometry.paddles
        left = np.arange(end) < place[:, None]
        self.snakes.centers[rows, :end] = np.where(left, self.snakes.centers[rows, :end], np.nan)
        return place

    def grow_short(self, begin: int) -> None:
        """Grow a short snake in each image that has room for it."""
        g, rows = self.geometry, np.arange(len(self.attempts))
        end = begin + g.distractor_paddles
        for _ in range(TRIALS):
            chance = self.random(rows, begin + 3, self.attempts[rows], 3 * FIRST_CANDIDATES)
            directions = (chance[:, :FIRST_CANDIDATES] * DIRECTIONS).astype(np.int64)
            centers = g.size * (chance[:, FIRST_CANDIDATES:] @ np.kron(np.eye(FIRST_CANDIDATES), [[1], [1j]]))
            there = np.full(len(rows), begin)
            good = self.choose(rows, there, centers, directions, self.inside(centers, directions), there, end)
            alive = rows[good]
            for paddle in range(begin + 1, end):
                alive = alive[self.extend(alive, np.full(len(alive), paddle), np.full(len(alive), paddle - 1), end)]
            self.attempts[rows] += 1
            rows = np.setdiff1d(rows, alive, assume_unique=True)
            self.snakes.centers[rows, begin:end] = np.nan
            if not len(rows):
                return

    def inside(self, centers: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Whether both ends of each paddle are away from the border."""
        reach = self.geometry.half * unit(directions)
        low, high = self.geometry.padding, self.geometry.size - self.geometry.padding
        x, y, dx, dy = centers.real, centers.imag, np.abs(reach.real), np.abs(reach.imag)
        return (x - dx >= low) & (x + dx <= high) & (y - dy >= low) & (y + dy <= high)

    def room(self, rows: np.ndarray, more: np.ndarray, centers: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Whether the border leaves room for the next `more` paddles, straight ahead, to the left or to the right."""
        gap = (self.geometry.half + self.snakes.margins[rows])[:, None]
        bend = int(TURNS[int(BEND * DIRECTIONS)] / self.geometry.continuity)
        room = np.zeros(centers.shape, bool)
        for turn in (-bend, 0, bend):
            ok = np.ones(centers.shape, bool)
            center, direction = centers, directions
            for k in range(AHEAD):
                center, direction = center + gap * (unit(direction) + unit(direction + turn)), direction + turn
                ok &= self.inside(center, direction) | (more <= k)[:, None]
            room |= ok
        return room

    def free(self, rows: np.ndarray, centers: np.ndarray, directions: np.ndarray, skip: np.ndarray,
             end: int) -> np.ndarray:
        """Whether each of (n, K) paddles is far enough from all paddles before `end`, except the one in `skip`.

        The distance of two line segments that do not cross is that of an end of one to the other. Segments that cross
        have an end within half a length, which is less than the required distance.
        """
        state, half = self.snakes, self.geometry.half
        there = state.centers[rows, :end]
        there[np.arange(len(rows)), skip] = np.nan
        own, other = unit(directions)[:, :, None].conj(), unit(state.directions[rows, :end])[:, None].conj()
        between = (centers[:, :, None] - there[:, None]).astype(np.complex64)
        own, other = own.astype(np.complex64), other.astype(np.complex64)
        turned = np.float32(half) * own * other.conj()
        least = np.square(2 * state.margins[rows] + self.geometry.thickness + 1e-3, dtype=np.float32)[:, None, None]
        near = np.zeros(between.shape, bool)
        for center, reach in ((between * own, turned), (between * other, turned.conj())):
            for point in (center + reach, center - reach):  # an end of one paddle, with the other along the real axis
                along = np.maximum(np.abs(point.real) - np.float32(half), 0)
                near |= along * along + point.imag * point.imag < least
        return np.logical_not(near.any(axis=-1))
