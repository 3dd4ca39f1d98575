"""The fields of a run, in groups. Every field is part of the run's identity (paper sections 3 to 5).

Paths, devices, threads, budgets and kernel back ends do not change the science, so they are not fields. A field added
later declares with `Legacy(value)` what runs did before it existed. At that value it is left out of the hash forever.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, Strict, WithJsonSchema

from suite.data.card import ADDED
from suite.data.tasks import TASKS
from suite.files.atomic import canonical
from suite.files.patterns import SELECT
from suite.files.yaml_model import NAME

Flat: TypeAlias = dict[str, Any]  # values by the name of their field
Bool = Annotated[bool, Strict()]
Int = Annotated[int, Strict()]
Real = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Name = Annotated[str, Strict(), Field(min_length=1)]
Scalar: TypeAlias = Bool | Int | Real | Annotated[str, Strict()] | None
Plain: TypeAlias = Scalar | tuple[Scalar, ...]
Arguments = dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Plain]
USER_FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"
# A task of the suite or of a user's card. A store may be read without the card, so only a grid's task is checked.
TaskName = Annotated[str, Strict(), Field(pattern=NAME), WithJsonSchema(
    {"anyOf": [{"enum": ["none", *TASKS], "type": "string"}, {"type": "string"}]})]
FILLED_IN = "identity of the user's code: its files, packages and version; filled in"
UserFunction: TypeAlias = Annotated[str, Strict(), Field(pattern=f"^{USER_FUNCTION}$")]
SOURCES = {"model.name": "model.name_source", "ssm.init": "ssm.init_source",  # fields that name user code: its identity
           "ssm.discretization": "ssm.discretization_source", "ssm.re_constraint": "ssm.re_constraint_source",
           "ssm.kernel": "ssm.kernel_source"}
InitName = Literal["legs", "legt", "fout", "legs+fout", "inv", "lin", "inv2", "quad", "random", "real",
                   "dfout", "dfout_token", "dfout_random", "dfout_batched", "ring", "ptd"]

ModelName = Literal["ssm", "convnet", "inception", "resnet18", "xresnet50", "lstm", "transformer",
                    "mean", "ridge", "random_forest", "boosting", "xgboost"]
CLASSICAL = ("mean", "ridge", "random_forest", "boosting", "xgboost")  # fitted once, without an optimiser


@dataclass(frozen=True)
class Legacy:
    """What runs did before the annotated field existed; the field is left out of the hash at this value forever."""

    value: Any


class Group(BaseModel):
    """A frozen group of fields. Unknown fields and values of the wrong type are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, protected_namespaces=(),
                              defer_build=True)

    same_price: ClassVar[frozenset[str]] = frozenset()  # fields that cannot change the time of an epoch
    priced_later: ClassVar[frozenset[str]] = frozenset()  # fields that the shapes of earlier runs lack

    @cached_property
    def canonical(self) -> str:
        """JSON with sorted keys, without the fields that have their legacy value."""
        return canonical(without_legacy(self))

    @cached_property
    def price_key(self) -> str:
        """JSON of the fields that can change the time of an epoch."""
        values = self.model_dump(mode="json")  # empty arguments are left out, as in shapes before they existed
        known = json.loads(self.canonical)
        return canonical({k: v for k, v in values.items() if k not in self.same_price and v != {}
                          and (k not in self.priced_later or k in known)})


class SSM(Group):
    """Parameters of the state space layers (paper sections 3 and 4)."""

    same_price = frozenset({"init", "init_source", "init_args", "imag_scale", "imag_random", "real_random", "lin_law",
                            "random_law", "b_init", "dt_min", "dt_max", "c_variance", "re_clamp", "relu_floor",
                            "kernel_source", "discretization_source", "re_constraint_source", "real_zero", "dt_law",
                            "dt_scope", "gain", "inverse_b", "ring_min", "ring_max", "ring_phase", "ptd_eps",
                            "ptd_steps", "blocks", "dt_per", "free_init", "free_squash", "free_dropout"})
    priced_later = frozenset({"kernel_length", "sobolev"})
    structure: Literal["dplr", "diagonal", "mimo"] = Field(
        "diagonal", description="form of A; mimo: diagonal, one state for all features, with dense B and C")
    kernel: Literal["cauchy", "softmax", "vandermonde", "free", "rational"] | UserFunction = Field(
        "vandermonde", description="algorithm of the kernel, or a user's function as module:function")
    discretization: Literal["bilinear", "zoh", "backward", "symplectic", "euler_exp"] | UserFunction = Field(
        "bilinear", description="discretization rule for A and B, or a user's function as module:function")
    re_constraint: Literal["exp", "relu", "none", "softplus", "inverse", "square"] | UserFunction = Field(
        "exp", description="how Re(A) is kept negative, or a user's function as module:function")
    kernel_source: Annotated[str, Strict(), Legacy("")] = Field("", description=FILLED_IN)
    discretization_source: Annotated[str, Strict(), Legacy("")] = Field("", description=FILLED_IN)
    re_constraint_source: Annotated[str, Strict(), Legacy("")] = Field("", description=FILLED_IN)
    re_clamp: Annotated[Real, Field(ge=0)] | None = Field(
        None, description="smallest -Re(A) at init; default 1e-4 (diagonal), 1e-3 (dplr)")
    relu_floor: Annotated[Real, Field(ge=0)] = Field(1e-4, description="added to relu's -Re(A), diagonal only (AMB-17)")
    init: InitName | UserFunction = Field(
        "legs", description="initialization of A, or a user's function as module:function")
    init_source: Annotated[str, Strict()] = Field(
        "", description=FILLED_IN)
    init_args: Annotated[Arguments, Legacy({})] = Field(
        {}, description="settings of a user's init by name: ssm.init_args.NAME")
    imag_scale: Annotated[Real, Field(gt=0)] = Field(1.0, description="factor on Im(A), for any init")
    imag_random: Bool = Field(False, description="Im(A) of the formula at random n in [0, N/2) (lin and inv)")
    real_random: Bool = Field(False, description="Re(A) = -U[0, 1) per mode (lin and inv)")
    lin_law: Literal["formula", "prose"] = Field("formula", description="largest Im of lin: pi(N/2-1) or pi N (AMB-2)")
    random_law: Literal["v3", "v4", "re"] = Field("v3", description="random: Im N(0,1), exp N(0,1), or Re too (AMB-3)")
    real_law: Literal["modes", "spectrum"] = Field("modes", description="real: N/2 modes, or all N real ones (AMB-4)")
    b_init: Literal["ones", "hippo", "half", "lecun"] | None = Field(
        None, description="init of B: ones, HiPPO's B, half of it (AMB-5), or drawn (lecun, for mimo); "
                          "default ones (diagonal), hippo (dplr), lecun (mimo)")
    train_a: Bool = Field(True, description="train A (and P)")
    train_b: Bool = Field(True, description="train B")
    train_dt: Bool = Field(True, description="train the step size (AMB-16)")
    c_tilde: Bool | None = Field(None, description="train C(1 - A^L) instead of C; default true for dplr only")
    c_variance: Annotated[Real, Field(gt=0)] = Field(1.0, description="E|C|^2 at init (AMB-1); for mimo, N E|C|^2")
    state_size: Annotated[Int, Field(ge=2, multiple_of=2)] = Field(64, description="N, the real state size")
    copies: Annotated[Int, Field(ge=1)] = Field(1, description="S, independent copies of A, B, P (AMB-10, AMB-23)")
    rank: Annotated[Int, Field(ge=0)] | None = Field(None, description="rank of P; default 0 (diagonal), 2 (legt), 1")
    dt_min: Annotated[Real, Field(gt=0)] = Field(1e-3, description="smallest step size at init")
    dt_max: Annotated[Real, Field(gt=0)] = Field(1e-1, description="largest step size at init (AMB-21)")
    blocks: Annotated[Annotated[Int, Field(ge=1)], Legacy(1)] = Field(
        1, description="J: A of mimo consists of J blocks, each an initialization of size N/J")
    dt_per: Annotated[Literal["mode", "one"], Legacy("mode")] = Field(
        "mode", description="mimo: one step size per mode (S5), or a single one (LinOSS)")
    dt_law: Annotated[Literal["given", "length"], Legacy("given")] = Field(
        "given", description="length: dt_min and dt_max are for 1024 steps, and are scaled by sqrt(1024/L) (AMB-29)")
    dt_scope: Annotated[Literal["both", "real"], Legacy("both")] = Field(
        "both", description="what the step size multiplies: A, or Re(A) alone, with Im(A) as angles per step (AMB-26)")
    gain: Annotated[Literal["rule", "dt", "one", "gamma"], Legacy("rule")] = Field(
        "rule", description="B_bar / B: the rule's, the step size, 1, or sqrt(1 - |A_bar|^2) at init, trained (AMB-25)")
    real_zero: Annotated[Bool, Legacy(False)] = Field(
        False, description="Re(A) = 0 at init (lin and inv); with re_constraint none and re_clamp 0")
    inverse_b: Annotated[Real, Field(gt=0), Legacy(0.5)] = Field(
        0.5, description="b of the constraint inverse, -Re(A) = 1/(w^2 + b) (AMB-30)")
    ring_min: Annotated[Real, Field(ge=0, lt=1), Legacy(0.9)] = Field(0.9, description="ring: smallest |A_bar| at init")
    ring_max: Annotated[Real, Field(gt=0, lt=1), Legacy(0.999)] = Field(
        0.999, description="ring: largest |A_bar| at init")
    ring_phase: Annotated[Real, Field(gt=0), Legacy(6.283185307179586)] = Field(
        6.283185307179586, description="ring: largest angle at init, in rad per step (AMB-31)")
    ptd_eps: Annotated[Real, Field(gt=0), Legacy(1e-3)] = Field(
        1e-3, description="ptd: size of the perturbation, relative to the spectral norm of LegS (AMB-32)")
    ptd_steps: Annotated[Int, Field(ge=0), Legacy(0)] = Field(
        0, description="ptd: optimization steps of the perturbation (the authors' 10,000 take minutes); 0: random")
    kernel_length: Annotated[Annotated[Int, Field(ge=1)] | None, Legacy(None)] = Field(
        None, description="K: cut the kernel after K steps, as a control; default: the sequence length")
    sobolev: Annotated[Literal["off", "trained"], Legacy("off")] = Field(
        "off", description="trained: the output's spectrum times (1 + f)^s, s trained for each feature (AMB-33)")
    free_init: Annotated[Literal["random", "double_exp"], Legacy("random")] = Field(
        "random", description="free kernel: 0.002 N(0,1), or 0.02 N(0,1) with a separate decay per feature")
    free_squash: Annotated[Real, Field(ge=0), Legacy(1e-3)] = Field(
        1e-3, description="free kernel: soft threshold; smaller values become 0, others shrink by it")
    free_dropout: Annotated[Real, Field(ge=0, lt=1), Legacy(0.0)] = Field(
        0.0, description="free kernel: probability that a value is dropped in training")
    softmax_factor: Literal[1, 2] = Field(2, description="Re or 2 Re in the softmax kernel (AMB-6)")
    softmax_eps: Annotated[Real, Field(ge=0)] = Field(0.0, description="epsilon of the softmax reciprocal (AMB-24)")
    softmax_detach: Bool = Field(False, description="no gradient through the subtracted maximum, as in DSS")

    @property
    def init_is_custom(self) -> bool:
        """Whether `init` names a user's own function, as `module:function`."""
        return ":" in self.init

    @staticmethod
    def defaults(structure: object, init: object) -> Flat:
        """The defaults that depend on other fields, which are defined only here."""
        dplr = structure == "dplr"
        b = "lecun" if structure == "mimo" else "hippo" if dplr or init == "ptd" else "ones"
        return {"re_clamp": 1e-3 if dplr else 1e-4, "b_init": b, "c_tilde": dplr,
                "rank": 0 if not dplr else 2 if init == "legt" else 1}

    def resolved(self) -> ResolvedSSM:
        """The same settings with every default filled in, as in a run's configuration. Layers are built from these."""
        values = {name: getattr(self, name) for name in SSM.model_fields}
        missing = {key: value for key, value in self.defaults(self.structure, self.init).items() if values[key] is None}
        return ResolvedSSM.model_construct(None, **values | missing)


class ResolvedSSM(SSM):
    """State space parameters with every default filled in. Made by `SSM.resolved`."""

    re_clamp: Annotated[Real, Field(ge=0)]
    b_init: Literal["ones", "hippo", "half", "lecun"]
    c_tilde: Bool
    rank: Annotated[Int, Field(ge=0)]

    def resolved(self) -> ResolvedSSM:
        """These settings themselves."""
        return self


class Model(Group):
    """The backbone (paper section 5 and appendix B)."""

    name: ModelName | UserFunction = Field(
        "ssm", description="state space layers, a baseline, or a user's module as module:Class")
    name_source: Annotated[str, Strict()] = Field(
        "", description=FILLED_IN)
    args: Annotated[Arguments, Legacy({})] = Field(
        {}, description="settings of a user's model by name: model.args.NAME")
    layers: Annotated[Int, Field(ge=1)] = Field(4, description="number of residual blocks")
    features: Annotated[Int, Field(ge=1)] = Field(128, description="H, the width")
    norm: Literal["layer", "batch"] = Field("layer", description="LN or BN over features")
    prenorm: Bool = Field(False, description="norm before the layer (and once at the end), or after the sum")
    mixing: Literal["linear", "glu"] = Field("linear", description="position-wise mixing of features")
    dropout: Annotated[Real, Field(ge=0, lt=1)] = Field(0.0, description="probability, twice per block (AMB-11)")
    tie_dropout: Bool = Field(True, description="one dropout mask per example and feature, shared over time")
    bidirectional: Bool = Field(False, description="a second kernel that looks ahead, from t+1")
    decoder: Literal["pool", "last"] = Field("pool", description="mean over time, or the last step (AMB-7, AMB-8)")

    @property
    def is_custom(self) -> bool:
        """Whether `name` names a user's own model, as `module:Class`."""
        return ":" in self.name


class Data(Group):
    """The data set, its variant, and the options of its card (`datasets/<name>.yaml`) as further fields."""

    model_config = ConfigDict(extra="allow")
    same_price = frozenset({"name_source"})
    priced_later = ADDED
    name: Name = Field(description="card in datasets/; default: the task's")
    variant: Name = Field("original", description="form of the data: original, jpeg, cut, generated, subset, sample, …")
    preparation: Annotated[Int, Field(ge=1)] = Field(1, description="version of the preparation; from the card")
    name_source: Annotated[str, Strict(), Legacy("")] = Field(
        "", description="digest of a user's own card and function; filled in")

    @property
    def options(self) -> Flat:
        """The card's options, by name."""
        return dict(self.model_extra or {})

    @cached_property
    def canonical(self) -> str:
        """JSON with sorted keys, without the card's options that have their legacy value."""
        from suite.data import cards

        legacy = cards.legacy(self.name, self.variant)
        return canonical({k: v for k, v in without_legacy(self).items() if not (k in legacy and v == legacy[k])})


class Optim(Group):
    """AdamW groups and schedule (paper section 5)."""

    same_price = frozenset({"lr", "weight_decay", "decay_all", "ssm_lr", "dt_lr", "schedule", "warmup_epochs",
                            "milestones", "gamma"})
    lr: Annotated[Real, Field(gt=0)] = Field(0.004, description="learning rate of all but the SSM group (AMB-11)")
    weight_decay: Annotated[Real, Field(ge=0)] = Field(0.01, description="decoupled; the SSM group has none (AMB-12)")
    decay_all: Bool = Field(True, description="decay biases and norms too (AMB-18)")
    ssm_lr: Annotated[Real, Field(gt=0)] = Field(0.001, description="learning rate of A, B, P")
    dt_lr: Annotated[Real, Field(gt=0)] | None = Field(
        None, description="learning rate of the step size; default ssm_lr (AMB-22)")
    schedule: Literal["cosine", "multistep", "constant"] = Field("cosine", description="factor on every learning rate")
    warmup_epochs: Annotated[Real, Field(ge=0)] = Field(1.0, description="cosine: linear from 0, in epochs")
    milestones: tuple[Annotated[Int, Field(ge=1)], ...] = Field((), description="multistep: epochs at which to decay")
    gamma: Annotated[Real, Field(gt=0, le=1)] = Field(0.5, description="multistep: factor at each milestone")


class Train(Group):
    """Length, batches, precision and selection of a trajectory."""

    same_price = frozenset({"epochs", "select"})
    epochs: Annotated[Int, Field(ge=1)] = Field(100, description="length of the trajectory and of its schedule")
    batch_size: Annotated[Int, Field(ge=1)] = Field(50, description="examples per step; a smaller last one is dropped")
    buckets: Annotated[Int, Field(ge=0), Legacy(0)] = Field(
        0, description="tokens: sort each run of this many batches by length, then shuffle the batches; 0: do not sort")
    precision: Literal["float32", "tf32", "bf16"] = Field("float32", description="arithmetic of matrix products")
    select: Annotated[str, Field(pattern=SELECT)] | None = Field(
        None, description="direction and metric that select the best epoch, as `max val/accuracy`; default: the task's")
    evaluate: tuple[Annotated[str, Field(pattern=r"^(val|test)(@\d+)?$")], ...] = Field(
        ("val",), min_length=1, description="splits after each epoch, with @rate for another sampling rate: test@8000")


class Bench(Group):
    """What a run of kind `bench` measures, and on which machine. On another machine it is a different run."""

    same_price = frozenset({"device"})  # it does change the time, but the shapes of earlier runs lack it
    subject: Annotated[Literal["kernel", "step"], Legacy("kernel")] = Field(
        "kernel", description="a kernel alone, or a training step with model, optimiser and batch of the run's fields")
    device: Annotated[Literal["cpu", "cuda"], Legacy("cpu")] = Field(
        "cpu", description="device to measure: the CPU, or a GPU (cuda, with --gpus)")
    kernel: Literal["power_sum", "softmax", "dplr"] = Field("power_sum", description="kernel to measure")
    length: Annotated[Int, Field(ge=1)] = Field(1024, description="L, number of values of the kernel")
    backends: tuple[Literal["blocked", "naive", "keops"], ...] = Field(
        ("blocked", "naive"), min_length=1, description="kernel back ends, measured in turn")
    repeats: Annotated[Int, Field(ge=1)] = Field(5, description="passes of each back end; the median is reported")
    threads: Annotated[Int, Field(ge=1)] = Field(1, description="threads of the measurement")
    machine: Annotated[str, Strict()] = Field("", description="fingerprint of the machine; filled in")


def without_legacy(group: BaseModel) -> Flat:
    """The group's fields, without those that have their declared legacy value."""
    legacy = {name: mark for name, info in type(group).model_fields.items()
              for mark in info.metadata if isinstance(mark, Legacy)}
    values = group.model_dump(mode="json")
    return {k: v for k, v in values.items() if not (k in legacy and v == legacy[k].value)}
