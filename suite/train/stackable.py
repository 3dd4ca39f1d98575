"""Which runs can be computed in a stack, by their configurations (`suite.train.stack`). Does not import torch."""

from __future__ import annotations

from suite.config import own
from suite.config.run_config import RunConfig
from suite.data import cards


def why_alone(config: RunConfig, on_gpu: bool) -> str:
    """Why a run must be computed alone, in words. "" if it can be in a stack."""
    model, ssm = config.model, config.ssm
    if config.kind == "bench":
        return "benchmarks are never stacked"
    if code := [one.name for one in own.named(config)]:
        return f"{', '.join(code)} is your own code"
    if model.name != "ssm":
        return f"only networks of state space layers are stacked, not {model.name}"
    if cards.task(config.task).inputs != "values":
        return f"batches of {config.task} differ in length"
    if ssm.structure == "mimo" or ssm.kernel in ("free", "rational") or ssm.sobolev != "off":
        return "only S4D and S4 layers without ssm.sobolev are stacked"
    if config.train.precision == "bf16":
        return "only float32 and tf32 are stacked"
    if on_gpu and model.dropout and not model.tie_dropout:
        return "on a GPU, only tied dropout draws the same numbers in a stack as alone"
    return ""


def shape(config: RunConfig) -> tuple[object, ...]:
    """The settings that runs of a stack must share."""
    return (config.task, config.data.canonical, config.model.canonical, config.train.canonical, config.ssm.kernel,
            config.ssm.kernel_length)
