"""The card of a data set, `datasets/<name>.yaml`: what it may say about the set, its variants and their options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from suite.data.card_file import Download, File, Hub
from suite.errors import UserError, nearest
from suite.files import program
from suite.files.yaml_model import NAME, Part

FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"  # a user's, as module:function
Name = Annotated[str, Field(pattern=NAME)]  # it is part of folder names in the cache
# Options that at their legacy value are neither part of the shape of a run, nor of the name of prepared data.
ADDED = frozenset({"permute", "permute_seed", "pad_form", "pad_steps", "pad_noise"})


class Option(Part):
    """One option of a card. `legacy` is what runs did before the option existed (see `suite.config.fields.Legacy`)."""

    about: str
    default: bool | int | float | str
    allowed: tuple[bool | int | float | str, ...] = ()
    least: float | None = None
    legacy: bool | int | float | str | None = None


class Variant(Part):
    """One form of a data set: from files, from the hub, or, with neither, made by its family's own generator.

    `close`: results may be compared with published ones, with a remark.
    """

    about: str = Field(description="what it is, and what differs from the original")
    preparation: int = Field(1, ge=1, description="version of the preparation; part of a run's identity")
    get: str = Field(description="how to get it if it is missing")
    download_mb: float = Field(ge=0, description="MB to get, about; 0 if it comes with the repository or is generated")
    prepared_mb: float = Field(ge=0, description="MB in the cache, about, with the default options; its largest task")
    close: bool = False
    files: dict[str, File] = {}
    hub: Hub | None = None
    archive: Download | None = Field(None, description="of single files, from which the Parquet files are built")
    drawn_from: str | None = Field(None, description="variant that this is a sample of; no wheel carries its files")
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
        return self.files[file].download or self.archive

    @property
    def way(self) -> str:
        """How to get it, in one line, with commands as they are typed here."""
        return " ".join(self.get.split()).replace(f"python {program.SCRIPT}", program.typed())

    @property
    def first_line(self) -> str:
        """What it is, in one line."""
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
    """A data set: its origin, licence, tasks and variants.

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

    @model_validator(mode="after")
    def _samples(self) -> Card:
        for name, variant in self.variants.items():
            if variant.drawn_from is not None and variant.drawn_from not in self.variants:
                raise ValueError(f"{name} is drawn from {variant.drawn_from!r}, and there is no such variant")
        return self

    def variant(self, name: str) -> Variant:
        """The variant of that name. Raises UserError with the existing names and how to get each."""
        if name not in self.variants:
            ways = "; ".join(f"--set data.variant={v}: {way.first_line}" for v, way in self.variants.items())
            raise UserError(f"data set {self.name!r} has no variant {name!r}", where="data.variant",
                            fix=f"{nearest(name, self.variants)}. {ways}")
        return self.variants[name]
