"""The street, the order of the suite's packages: which package imports which. `python tools/street.py`

Parses the imports of `suite/` (`ast`), including those inside functions and those for types only. Prints the packages
with their level, the packages that each uses, its modules and lines, and every cycle among packages or modules.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
Arrows = dict[str, set[str]]


@dataclass(frozen=True)
class Street:
    """The modules of the suite with their number of lines, and the imports, by module and by package."""

    lines: Mapping[str, int]
    modules: Arrows

    @property
    def packages(self) -> Arrows:
        """The other packages that each package (or module directly in `suite/`) uses."""
        found: Arrows = {package_of(module): set() for module in self.lines}
        for module, used in self.modules.items():
            found[package_of(module)] |= {package_of(other) for other in used} - {package_of(module)}
        return found


def package_of(module: str) -> str:
    """The package of a module: `store` for `suite.store.folder`. `suite.errors` is a package of its own."""
    return module.split(".")[1] if "." in module else "suite"


def read_street(root: Path = ROOT) -> Street:
    """Read the street from the code below `root`."""
    paths = {_name(path.relative_to(root)): path for path in sorted((root / "suite").rglob("*.py"))}
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in paths.items()}
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in paths.items()}
    arrows = {name: set(_imported(tree, paths)) - {name} for name, tree in trees.items()}
    return Street(lines, arrows)


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imported(tree: ast.Module, known: Mapping[str, Path]) -> Iterable[str]:
    """The modules that a module imports: suite.files.atomic for `from suite.files import atomic`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups that import each other in a cycle, each sorted."""
    reach = {start: _reachable(start, arrows) for start in arrows}
    groups = {tuple(sorted(other for other in reach[start] if start in reach[other])) for start in arrows
              if start in reach[start]}
    return [list(group) for group in sorted(groups)]


def _reachable(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = arrows.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def levels(arrows: Mapping[str, set[str]]) -> dict[str, int]:
    """The level of each: one above the highest that it uses, or 1 if it uses none. Cycles share a level."""
    loops = {name: set(group) for group in circles(arrows) for name in group}
    found: dict[str, int] = {}

    def level(name: str) -> int:
        if name not in found:
            group = loops.get(name, {name})
            below = {other for member in group for other in arrows.get(member, ())} - group
            height = 1 + max((level(other) for other in below), default=0)
            found.update(dict.fromkeys(group, height))
        return found[name]

    return {name: level(name) for name in arrows}


def main() -> None:
    """Print the street."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    parser.add_argument("--who", metavar="PACKAGE", help="show the imports of this package, by module")
    args = parser.parse_args()
    street = read_street(args.root)
    if args.who:
        for module in sorted(street.modules):
            outside = sorted(other for other in street.modules[module] if package_of(other) != args.who)
            if package_of(module) == args.who and outside:
                print(f"{module}: {', '.join(outside)}")
        return
    packages = street.packages
    heights = levels(packages)
    for name in sorted(packages, key=lambda name: (-heights[name], name)):
        mine = [module for module in street.lines if package_of(module) == name]
        print(f"{heights[name]:>2}  {name:<10} {len(mine):>3} modules {sum(street.lines[m] for m in mine):>6,} lines   "
              f"{' '.join(sorted(packages[name]))}")
    print(f"{len(packages)} packages on {max(heights.values())} levels, {sum(map(len, packages.values()))} arrows; "
          f"{len(street.lines)} modules on {max(levels(street.modules).values())} levels, "
          f"{sum(map(len, street.modules.values()))} arrows")
    for what, arrows in (("packages", packages), ("modules", street.modules)):
        for group in circles(arrows):
            print(f"circle among {what}: {', '.join(group)}")


if __name__ == "__main__":
    main()
