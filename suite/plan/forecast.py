"""How long a plan takes: a number for every shape from the best source available, with its uncertainty.

Sources, best first: this store; a probe on this machine; speeds shipped with the suite for the same shape; speeds of
other shapes, from this store or shipped, scaled by counted operations. Shipped speeds of CPUs are also scaled by the
speed test (`suite.plan.speed_test`), which runs only if they are needed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from suite.config.run_config import RunConfig
from suite.data.extent import extent
from suite.plan.estimate import left
from suite.plan.operations import FITS, Device, seconds_per_epoch
from suite.plan.plan import Plan
from suite.plan.speeds import shipped

NEAREST = 3  # a speed is scaled from the median of this many shapes
FAR = 30.0  # a speed scaled by more than this factor is less certain
THREADS = 0.7  # t threads are t^0.7 times as fast as one
SHARED = 0.5  # n runs on a GPU take n^0.5 times as long as one alone: between no slow-down and one after the other


class Origin(StrEnum):
    """The source of the speed of a shape."""

    STORE = "past runs of the same shape"
    PROBE = "a probe on this machine"
    SHIPPED = "shipped speeds of the same shape"
    STORE_SCALED = "past runs of other shapes, scaled by counted operations"
    SHIPPED_SCALED = "shipped speeds, scaled by counted operations"
    COUNTED = "counted operations alone"
    EXPECT = "what the grid expects"


@dataclass(frozen=True)
class Speed:
    """Seconds per epoch, most likely right within `factor`. `source`: folders of kept results."""

    seconds: float
    origin: Origin
    factor: float
    source: str = ""


@dataclass(frozen=True)
class Place:
    """Where runs are computed: `name` of a GPU ("" if unknown), threads of a run, and runs at a time on a GPU.

    pass_seconds: runs the speed test on this machine. It is called only if a shipped speed of a CPU is scaled. None for
    another machine.
    """

    device: Device
    name: str
    threads: int
    pass_seconds: Callable[[], float] | None
    at_once: int = 1


@dataclass(frozen=True)
class Reference:
    """A measured shape: seconds per epoch, converted to the place of the forecast."""

    config: RunConfig
    seconds: float
    origin: Origin
    source: str = ""


@dataclass(frozen=True)
class Forecast:
    """Times of a plan, in seconds of one slot. each: of the runs that would run, by id. seed: of one more seed of all
    configurations, which are `seed_runs` runs. speeds: by shape. factor: the total is most likely right within it."""

    place: Place
    speeds: Mapping[str, Speed]
    each: Mapping[str, float]
    seed: float
    seed_runs: int
    origins: Mapping[Origin, int] = field(default_factory=dict)  # runs that would run
    factor: float = 1.0

    @property
    def seconds(self) -> float:
        """The time of all runs, one at a time."""
        return sum(self.each.values())

    @property
    def longest(self) -> tuple[str, float]:
        """Id and time of the run that takes longest. ("", 0) if nothing would run."""
        return max(self.each.items(), key=lambda item: item[1], default=("", 0.0))

    def at(self, slots: int) -> float:
        """A lower bound of the time until all runs are done, with `slots` of them at a time."""
        return max(self.seconds / slots, self.longest[1])

    def sources(self, origin: Origin) -> list[str]:
        """The folders of kept results from which the speeds of one origin are taken."""
        return sorted({name for speed in self.speeds.values() if speed.origin is origin
                       for name in speed.source.split(", ") if name})


def forecast(made: Plan, place: Place, probed: Mapping[str, float] | None = None,
             known: Mapping[str, float] | None = None) -> Forecast:
    """The times of a plan. `probed` and `known`: seconds per epoch by shape, from probes here and from the store."""
    configs = {run.config.shape: run.config for run in made.runs}
    own = dict(made.speeds if known is None else known)
    references = [*_of_store(configs, own), *_shipped(place, configs, own, probed or {})]
    expected = _expected(made)
    speeds = {}
    for shape, config in configs.items():
        if shape in own:
            speeds[shape] = Speed(own[shape], Origin.STORE, 1.3)
        elif probed and shape in probed:
            shared = place.at_once ** SHARED if place.device is Device.GPU else 1.0
            speeds[shape] = Speed(probed[shape] * shared, Origin.PROBE, 1.5)
        elif shape in expected:
            speeds[shape] = Speed(expected[shape], Origin.EXPECT, 3.0)
        else:
            speeds[shape] = _from_others(config, place, references)
    return _summed(made, place, speeds)


def _summed(made: Plan, place: Place, speeds: Mapping[str, Speed]) -> Forecast:
    plain = {shape: speed.seconds for shape, speed in speeds.items()}
    each = {run.run_id: left(run, made.states[run.run_id], made.until, plain) or 0.0 for run in made.todo}
    origins: dict[Origin, int] = {}
    for run in made.todo:
        origin = speeds[run.config.shape].origin
        origins[origin] = origins.get(origin, 0) + 1
    # The uncertainty of the sum is a weighted mean: the runs that matter most are off in the same direction.
    total = sum(each.values())
    factor = sum(each[run.run_id] * speeds[run.config.shape].factor for run in made.todo) / total if total else 1.0
    first = [run for run in made.runs if run.config.seed == made.runs[0].config.seed]
    seed = sum(min(made.until or run.config.train.epochs, run.config.train.epochs) * plain[run.config.shape]
               for run in first)
    return Forecast(place, speeds, each, seed, len(first), origins, factor)


def _expected(made: Plan) -> dict[str, float]:
    """Seconds of a benchmark, if the author of the grid states how long all of them take."""
    found: dict[str, float] = {}
    for grid in made.grids:
        if grid.expect.minutes and all(run.config.kind == "bench" for run in grid.runs):
            found |= {run.config.shape: 60 * grid.expect.minutes / len(grid.runs) for run in grid.runs}
    return found


def _of_store(configs: Mapping[str, RunConfig], own: Mapping[str, float]) -> list[Reference]:
    return [Reference(config, own[shape], Origin.STORE_SCALED) for shape, config in configs.items()
            if shape in own and config.kind == "train"]


def _shipped(place: Place, configs: Mapping[str, RunConfig], own: Mapping[str, float],
             probed: Mapping[str, float]) -> list[Reference]:
    """The shipped speeds of this kind of device, scaled to the place. The speed test runs if one of them is needed."""
    if all(shape in own or shape in probed for shape in configs):
        return []
    found, speeds = [], shipped().of(place.device)
    known = {one.device: shipped().devices[one.device].pass_seconds for one in speeds}
    here = place.pass_seconds() if place.pass_seconds and any(known.values()) else None
    for one in speeds:
        measured = known[one.device]
        scale = here / measured if here and measured else 1.0
        if place.device is Device.GPU:
            scale = (place.at_once / one.at_once) ** SHARED
        else:
            scale *= place.threads ** -THREADS
        found.append(Reference(one.config, one.seconds * scale, Origin.SHIPPED_SCALED, one.source))
    return found


def _from_others(config: RunConfig, place: Place, references: Sequence[Reference]) -> Speed:
    """The speed of a shape from references: one of the same shape, else those nearest to it in time."""
    device = Device.CPU if config.model.name in FITS else place.device  # a classical model is fitted on the CPU
    nominal = seconds_per_epoch(config, device)
    if config.kind == "bench" or config.model.name in FITS:
        return Speed(nominal, Origin.COUNTED, 5.0)
    for one in references:
        if one.config.shape == config.shape:
            return Speed(one.seconds, Origin.SHIPPED, 2.0 * _uncertainty(place), one.source)
    counted = [(one, nominal / seconds_per_epoch(one.config, device)) for one in references]
    counted.sort(key=lambda pair: (_distance(pair[0], config), abs(math.log(pair[1]))))
    first = counted[0][0]
    near = [pair for pair in counted[:NEAREST] if pair[0].origin == first.origin]
    jump = max(max(times, 1 / times) for _, times in near)
    factor = 4.0 if first.config.model.name != config.model.name else 2.0 if jump < FAR else 3.0
    if ":" in config.model.name or not extent(config.data, config.task).sure:
        factor = 10.0
    sources = dict.fromkeys(one.source for one, _ in near)
    return Speed(statistics.median(one.seconds * times for one, times in near), first.origin,
                 factor * _uncertainty(place), ", ".join(filter(None, sources)))


def _distance(reference: Reference, config: RunConfig) -> int:
    """0 for a model of the same family from this store, 1 for a shipped one, 2 for another family."""
    if reference.config.model.name != config.model.name:
        return 2
    return int(reference.origin is not Origin.STORE_SCALED)


def _uncertainty(place: Place) -> float:
    """The uncertainty that a shipped speed has here: of the same GPU, of another GPU, or of another CPU."""
    if place.device is Device.GPU:
        known = any(one.device == place.name for one in shipped().of(Device.GPU))
        return 1.5 if known else 2.0
    return 1.0 if place.pass_seconds else 1.5
