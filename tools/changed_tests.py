"""Prints the test files that a change is most likely to break, for `make check`.

The change is the difference from the last commit or, if there is none, that commit itself. For a module of the suite,
the tests are those in the corresponding folder of `tests/` that import it (all of that folder if none does); for a
helper in `tests/support/` or a program in `tools/`, the tests that import it. The test of the package order is added.
"""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"


def changed() -> list[Path]:
    """The Python files of the change, relative to the root."""
    files = _git("diff", "--name-only", "HEAD", "--") + _git("ls-files", "--others", "--exclude-standard")
    files = files or _git("diff", "--name-only", "HEAD~1", "HEAD", "--")
    return [Path(name) for name in files if name.endswith(".py") and (ROOT / name).exists()]


def tests_of(path: Path) -> set[Path]:
    """The test files for a changed file."""
    if path.name.startswith("test_"):
        return {ROOT / path}
    if path.parts[0] != "suite":
        return {test for test in TESTS.rglob("test_*.py") if path.stem in _imports(test)}
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    folder = TESTS.joinpath(*path.parent.parts[1:])
    while not folder.is_dir():
        folder = folder.parent
    mirror = set(folder.glob("test_*.py") if folder == TESTS else folder.rglob("test_*.py"))
    return {test for test in mirror if module in _imports(test)} or mirror


def _imports(test: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(test.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _git(*words: str) -> list[str]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    chosen = {test for path in changed() for test in tests_of(path)} | {TESTS / "test_street.py"}
    print(" ".join(sorted(str(test.relative_to(ROOT)) for test in chosen)))
