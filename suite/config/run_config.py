"""The scientific configuration of a run, and its identity: a hash of the full configuration, so that changing a default
never relabels old results. Its fields are in `suite.config.fields`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter
from pydantic.fields import FieldInfo

from suite import machine
from suite.config import own_data
from suite.config.fields import SOURCES, SSM, Bench, Data, Flat, Group, Int, Model, Optim, Plain, TaskName, Train
from suite.data import cards
from suite.data.tasks import TASKS


class RunHead(Group):
    """The fields that belong to no group."""

    kind: Literal["train", "bench"] = Field("train", description="a training run, or a benchmark of this machine")
    task: TaskName = Field(description="a task of the suite or of your own card; none for a kernel benchmark")
    seed: Annotated[Int, Field(ge=0, lt=2**63)] = Field(0, description="seed of parameters, data order and dropout")


class RunConfig(RunHead):
    """The configuration of one run. Make it with `RunConfig.build`, which also fills in the dependent defaults."""

    ssm: SSM = SSM()
    model: Model = Model()
    data: Data
    optim: Optim = Optim()
    train: Train = Train()
    bench: Bench = Bench()

    @classmethod
    def build(cls, flat: Mapping[str, Any]) -> RunConfig:
        """A configuration from dotted names, `{"task": "scifar", "ssm.init": "lin", …}`, with every default filled in.

        Raises pydantic's `ValidationError` for an invalid value, and UserError for an unknown data set, variant or
        option, or if the user's code cannot be found.
        """
        groups: dict[str, Flat] = {name: {} for name in GROUPS}
        top: Flat = {}
        for key, value in flat.items():
            group, _, field = key.partition(".")
            if is_argument(key):
                mapping, _, name = field.partition(".")
                groups[group][mapping] = {**groups[group].get(mapping, {}), name: value}
            elif key in ARGUMENTS:
                groups[group][field] = {**value, **groups[group].get(field, {})}
            else:
                (groups[group] if field and group in groups else top)[field or group] = value
        _resolve(top, groups)
        parts: Flat = dict(RunHead.model_validate(top))
        parts |= {name: _group(name, values) for name, values in groups.items()}
        return cls.model_construct(None, **parts)  # every part has been validated

    def with_seed(self, seed: int) -> RunConfig:
        """The same configuration with another seed."""
        if seed == self.seed:
            return self
        _ = self._beside_seed  # computed once, and copied to all seeds
        copy = self.model_copy(update={"seed": seed})
        copy.__dict__.pop("run_id", None)
        return copy

    @property
    def canonical(self) -> str:
        """The scientific configuration as one line of JSON, the text whose hash is the run's id.

        The groups come first, by name (`bench` only in a benchmark), then kind, seed and task. Within a group the
        keys are sorted, and a field at its legacy value is left out. So this is not `config.json` with sorted keys.
        """
        before, after = self._beside_seed
        return f"{before}{self.seed}{after}"

    @cached_property
    def _beside_seed(self) -> tuple[str, str]:
        names = sorted(name for name in GROUPS if name != "bench" or self.kind == "bench")
        groups = [f'"{name}":{getattr(self, name).canonical}' for name in names]
        return f'{{{",".join(groups)},"kind":"{self.kind}","seed":', f',"task":"{self.task}"}}'

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits that identify this configuration, on every machine and in every release."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]

    @property
    def shape(self) -> str:
        """A hash of all fields that can change the time of an epoch. Epochs of equal shape take the same time."""
        keys = [self.task, self.kind, *(getattr(self, group).price_key for group in GROUPS)]
        return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]

    def get(self, key: str) -> Any:
        """The value of one field, by dotted name. For an argument of user code, None if it is not given."""
        if is_argument(key):
            group, mapping, name = key.split(".")
            return getattr(getattr(self, group), mapping).get(name)
        group, _, name = key.partition(".")
        return getattr(getattr(self, group), name) if name else getattr(self, group)

    def flat(self) -> Flat:
        """All fields by dotted name."""
        return flatten(self.model_dump(mode="json"))


ARGUMENTS = ("model.args", "ssm.init_args")  # fields that are mappings, whose keys the user's code chooses
GROUPS: dict[str, type[Group]] = {"ssm": SSM, "model": Model, "data": Data, "optim": Optim, "train": Train,
                                  "bench": Bench}


@cache
def fields() -> dict[str, FieldInfo]:
    """Every field by dotted name, with pydantic's FieldInfo. Further fields `data.…` of the cards are not listed."""
    return dict(RunHead.model_fields) | {f"{group}.{name}": info for group, cls in GROUPS.items()
                                         for name, info in cls.model_fields.items()}


def is_argument(name: str) -> bool:
    """Whether this is the name of an argument of user code, as `model.args.kernel`."""
    return name.startswith(tuple(f"{field}." for field in ARGUMENTS)) and name.count(".") == 2


def is_field(name: str) -> bool:
    """Whether a run has or may have a field of that dotted name: user code can have any argument."""
    return name in fields() or is_argument(name)


@cache
def field_type(name: str) -> TypeAdapter[Any]:
    """A validator for one field, by dotted name. Raises KeyError for an unknown one."""
    if is_argument(name):
        return TypeAdapter(Plain)
    kind: Any = fields()[name].annotation
    for mark in fields()[name].metadata:
        kind = Annotated[kind, mark]
    return TypeAdapter(kind)


def choices(name: str) -> list[Any]:
    """The values that a field may take, if they are a fixed list; else an empty list."""
    def literals(kind: Any) -> list[Any]:
        if getattr(kind, "__origin__", None) is Literal:
            return list(get_args(kind))
        return [value for part in get_args(kind) for value in literals(part)]
    if name == "task":
        return ["none", *TASKS, *cards.own_tasks()]
    return literals(fields()[name].annotation) if name in fields() else []


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Flat:
    """Nested mappings as one mapping with dotted names."""
    flat: Flat = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _group(name: str, values: Flat) -> Group:
    if any(isinstance(value, Mapping) for value in values.values()):
        return GROUPS[name].model_validate(values)
    return _cached_group(name, _freeze(values))


def _freeze(values: Mapping[str, Any]) -> frozenset[tuple[str, type, Any]]:
    # The type is part of the key: 1, 1.0 and True are equal to Python, but not to a strict field.
    return frozenset((k, type(v), tuple(v) if isinstance(v, list) else v) for k, v in values.items())


@lru_cache(maxsize=65536)
def _cached_group(name: str, frozen: frozenset[tuple[str, type, Any]]) -> Group:
    ordered = sorted(frozen, key=lambda item: item[0])  # the order of a set differs between processes
    return GROUPS[name].model_validate({k: v for k, _, v in ordered})


def _resolve(top: Flat, groups: dict[str, Flat]) -> None:
    """Fill in defaults that depend on other fields, so that writing a default out gives the same run."""
    ssm, data, optim, train = groups["ssm"], groups["data"], groups["optim"], groups["train"]
    for group, key in (field.split(".") for field in SOURCES):
        if ":" in str(groups[group].get(key, "")) and not groups[group].get(f"{key}_source"):
            from suite.config import plugin

            groups[group][f"{key}_source"] = plugin.source(groups[group][key], f"{group}.{key}")
    _fill(ssm, **SSM.defaults(ssm.get("structure"), ssm.get("init")))  # as in `SSM.resolved`, before validation
    cosine = optim.get("schedule", "cosine") == "cosine"
    _fill(optim, dt_lr=optim.get("ssm_lr", SSM_LR), warmup_epochs=1.0 if cosine else 0.0)
    task = cards.task(top["task"]) if top.get("task", "none") != "none" else None
    if top.get("kind") == "bench":

        _fill(top, task="none")
        groups["data"] |= {"name": "none", "variant": "none"}
        step = groups["bench"].get("subject") == "step"
        measured = "step" if step else groups["bench"].get("backends", ("blocked",))[0]
        _fill(train, epochs=1, select=f"min {measured}/ms")
        _fill(optim, warmup_epochs=0.0)
        groups["bench"]["machine"] = machine.machine()
    elif task is not None:
        _fill(data, name=task.data, variant="original")
        _fill(train, select=f"{task.direction} val/{task.metric}")
        own_data.fill(data, task.name)
        data.update(cards.resolve(data))
    elif top.get("task") == "none":
        _fill(data, name="none", variant="none")  # a rule reports what is wrong with it


SSM_LR = Optim.model_fields["ssm_lr"].default


def _fill(values: Flat, **defaults: Any) -> None:
    for key, default in defaults.items():
        if values.get(key) is None:
            values[key] = default
