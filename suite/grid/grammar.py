"""The grammar of grid files: their keys, and the type of each value. The JSON Schema is generated from it."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from suite.files.yaml_model import NAME

Free: TypeAlias = dict[str, Any]  # keys and values that are checked elsewhere, where their lines are known
Settings = Annotated[Free, Field(description="fields by dotted name (`ssm.init: lin`) or nested")]
Axes = Annotated[Free, Field(
    description="name: [values of the field of that name], or name: {label: {field: value, …}} for named bundles")]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]


class Strict(BaseModel):
    """A part of the grammar. Unknown keys are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Exclude(Strict):
    """Leaves out the runs that match every entry of `when`, for a stated reason."""

    when: Free = Field(min_length=1, description="axis: label, or field: value, or a list of them")
    because: str = Field(min_length=1, description="the reason, shown in plan and report")


class Override(Strict):
    """Settings that replace those of base and axes in the runs that match `when` (without it, in all runs)."""

    when: Free = Field({}, description="axis: label, or field: value, or a list of them")
    set: Settings = Field(description="fields by dotted name, and their values")


class SeedRange(Strict):
    """Seeds 0 to range - 1."""

    range: int = Field(ge=1, le=10_000, strict=True)


class Ablate(Strict):
    """The base, and one change at a time from it, instead of the product of the axes that `base` names.

    Axes that it does not name are crossed with these, as usual.
    """

    base: Free = Field(min_length=1, description="axis: label, for each axis to change")


class Block(Strict):
    """A sub-grid: its settings are added to those of the grid, or replace them; the grid is the union of its blocks.

    A block may extend other grids, so that a grid can be the union of several.
    """

    base: Settings = Field({}, description="settings of every run")
    axes: Axes = Field({}, description="varied in all combinations, the last axis fastest")
    zip: Axes | list[Axes] = Field({}, description="varied together: the first values of each, the second values of "
                                   "each, …; or a list of such groups")
    ablate: Ablate | None = Field(None, description="one change at a time from a base, instead of the product")
    overrides: list[Override] = Field([], description="settings that depend on others; later ones win")
    exclude: list[Exclude] = Field([], description="combinations that are left out, each with a reason")
    seeds: list[Seed] | SeedRange = Field([0], description="a list, or {range: n} for 0 to n - 1")
    extends: str | list[str] = Field([], description="grid files, relative to this one, merged left to right")


class Expect(Strict):
    """Upper limits of what the grid takes on its author's machine, checked after a run."""

    minutes: float | None = Field(None, gt=0, description="of the whole grid")
    memory_gb: float | None = Field(None, gt=0, description="of one run")


class Profile(Strict):
    """Changes the size of a grid's runs (data, epochs, layers, features, state size, optimiser), not the question."""

    about: str = Field("", description="one line on the sizes")
    overrides: list[Override] = Field([], description="the sizes; `when` selects the runs")
    seeds: list[Seed] | SeedRange | None = Field(None, description="replaces the grid's seeds")


class GridFile(Block):
    """A grid: the definition of its runs. `extends` names files that this one builds on."""

    name: str = Field(pattern=NAME, description="names the reports; letters, digits, _ . -")
    title: str = Field("", description="one line for the report")
    blocks: list[Block] = Field([], description="sub-grids: the grid is their union")
    expect: Expect = Field(Expect(), description="upper limits of time and memory, checked after a run")
    profile: str = Field("paper", description="the default profile, if the command line names none")
    profiles: dict[str, Profile] = Field({}, description="profiles of its own, by name")
