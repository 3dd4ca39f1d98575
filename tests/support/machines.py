"""Processes that believe to be on another machine, and whose clock is wrong."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SITE = '''
import os, random, sys, time

real_time, real_strftime, real_localtime = time.time, time.strftime, time.localtime
hours = os.environ["TEST_CLOCK"]


def wrong():
    return real_time() + 3600 * (random.choice((-25, -1, 0, 1, 9000)) if hours == "jumps" else float(hours))


time.time = wrong
time.time_ns = lambda: int(1e9 * wrong())
time.localtime = lambda seconds=None: real_localtime(wrong() if seconds is None else seconds)
time.strftime = lambda form, when=None: real_strftime(form, time.localtime() if when is None else when)

from suite.store import attempt

if os.environ["TEST_MACHINE"]:
    attempt.here = lambda: (os.environ["TEST_MACHINE"], "start of " + os.environ["TEST_MACHINE"])
'''


def environment(folder: Path, machine: str = "", clock: str = "0") -> dict[str, str]:
    """The environment of a process on a machine of that name ("": this one), whose clock is so many hours ahead, or
    jumps (`jumps`). Its children are on that machine, too."""
    place = folder / "site"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(SITE)
    return {**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{ROOT}", "TEST_MACHINE": machine, "TEST_CLOCK": clock}
