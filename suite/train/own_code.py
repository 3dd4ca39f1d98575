"""The process that imports and checks user code: `python -m suite.train.own_code NUMBER`, with the order on stdin.

For each use of user code it writes an answer, a line of JSON, to the file descriptor of that number. The output of the
code goes to stdout and stderr.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys

from suite.config import plugin, signature
from suite.config.fields import SOURCES, Flat
from suite.config.run_config import RunConfig
from suite.data import cards
from suite.errors import UserError
from suite.own.fault import OwnError


def main(number: int) -> None:
    """Check the uses in the order, one after the other."""
    faulthandler.enable()  # prints the place of a crash
    order = json.loads(sys.stdin.read())
    with os.fdopen(number, "w", encoding="utf-8") as answers:
        for use in order["uses"]:
            json.dump(_answer(use, order["trial"]), answers)
            answers.write("\n")
            answers.flush()


def _answer(use: Flat, trial: bool) -> Flat:
    try:
        _check(use, trial)
    except UserError as error:
        here = use["places"].get("", use["field"])
        problems = [[one.what, here if one.where == use["field"] else use["places"].get(one.where, one.where), one.fix]
                    for one in error.problems]
        return {"problems": problems, "report": error.report if isinstance(error, OwnError) else ""}
    return {"problems": [], "report": ""}


def _check(use: Flat, trial: bool) -> None:
    """Raises UserError for errors in user code and its arguments."""
    name, field, args = use["name"], use["field"], use["args"]
    own = plugin.load(name, field)
    if problems := list(signature.problems(name, field, own, args)):
        raise UserError(problems)
    is_layer = field == "model.name" and signature.is_layer(name, signature.of(own), args)
    if trial:
        _try(name, field, own, args, RunConfig.model_validate(use["config"]), is_layer)


def _try(name: str, field: str, own: signature.Own, args: Flat, config: RunConfig, is_layer: bool) -> None:
    plugin.check(name, field, config.get(SOURCES[field]))
    if field == "ssm.init":
        import numpy as np

        from suite.ssm.init import initialize

        initialize(config.ssm, np.random.default_rng(config.seed))
    elif field.startswith("ssm."):
        from suite.ssm import own_parts

        own_parts.check(config.ssm)
    elif is_layer:  # a factory needs the data, so the job tries it
        import torch

        from suite.models.mixer import try_layer

        torch.set_num_threads(1)
        padded = config.task != "none" and cards.task(config.task).inputs != "values"
        try_layer(name, own, args, config.ssm, config.model.features, config.model.bidirectional, padded)


if __name__ == "__main__":
    main(int(sys.argv[1]))
