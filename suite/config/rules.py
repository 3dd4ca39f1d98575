"""Rules between fields. A meaningless combination is left out of a grid, with a reason; other violations are errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from suite.config import ssm_rules
from suite.config.fields import CLASSICAL, Bench
from suite.config.run_config import RunConfig, fields
from suite.data import cards
from suite.data.extent import extent
from suite.data.tasks import TASKS

DPLR_INITS = ("legs", "legt", "fout", "legs+fout")
DPLR_ONLY = ("legt", "fout", "legs+fout")
MODIFIED_INITS = ("lin", "inv")
CNNS = ("convnet", "inception", "resnet18", "xresnet50")
_OWN = ("model.norm", "model.prenorm", "model.mixing", "model.bidirectional", "model.decoder", "model.tie_dropout")
IGNORED: dict[str, tuple[str, ...]] = {  # fields without effect on a family of models
    "convnet": _OWN, "inception": _OWN, "resnet18": (*_OWN, "model.layers"), "xresnet50": (*_OWN, "model.layers"),
    "lstm": ("model.mixing", "model.tie_dropout"), "transformer": ("model.norm", "model.mixing", "model.tie_dropout"),
    **dict.fromkeys(CLASSICAL, (*_OWN, "model.layers", "model.features", "model.dropout"))}


@dataclass(frozen=True)
class Rule:
    """`broken(config)` returns whether the rule is broken; `because` states the rule, in a sentence for the user.

    `mistake`: the user must correct the value. Otherwise the combination is meaningless and is left out of the grid.
    """

    fields: tuple[str, ...]
    because: str
    broken: Callable[[RunConfig], bool]
    mistake: bool = False


def violations(config: RunConfig) -> list[Rule]:
    """The rules that a configuration breaks. A kernel benchmark ignores most fields, so it has rules of its own."""
    rules = RULES if config.kind == "train" else BENCH_RULES
    broken = [rule for rule in (*rules, *_without_effect(config)) if rule.broken(config)]
    return broken + [Rule(tuple(f"ssm.{name}" for name in rule.fields), rule.because, lambda c: True, rule.mistake)
                     for rule in (ssm_rules.broken(config.ssm) if config.kind == "train" else ())]


def _without_effect(c: RunConfig) -> Iterator[Rule]:
    """A broken rule, if a field that has no effect on the model is not at its default."""
    keys = IGNORED.get(c.model.name, ())
    if c.model.name == "lstm" and not c.model.prenorm:
        keys = ("model.norm", *keys)  # its only norm, at the end of the backbone, exists only with pre-norm
    defaults = {key: fields()[key].default for key in keys if c.get(key) != fields()[key].default}
    if defaults:
        settings = ", ".join(f"{key} at {str(value).lower()}" for key, value in defaults.items())
        yield Rule(tuple(defaults), f"{c.model.name} has no such choice: leave {settings}", lambda c: True)


def _modified(c: RunConfig) -> bool:
    return c.ssm.imag_random or c.ssm.real_random


def _option(c: RunConfig, name: str) -> Any:
    """The value of an option of the data set; 0 if it has no such option."""
    return c.data.options.get(name, 0)


def _is_padded(c: RunConfig) -> bool:
    return _option(c, "pad_form") in ("rows", "pixels")


def _is_cut_beyond_its_end(c: RunConfig) -> bool:
    """Whether a kernel is cut beyond the end of the sequences. False if their length varies or is not known."""
    longest = c.ssm.kernel_length
    known = longest is not None and c.task != "none" and not c.data.name_source and (
        cards.task(c.task).inputs == "values" or "length" in c.data.options)
    return known and (longest or 0) > extent(c.data, c.task).length


def _at_other_rates(c: RunConfig) -> bool:
    return any("@" in split for split in c.train.evaluate)


def _select_is_evaluated(c: RunConfig) -> bool:
    split, _, metric = (c.train.select or "").split(" ")[-1].partition("/")
    return c.task == "none" or metric in ("loss", cards.task(c.task).metric) and split in ("train", *c.train.evaluate)


BENCH_RULES = (
    Rule(("task", "bench.subject"), "a kernel benchmark has task none, a step benchmark needs a task",
         mistake=True, broken=lambda c: (c.task == "none") == (c.bench.subject == "step")),
    Rule(("task", "bench.subject"), "a step benchmark needs one of the suite's own tasks", mistake=True,
         broken=lambda c: c.bench.subject == "step" and c.task not in ("none", *TASKS)),
    Rule(("train.epochs", "kind"), "a benchmark has one epoch", mistake=True, broken=lambda c: c.train.epochs != 1),
    Rule(("model.name", "bench.subject"), "a classical model has no training steps to measure", mistake=True,
         broken=lambda c: c.bench.subject == "step" and c.model.name in CLASSICAL),
)
RULES = (
    Rule(("task", "kind"), "training needs a task", mistake=True, broken=lambda c: c.task == "none"),
    Rule(("model.args", "model.name"), "model.args are for a model of your own", mistake=True,
         broken=lambda c: bool(c.model.args) and not c.model.is_custom),
    Rule(("ssm.init_args", "ssm.init"), "ssm.init_args are for an initialization of your own", mistake=True,
         broken=lambda c: bool(c.ssm.init_args) and not c.ssm.init_is_custom),
    Rule(("bench", "kind"), "settings of bench.* need kind: bench", mistake=True,
         broken=lambda c: c.bench != Bench()),
    Rule(("ssm.kernel", "ssm.discretization"), "softmax needs ZOH",
         lambda c: c.ssm.kernel == "softmax" and c.ssm.discretization != "zoh"),
    Rule(("ssm.kernel", "ssm.structure"), "softmax needs a diagonal A",
         lambda c: c.ssm.kernel == "softmax" and c.ssm.structure != "diagonal"),
    Rule(("ssm.kernel", "ssm.structure"), "the Cauchy kernel is for DPLR only",
         lambda c: c.ssm.kernel == "cauchy" and c.ssm.structure != "dplr"),
    Rule(("ssm.structure", "ssm.kernel"), "DPLR needs the Cauchy kernel",
         lambda c: c.ssm.structure == "dplr" and c.ssm.kernel not in ("cauchy", "softmax")),
    Rule(("ssm.structure", "ssm.discretization"), "DPLR needs bilinear",
         lambda c: c.ssm.structure == "dplr" and c.ssm.discretization != "bilinear"),
    Rule(("ssm.structure", "ssm.init"), "a DPLR matrix is initialized with legs, legt, fout or legs+fout",
         lambda c: c.ssm.structure == "dplr" and c.ssm.init not in DPLR_INITS and not c.ssm.init_is_custom),
    Rule(("ssm.structure", "ssm.init"), "legt, fout and legs+fout are for DPLR only: their diagonal part has Re(A) = 0",
         lambda c: c.ssm.structure == "diagonal" and c.ssm.init in DPLR_ONLY),
    Rule(("ssm.init", "ssm.imag_random", "ssm.real_random"), "random draws modify lin and inv only",
         lambda c: _modified(c) and c.ssm.init not in MODIFIED_INITS),
    Rule(("ssm.b_init", "ssm.init"), "HiPPO's B belongs to legs, legt, fout, legs+fout and ptd",
         lambda c: c.ssm.b_init in ("hippo", "half") and not c.ssm.init_is_custom
         and c.ssm.init not in (*DPLR_INITS, "ptd")),
    Rule(("ssm.c_tilde", "ssm.structure"), "C(1 - A^L) is trained with DPLR only",
         lambda c: bool(c.ssm.c_tilde) and c.ssm.structure != "dplr"),
    Rule(("ssm.rank", "ssm.structure"), "a diagonal A has rank 0, DPLR at least 1, LegT at least 2",
         lambda c: not _rank_fits(c)),
    Rule(("ssm.copies", "ssm.init"), "legs+fout needs an even number of copies", mistake=True,
         broken=lambda c: c.ssm.init == "legs+fout" and c.ssm.copies % 2 == 1),
    Rule(("ssm.copies", "model.features"), "model.features must be a multiple of ssm.copies", mistake=True,
         broken=lambda c: c.model.features % c.ssm.copies != 0),
    Rule(("ssm.kernel_length", "task"), "the kernel is cut beyond the end of the sequence: write a smaller "
         "ssm.kernel_length; a profile with shorter sequences may set it", mistake=True, broken=_is_cut_beyond_its_end),
    Rule(("ssm.kernel", "train.evaluate"),
         "a free or rational kernel is learned at the sampling rate of training, and cannot be used at another rate",
         mistake=True, broken=lambda c: c.ssm.kernel in ssm_rules.STATELESS and _at_other_rates(c)),
    Rule(("ssm.discretization", "train.evaluate"),
         "at half the sampling rate dt doubles, and the symplectic rule is unstable for dt |Im(A)| >= 2",
         mistake=True, broken=lambda c: c.ssm.discretization == "symplectic" and _at_other_rates(c)
         and not ssm_rules.slow_enough(c.ssm, rate=2)),
    Rule(("ssm.sobolev", "model.bidirectional"), "the filter of ssm.sobolev looks ahead: it needs model.bidirectional",
         lambda c: c.ssm.sobolev != "off" and not c.model.bidirectional),
    Rule(("model.name", "task"), "sc_ar is autoregressive, and a convolutional network looks ahead",
         lambda c: c.model.name in CNNS and c.task == "sc_ar"),
    Rule(("model.name", "task"), "classical models are for the vital signs",
         lambda c: c.model.name in CLASSICAL and not c.task.startswith("bidmc")),
    Rule(("train.epochs", "model.name"), "a classical model is fitted once: train.epochs must be 1", mistake=True,
         broken=lambda c: c.model.name in CLASSICAL and c.task.startswith("bidmc") and c.train.epochs != 1),
    Rule(("optim.warmup_epochs", "train.epochs"), "optim.warmup_epochs must be at most train.epochs", mistake=True,
         broken=lambda c: c.optim.warmup_epochs > c.train.epochs),
    Rule(("optim.warmup_epochs", "optim.schedule"), "only the cosine schedule has a warmup", mistake=True,
         broken=lambda c: c.optim.schedule != "cosine" and c.optim.warmup_epochs > 0),
    Rule(("optim.milestones", "optim.schedule"), "the multistep schedule, and no other, needs increasing milestones",
         mistake=True, broken=lambda c: (c.optim.schedule == "multistep") != bool(c.optim.milestones)
         or list(c.optim.milestones) != sorted(set(c.optim.milestones))),
    Rule(("model.bidirectional", "task"), "sc_ar is autoregressive: model.bidirectional must be false", mistake=True,
         broken=lambda c: c.task == "sc_ar" and c.model.bidirectional),
    Rule(("data.name", "task"), "the data set's card does not name this task", mistake=True,
         broken=lambda c: c.task != "none" and c.task not in cards.load(c.data.name).tasks),
    Rule(("data.pad_form", "model.decoder"), "the mean over time sees the image as if no noise came after it: a "
         "padded image needs model.decoder: last", mistake=True,
         broken=lambda c: _is_padded(c) and c.model.decoder == "pool"),
    Rule(("data.pad_form", "model.bidirectional"), "a kernel that looks ahead carries the noise back: a padded image "
         "needs model.bidirectional: false", mistake=True,
         broken=lambda c: _is_padded(c) and c.model.bidirectional),
    Rule(("data.pad_steps", "data.pad_form"), "data.pad_steps and data.pad_noise are for padded images: "
         "write data.pad_form: rows, or pixels", mistake=True,
         broken=lambda c: not _is_padded(c) and (_option(c, "pad_steps") > 0 or _option(c, "pad_noise") == "uniform")),
    Rule(("data.permute_seed", "data.permute"), "data.permute_seed needs data.permute: true", mistake=True,
         broken=lambda c: not _option(c, "permute") and _option(c, "permute_seed") > 0),
    Rule(("data.pad_form", "data.permute"), "permuted pixels form no rows: write data.pad_form: pixels", mistake=True,
         broken=lambda c: bool(_option(c, "permute")) and _option(c, "pad_form") == "rows"),
    Rule(("data.length", "data.delay"), "the sequence is too short for its delay: data.length must be more than "
         "data.delay", mistake=True,
         broken=lambda c: c.data.name == "delay" and _option(c, "length") <= _option(c, "delay")),
    Rule(("data.length", "data.pairs"), "the sequence is too short for its pairs: data.length must be at least "
         "2 data.pairs + 1", mistake=True,
         broken=lambda c: c.data.name == "mqar1" and _option(c, "length") < 2 * _option(c, "pairs") + 1),
    Rule(("data.vocabulary", "data.pairs"), "data.vocabulary must be even, and have more keys than data.pairs: at "
         "least 2 data.pairs + 2", mistake=True, broken=lambda c: c.data.name == "mqar1"
         and (_option(c, "vocabulary") % 2 == 1 or _option(c, "vocabulary") < 2 * _option(c, "pairs") + 2)),
    Rule(("data.length", "data.marked"), "the sequence is too short for its symbols: data.length must be more than "
         "data.marked", mistake=True,
         broken=lambda c: c.data.name == "selcopy" and _option(c, "length") <= _option(c, "marked")),
    Rule(("train.buckets", "task"), "buckets are for tokens: all sequences of this task have the same length",
         mistake=True,
         broken=lambda c: c.train.buckets > 0 and c.task != "none" and cards.task(c.task).inputs == "values"),
    Rule(("train.select", "train.evaluate"), "train.select must name the task's metric (or loss) on an evaluated split",
         mistake=True, broken=lambda c: not _select_is_evaluated(c)),
)


def _rank_fits(c: RunConfig) -> bool:
    if c.ssm.structure != "dplr":
        return c.ssm.rank == 0
    return (c.ssm.rank or 0) >= (2 if c.ssm.init == "legt" else 1)
