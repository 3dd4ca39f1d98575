"""Cards of the data sets: `datasets/<name>.yaml` tells where a set comes from, its variants and their options.

A card in `datasets/` of a study adds a data set of the user's own: it names the function that prepares it, and declares
the tasks that the suite does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from suite.data import places, tasks
from suite.errors import Problem, UserError, nearest
from suite.files import resources, study
from suite.files.clutter import files_in
from suite.files.variables import folder_in
from suite.files.yaml import Node, load_yaml
from suite.files.yaml_model import NAME, Part, validated

CARDS = resources.folder("datasets")
FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"  # of a user, as module:function
FIXED = ("name", "variant", "preparation", "name_source")  # fields of data that are no options
VARIABLE = re.compile(r"\$\{(\w+)\}")
Name = Annotated[str, Field(pattern=NAME)]  # it names folders of the cache


class Option(Part):
    """One option of a card. `legacy` is what runs did before the option existed (see `suite.config.fields.Legacy`)."""

    about: str
    default: bool | int | float | str
    allowed: tuple[bool | int | float | str, ...] = ()
    least: float | None = None
    legacy: bool | int | float | str | None = None


DATA = "${SUITE_DATA}/"  # a place below it may also be in the folder of the downloads
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Download(Part):
    """A public address of a file: it is the file itself, or an archive of which `member` is the file or folder."""

    url: str = Field(pattern=r"^https?://[^/\s]+/\S+$")
    mb: float = Field(gt=0, description="of the download, about")
    bytes: int | None = Field(None, gt=0, description="of the download, exactly, where known")
    sha256: Digest | None = Field(None, description="of the download; without it only https from this address will do")
    member: str | None = Field(None, description="file or folder within the archive, at any depth, as `tsv_data/a.tsv`")
    only: tuple[str, ...] = Field((), description="parts of a folder that are needed; none: all")
    unpacked_mb: float = Field(0, ge=0, description="what the member takes on the disk, about")

    @property
    def size(self) -> int:
        """Bytes to download, exactly or about."""
        return self.bytes if self.bytes is not None else int(self.mb * 1e6)


class File(Part):
    """A file, folder or archive of a variant, at the first of the places in `path` that is there.

    A place is relative to the repository (of a user's own card, to the study), or starts with an environment variable,
    as `${SUITE_DATA}/imdb`. What is not in SUITE_DATA is looked for, under the same name, in the folder of the
    downloads (`suite.data.places.downloads`), where `data prepare` puts what has an address (`download`). Without a
    sha256 a file is the user's own: its content is fingerprinted when it is prepared. `rows_sha256` is an alternative,
    which does not depend on the program that wrote the Parquet file: the digest of its images and labels (see
    `suite.data.cifar_jpeg`). `tasks` that need it; none: all.
    """

    path: str | tuple[str, ...]
    sha256: Digest | None = None
    rows_sha256: Digest | None = None
    tasks: tuple[str, ...] = ()
    download: Download | None = None

    @model_validator(mode="after")
    def _below(self) -> File:
        if any(".." in Path(place).parts for place in (*self.places, *([self.member] if self.member else []))):
            raise ValueError("a path may not lead upwards with ..")
        if self.download and self._below_data is None:
            raise ValueError(f"what is downloaded needs a place below {DATA} of the name that it has at its address")
        return self

    @property
    def member(self) -> str | None:
        """The file or folder of the archive that is downloaded; None where the download is the file."""
        return self.download.member if self.download else None

    @property
    def _below_data(self) -> str | None:
        """The place below SUITE_DATA that has the name of what is downloaded."""
        name = (self.member or self.download.url if self.download else "").rsplit("/", 1)[-1]
        rests = [place.removeprefix(DATA) for place in self.places if place.startswith(DATA)]
        return next((rest for rest in rests if rest.rsplit("/", 1)[-1] == name), None)

    @property
    def target(self) -> Path | None:
        """Where a download of it goes; None where it has no address."""
        return places.downloads() / self._below_data if self.download and self._below_data else None

    @property
    def places(self) -> tuple[str, ...]:
        """Where it may be, in the order in which it is looked for."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def ours(self) -> bool:
        """Whether it comes with the repository."""
        return not any(place.startswith(("$", "/")) for place in self.places)

    def below(self, home: Path) -> File:
        """The same, with a place that is relative in that folder."""
        places = tuple(place if place.startswith(("$", "/")) else str(home / place) for place in self.places)
        return self.model_copy(update={"path": places})

    def find(self) -> Path:
        """Its place here. Raises UserError where it is in none, with the environment variables that are not set."""
        problems = []
        for place in self.places:
            unset = [name for name in VARIABLE.findall(place) if not folder_in(name)]
            if unset:
                rest = VARIABLE.sub("", place, count=1).lstrip("/")
                fix = f"export {unset[0]}=DIR, where DIR " + (f"holds {rest}" if rest else "is its place")
                problems.append(Problem(f"{place} is needed, but the environment variable {unset[0]} is not set",
                                        fix=fix))
                continue
            path = CARDS.parent / VARIABLE.sub(lambda match: folder_in(match[1]) or "", place)
            if path.exists():
                return path
            problems.append(Problem(f"{path} is not there"))
        for place in self.places:
            if place.startswith(DATA) and (path := places.downloads() / place.removeprefix(DATA)).exists():
                return path
        if self.ours and resources.is_installed():
            return self._find_sample()
        raise UserError("; nor: ".join(problem.what for problem in problems),
                        fix=next((problem.fix for problem in problems if problem.fix), ""))


    def _find_sample(self) -> Path:
        """The place of a sample that no wheel carries. Raises UserError where SUITE_DATA does not have it, either."""
        home, name = folder_in("SUITE_DATA"), Path(self.places[0]).name
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
    images: Download | None = Field(None, description="archive of image files of which the Parquet files are built")
    counts: dict[str, int] = {}
    labels: tuple[str, ...] = Field((), description="names of the classes, in their order")
    options: dict[str, Option] = {}

    @model_validator(mode="after")
    def _one_source(self) -> Variant:
        if self.files and self.hub:
            raise ValueError("a variant comes from files or from the hub: make two variants of it")
        return self

    def address(self, file: str) -> Download | None:
        """The public address of one of its files, or of the archive that it is built from."""
        return self.files[file].download or self.images

    @property
    def first_line(self) -> str:
        """What it is, in a line."""
        return self.about.splitlines()[0]


class OwnTask(Part):
    """A task that the suite does not have. `classes`: none for a regression.

    `metric` is accuracy or rmse, or any name with `evaluate: module:function` and `direction`: the function is called
    with all outputs of a split, (n, classes or 1), and its targets (n,), and returns a number.
    """

    inputs: Literal["values", "tokens", "pairs"]
    metric: str = Field(pattern=r"^[a-z]\w*$")
    classes: int | None = Field(None, ge=2, strict=True)
    direction: Literal["max", "min"] | None = None
    evaluate: str | None = Field(None, pattern=f"^{FUNCTION}$")

    @model_validator(mode="after")
    def _fits(self) -> OwnTask:
        usual = {"accuracy": "max", "rmse": "min"}.get(self.metric)
        if usual is None and (self.evaluate is None or self.direction is None):
            raise ValueError(f"the metric {self.metric} needs `evaluate: module:function`, and `direction`: max or min")
        if usual is not None and (self.evaluate is not None or self.direction not in (None, usual)):
            raise ValueError(f"the suite evaluates {self.metric}, and {usual} is better: leave out `evaluate`, "
                             "`direction`, or name another metric")
        if usual is not None and (self.classes is None) == (self.metric == "accuracy"):
            raise ValueError("accuracy needs `classes`, and rmse has none")
        return self


def _declared(value: Any) -> Any:
    return dict.fromkeys(value) if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value) else value


class Card(Part):
    """A data set: where it is from, under which licence, for which tasks, in which variants.

    `tasks` are names of the suite's tasks, or a mapping that declares others. `prepare` names the function that makes
    the arrays of a user's own set, with the contract of `suite.data.families`.
    """

    name: Name
    title: str
    source: str
    licence: str
    citation: str
    tasks: Annotated[dict[Name, OwnTask | None], BeforeValidator(_declared)]
    variants: dict[Name, Variant]
    prepare: str | None = Field(None, pattern=f"^{FUNCTION}$")

    def variant(self, name: str) -> Variant:
        """The variant of that name. Raises UserError with the names there are and how to get each."""
        if name not in self.variants:
            ways = "; ".join(f"--set data.variant={v}: {way.first_line}" for v, way in self.variants.items())
            raise UserError(f"data set {self.name!r} has no variant {name!r}", where="data.variant",
                            fix=f"{nearest(name, self.variants)}. {ways}")
        return self.variants[name]


def folders() -> list[Path]:
    """Where cards are: the suite's own, and `datasets/` of each study."""
    own = [folder / "datasets" for folder in study.folders()]
    return [CARDS, *(folder for folder in own if folder.resolve() != CARDS.resolve())]


def names() -> list[str]:
    """The data sets that have a card."""
    return sorted({path.stem for folder in folders() for path in files_in(folder, "*.yaml")
                   if path.name[0] != "." and path.is_file()})


def place(name: str) -> Path:
    """The card of a data set. Raises UserError if there is none, or more than one."""
    if name not in names():
        raise UserError(f"there is no data set {name!r}", where="data.name",
                        fix=f"{nearest(name, names())}. A data set is added by a card in {CARDS.name}/")
    found = [folder / f"{name}.yaml" for folder in folders() if (folder / f"{name}.yaml").is_file()]
    if len(found) > 1:
        raise UserError(f"there is another data set {name!r}: {found[0]}", str(found[1]), "rename one of them")
    return found[0]


@lru_cache(maxsize=None)
def load(name: str) -> Card:
    """The card of a data set. Raises UserError if there is none, or, with file and line, for what is wrong in it."""
    path = place(name)
    node = load_yaml(path)
    card = validated(node, Card)
    own = [task for task, declared in card.tasks.items() if declared is not None]
    tasks.check(card.tasks, name, node.find(("tasks",)).key("tasks"), own)
    if problems := [*_misfits(card, path, node)]:
        raise UserError(problems)
    if path.parent == CARDS:
        return card
    home = study.home(path.parents[1])
    variants = {key: one.model_copy(update={"files": {key: file.below(home) for key, file in one.files.items()}})
                for key, one in card.variants.items()}
    return card.model_copy(update={"variants": variants})


def _misfits(card: Card, path: Path, node: Node) -> Iterator[Problem]:
    if card.name != path.stem:
        yield Problem(f"the file is named {path.name}", node.find(("name",)).key("name"), f"write name: {path.stem}")
    for name, declared in card.tasks.items():
        if declared is not None and (name in tasks.TASKS or name == "none"):
            yield Problem(f"{name!r} is a task of the suite", node.find(("tasks", name)).key("tasks", name),
                          "rename it, or leave out its declaration")
    if path.parent != CARDS and card.prepare is None:
        yield Problem("the card names no function that prepares the data", str(path), "write prepare: module:function")


def own_tasks() -> dict[str, tasks.Task]:
    """The tasks that cards declare, by name. Raises UserError for a card with a mistake, and for two of one name."""
    found: dict[str, tasks.Task] = {}
    for folder in folders()[1:]:
        for path in sorted(folder.glob("*.yaml")):
            for name, one in load(path.stem).tasks.items() if path.name[0] != "." else ():
                if one is None:
                    continue
                if name in found and found[name].data != path.stem:
                    raise UserError(f"the data set {found[name].data!r} has a task {name!r}, too", str(path),
                                    "rename one of them")
                found[name] = tasks.Task(name, path.stem, one.inputs, one.metric, one.classes, one.direction,
                                         one.evaluate)
    return found


def task(name: str) -> tasks.Task:
    """A task of the suite, or of a card. Raises UserError for an unknown one."""
    found = tasks.TASKS.get(name) or own_tasks().get(name)
    if found is None:
        raise UserError(f"unknown task {name!r}", "task", nearest(name, [*tasks.TASKS, *own_tasks()]))
    return found


def resolve(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` fields with the card's preparation and every option's default filled in.

    Raises UserError (all problems at once) for an unknown data set, variant or option, and for a value not allowed.
    """
    data = {k: v for k, v in data.items() if v is not None}
    variant = load(data["name"]).variant(data["variant"])
    problems = [p for key, value in data.items() if key not in FIXED
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
