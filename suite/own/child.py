"""The process in which own code is imported and checked: `python -m suite.own.child NUMBER`, with an order on stdin.

For each use of own code it writes an answer, a line of JSON, to the open file of that number. What the code prints goes
to stdout and stderr.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from suite.config import plugin
from suite.errors import UserError
from suite.own.fault import OwnError

Json = dict[str, Any]


def main(number: int) -> None:
    """Check what the order names, in turn."""
    order = json.loads(sys.stdin.read())
    with os.fdopen(number, "w", encoding="utf-8") as answers:
        for use in order["uses"]:
            json.dump(_answer(use, order["trial"]), answers)
            answers.write("\n")
            answers.flush()


def _answer(use: Json, trial: bool) -> Json:
    try:
        _check(use, trial)
    except UserError as error:
        here = use["places"].get("", use["field"])
        problems = [[one.what, here if one.where == use["field"] else use["places"].get(one.where, one.where), one.fix]
                    for one in error.problems]
        return {"problems": problems, "report": error.report if isinstance(error, OwnError) else ""}
    return {"problems": [], "report": ""}


def _check(use: Json, trial: bool) -> None:
    plugin.load(use["name"], use["field"])


if __name__ == "__main__":
    main(int(sys.argv[1]))
