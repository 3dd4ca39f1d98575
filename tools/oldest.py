"""Prints the oldest version of each package that `pyproject.toml` allows, as constraints for pip. For `make oldest`.

torch has the version of `constraints.txt`: an old one would be a download of gigabytes, and the lower bound is a guess.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BOUND = re.compile(r"(?P<name>[\w.-]+)(?:\[.*\])?>=(?P<version>[\w.]+)")


def oldest(root: Path = ROOT) -> Iterator[str]:
    """One line `name==version` for each dependency with a lower bound, and the pinned version of torch."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for wanted in project["dependencies"]:
        found = BOUND.match(wanted)
        if found and found["name"] != "torch":
            yield f"{found['name']}=={found['version']}"
    yield next(line for line in (root / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))


if __name__ == "__main__":
    print("\n".join(oldest()))
