"""Imports and checks user code before anything starts, in a separate process: the code may crash, exit or print."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from suite.config.own import named
from suite.config.run_config import RunConfig
from suite.config.signature import ARGS
from suite.errors import Problem, UserError
from suite.files import atomic
from suite.files.atomic import Content
from suite.grid.model import Grid, GridRun
from suite.own.modules import is_local_file

TAIL = 2000  # last characters of a dead process's output that are kept
ROOT = Path(__file__).resolve().parents[2]


class OwnProblems(UserError):
    """What is wrong with user code. `report` has the lines of the user's files that raised an error."""

    def __init__(self, problems: Sequence[Problem], report: str) -> None:
        super().__init__(problems)
        self.report = report


def check(grids: Iterable[Grid], runs: Iterable[GridRun], trial: bool) -> None:
    """Import the user code that these runs name, and check its arguments; with `trial`, also try what it computes.

    Raises UserError with all problems, at the lines of the grids. Nothing is imported in this process.
    """
    places = {key: at for grid in grids for key, at in grid.places.items()}
    uses = _uses(runs, places)
    problems: list[Problem] = []
    reports: list[str] = []
    while uses:
        answers, died = _child(uses, trial)
        for answer in answers:
            problems += [Problem(*one) for one in answer["problems"]]
            reports += [answer["report"]] if answer["report"] else []
        left = uses[len(answers):]
        if left:  # the use after the last answer ended the process
            problems.append(Problem(f"{left[0]['name']} {died}", left[0]["places"].get("", left[0]["field"]),
                                    "run it alone, in a script, to see where"))
        uses = left[1:]
    if problems:
        raise OwnProblems(list(dict.fromkeys(problems)), "\n\n".join(dict.fromkeys(reports)))


def _uses(runs: Iterable[GridRun], places: Mapping[tuple[str, str], str]) -> list[Content]:
    """Each function or class with each set of arguments, once, with the first run that names it."""
    found: dict[str, Content] = {}
    for run in runs:
        for one in named(run.config):
            args = arguments(run.config, one.field)
            key = atomic.canonical([one.field, one.name, args])
            if key not in found:
                at = {arg: place for (name, arg), place in places.items() if name == one.name}
                found[key] = {"field": one.field, "name": one.name, "args": args, "places": at,
                              "config": run.config.model_dump(mode="json")}
    return list(found.values())


def arguments(config: RunConfig, field: str) -> Content:
    """The arguments that a run gives to the user code in a field."""
    return dict(config.get(ARGS[field])) if field in ARGS else {}


def _child(uses: Sequence[Content], trial: bool) -> tuple[list[Content], str]:
    """The answers of a process that checks these in turn, and how it ended, in case it did not reach the last one."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *(path or "." for path in sys.path)]),
                                "CUDA_VISIBLE_DEVICES": "", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as order, tempfile.TemporaryFile() as answers:
        order.write(json.dumps({"uses": list(uses), "trial": trial}).encode())
        order.seek(0)
        number = answers.fileno()
        command = [sys.executable, "-P", "-m", "suite.train.own_code", str(number)]
        done = subprocess.run(command, stdin=order, stdout=output, stderr=output, env=environment, pass_fds=[number],
                              check=False)
        answers.seek(0)
        found = [cast(Content, json.loads(line)) for line in answers.read().decode().splitlines()]
        output.seek(0)
        text = output.read().decode(errors="replace").strip()
    return found, _ended(done.returncode, text)


def _ended(code: int, text: str) -> str:
    how = f"is killed by signal {-code}" if code < 0 else f"ends its process with exit code {code}"
    text, fatal, crash = text.partition("Fatal Python error")
    for file, line, function in re.findall(r'File "(.+)", line (\d+) in (\w+)', crash if fatal else ""):
        if is_local_file(Path(file)) and not Path(file).is_relative_to(ROOT / "suite"):
            how += f" ({Path(file).name}:{line}, in {function})"
            break
    return how + (f"; its last output: {text.strip()[-TAIL:]}" if text.strip() else "")
