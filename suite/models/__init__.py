"""Models by name. A factory takes the configuration and the data's description, and returns a torch module.

The module is called as `module(x, lengths=None, rate=1.0)` and returns (batch, classes), or (batch, 1) for regression;
see `suite.models.backbone.Backbone` for the shapes. Your own model can be in any module that Python can import. A grid
names it as `model.name: my_module:MyModel`. It is either a factory with the same signature, or only a sequence layer: a
module `MyMixer(features)` that maps (batch, length, features) and a mask to features (`suite.models.mixer`). Its
settings are `model.args.NAME`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from suite.config import plugin, signature
from suite.config.fields import CLASSICAL
from suite.config.run_config import RunConfig
from suite.data import cards
from suite.errors import UserError, nearest
from suite.models.backbone import Backbone, Block, count_parameters
from suite.models.convnet import ConvNet
from suite.models.inception import InceptionNet
from suite.models.mixer import layer_of
from suite.models.recurrent import LSTM
from suite.models.resnet import ResNet18, XResNet50
from suite.models.transformer import Transformer
from suite.own.fault import OwnError

if TYPE_CHECKING:
    from suite.data.prepared import TaskData

__all__ = ["MODELS", "Backbone", "Factory", "build", "count_parameters", "find"]

Factory = Callable[[RunConfig, "TaskData"], nn.Module]

MODELS: dict[str, Factory] = {"ssm": Backbone, "convnet": ConvNet, "inception": InceptionNet, "resnet18": ResNet18,
                              "xresnet50": XResNet50, "lstm": LSTM, "transformer": Transformer}


def build(config: RunConfig, data: TaskData, recompute: bool = False) -> nn.Module:
    """The model of a run, on the CPU. Its initial parameters are a function of the configuration alone.

    Torch's generator is seeded with `config.seed` while the factory runs, and restored afterwards. `recompute`: keep
    fewer activations for the backward pass, see `suite.models.backbone.Block`.
    Raises UserError if `model.name` is not in `MODELS` and cannot be imported.
    """
    factory = find(config.model.name, config.model.args, padded=cards.task(config.task).inputs != "values")
    plugin.check(config.model.name, "model.name", config.model.name_source)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would also queue a seed for each GPU, which fork_rng does not restore.
        torch.default_generator.manual_seed(config.seed)
        model = factory(config, data)
    if ":" in config.model.name:
        _check_own(config.model.name, model)
    for block in (module for module in model.modules() if isinstance(module, Block)):
        block.recompute = recompute
    return model


def _check_own(name: str, model: object) -> None:
    if not isinstance(model, nn.Module):
        raise UserError(f"{name} returned a {type(model).__name__}, not a torch module", "model.name",
                        "return an nn.Module, called with x, lengths and rate")
    if count_parameters(model) == 0:
        raise UserError(f"{name} has no parameters to train", "model.name", "make them nn.Parameter")


def find(name: str, args: Mapping[str, Any] | None = None, padded: bool = False) -> Factory:
    """The factory `name` of `MODELS`, or the user's at `module:name`, with `args`.

    `padded`: the data have sequences of several lengths. Raises UserError if the model does not exist.
    """
    if name in MODELS:
        return MODELS[name]
    if name in CLASSICAL:
        raise UserError(f"{name} is not a network", "model.name",
                        "it is fitted by suite.train.classical_fit, in a run on vital signs")
    if ":" not in name:
        raise UserError(f"no model is called {name!r}", "model.name", nearest(name, [*MODELS, "module:Class"]))
    own, args = plugin.load(name, "model.name"), args or {}
    if problems := list(signature.problems(name, "model.name", own, args)):
        raise UserError(problems)
    if signature.is_layer(name, signature.of(own), args):
        return partial(Backbone, layer=layer_of(name, own, args, padded))
    return partial(_called, name, partial(own, **args))


def _called(name: str, own: Callable[[RunConfig, TaskData], Any], config: RunConfig, data: TaskData) -> Any:
    try:
        return own(config, data)
    except UserError:
        raise
    except Exception as error:
        raise OwnError(f"{name} raised {type(error).__name__}: {error}", "model.name",
                       "it is called with the configuration and the data", error) from error
