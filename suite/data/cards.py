"""Cards of the data sets: `datasets/<name>.yaml` tells where a set comes from, its variants and their options."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from suite.data import tasks
from suite.errors import Problem, UserError, nearest
from suite.files import resources
from suite.files.yaml import load_yaml
from suite.files.yaml_model import NAME, Part, validated

CARDS = resources.folder("datasets")
VARIABLE = re.compile(r"\$\{(\w+)\}")
Name = Annotated[str, Field(pattern=NAME)]  # it names folders of the cache


class Option(Part):
    """One option of a card. `legacy` is what runs did before the option existed (see `suite.config.fields.Legacy`)."""

    about: str
    default: bool | int | float | str
    allowed: tuple[bool | int | float | str, ...] = ()
    least: float | None = None
    legacy: bool | int | float | str | None = None


class File(Part):
    """A file, folder or archive of a variant, at the first of the places in `path` that is there.

    A place is relative to the repository, or starts with an environment variable, as `${SUITE_DATA}/imdb`. Without a
    sha256 it is the user's own: its content is fingerprinted when it is prepared. `tasks` that need it; none: all.
    """

    path: str | tuple[str, ...]
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    tasks: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _below(self) -> File:
        if any(".." in Path(place).parts for place in self.places):
            raise ValueError("a path may not lead upwards with ..")
        return self

    @property
    def places(self) -> tuple[str, ...]:
        """Where it may be, in the order in which it is looked for."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def ours(self) -> bool:
        """Whether it comes with the repository."""
        return not any(place.startswith("$") for place in self.places)

    def find(self) -> Path:
        """Its place here. Raises UserError where it is in none, with the environment variables that are not set."""
        problems = []
        for place in self.places:
            unset = [name for name in VARIABLE.findall(place) if not os.environ.get(name)]
            if unset:
                rest = VARIABLE.sub("", place, count=1).lstrip("/")
                fix = f"export {unset[0]}=DIR, where DIR " + (f"holds {rest}" if rest else "is its place")
                problems.append(Problem(f"{place} is needed, but the environment variable {unset[0]} is not set",
                                        fix=fix))
                continue
            path = CARDS.parent / VARIABLE.sub(lambda match: os.environ[match[1]], place)
            if path.exists():
                return path
            problems.append(Problem(f"{path} is not there"))
        if self.ours and resources.is_installed():
            return self._find_sample()
        raise UserError("; nor: ".join(problem.what for problem in problems),
                        fix=next((problem.fix for problem in problems if problem.fix), ""))


    def _find_sample(self) -> Path:
        """The place of a sample that no wheel carries. Raises UserError where SUITE_DATA does not have it, either."""
        home, name = os.environ.get("SUITE_DATA"), Path(self.places[0]).name
        path = Path(home or "", "samples", name)
        if home and path.exists():
            return path
        told = f"nor at {path}" if home else "and the environment variable SUITE_DATA is not set"
        raise UserError(f"the sample {name} is not in the installed package, since these data have no formal licence, "
                        + told, fix="run the suite from a clone of its repository, or copy datasets/samples of a clone "
                        "to ${SUITE_DATA}/samples")


class Hub(Part):
    """A data set on the Hugging Face hub, at one revision. `splits` and `columns`: our names, and theirs."""

    repo: str
    revision: str
    config: str | None = None
    splits: dict[str, str]
    columns: dict[str, str] = {}


class Variant(Part):
    """One form of a data set: from files, from the hub, or, with neither, made by its family's own generator.

    `close` says that results may be held against published ones, with a remark.
    """

    about: str = Field(description="what it is, and what differs from the original")
    preparation: int = Field(1, ge=1, description="version of the preparation; part of a run's identity")
    get: str = Field(description="how to get it where it is missing")
    download_mb: float = Field(ge=0, description="MB to get, about; 0 where it comes with the repository or is made")
    prepared_mb: float = Field(ge=0, description="MB in the cache, about, with the default options; its largest task")
    close: bool = False
    files: dict[str, File] = {}
    hub: Hub | None = None
    counts: dict[str, int] = {}
    labels: tuple[str, ...] = Field((), description="names of the classes, in their order")
    options: dict[str, Option] = {}

    @model_validator(mode="after")
    def _one_source(self) -> Variant:
        if self.files and self.hub:
            raise ValueError("a variant comes from files or from the hub: make two variants of it")
        return self

    @property
    def first_line(self) -> str:
        """What it is, in a line."""
        return self.about.splitlines()[0]


class Card(Part):
    """A data set: where it is from, under which licence, for which tasks, in which variants."""

    name: Name
    title: str
    source: str
    licence: str
    citation: str
    tasks: tuple[str, ...]
    variants: dict[Name, Variant]

    def variant(self, name: str) -> Variant:
        """The variant of that name. Raises UserError with the names there are and how to get each."""
        if name not in self.variants:
            ways = "; ".join(f"--set data.variant={v}: {way.first_line}" for v, way in self.variants.items())
            raise UserError(f"data set {self.name!r} has no variant {name!r}", where="data.variant",
                            fix=f"{nearest(name, self.variants)}. {ways}")
        return self.variants[name]


def names() -> list[str]:
    """The data sets that have a card."""
    return sorted(path.stem for path in CARDS.glob("*.yaml") if path.name[0] != "." and path.is_file())


@lru_cache(maxsize=None)
def load(name: str) -> Card:
    """The card of a data set. Raises UserError if there is none, or, with file and line, for what is wrong in it."""
    if name not in names():
        raise UserError(f"there is no data set {name!r}", where="data.name",
                        fix=f"{nearest(name, names())}. A data set is added by a card in {CARDS.name}/")
    path = CARDS / f"{name}.yaml"
    node = load_yaml(path)
    card = validated(node, Card)
    tasks.check(card.tasks, name, node.find(("tasks",)).key("tasks"))
    return card


def resolve(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` fields with the card's preparation and every option's default filled in.

    Raises UserError (all problems at once) for an unknown data set, variant or option, and for a value not allowed.
    """
    data = {k: v for k, v in data.items() if v is not None}
    variant = load(data["name"]).variant(data["variant"])
    problems = [p for key, value in data.items() if key not in ("name", "variant", "preparation")
                for p in check_option(data["name"], variant, key, value)]
    if data.get("preparation", variant.preparation) != variant.preparation:
        problems.append(Problem(f"this code prepares version {variant.preparation} of {data['name']}/{data['variant']}",
                                "data.preparation", "leave the field out: it is filled in"))
    if problems:
        raise UserError(problems)
    return {k: o.default for k, o in variant.options.items()} | data | {"preparation": variant.preparation}


def check_option(name: str, variant: Variant, key: str, value: Any) -> list[Problem]:
    """What is wrong with `data.<key>: value` for this variant."""
    where = f"data.{key}"
    if key not in variant.options:
        known = ["name", "variant", *variant.options]
        return [Problem(f"unknown option {key!r} of data set {name!r}", where, nearest(key, known))]
    option = variant.options[key]
    kind = type(option.default)
    if type(value) is not kind and not (kind is float and type(value) is int):
        return [Problem(f"{value!r} is not of type {kind.__name__}", where, option.about)]
    if option.allowed and value not in option.allowed:
        return [Problem(f"{value!r} is not allowed", where, nearest(value, map(str, option.allowed)))]
    if option.least is not None and not isinstance(value, str) and value < option.least:
        return [Problem(f"{value!r} is less than {option.least}", where, option.about)]
    return []


def legacy(name: str, variant: str) -> dict[str, Any]:
    """Options of a variant that are left out of the hash at the value given here."""
    options = load(name).variants[variant].options if name in names() and variant in load(name).variants else {}
    return {key: option.legacy for key, option in options.items() if option.legacy is not None}
