"""The street: packages, the ones that each may use, and no circle. `python tools/street.py` prints what the code does.

A package may use what stands in its row, and nothing else; a row may only name packages that stand below it. To use
another one, first ask whether the code belongs there.
"""

from __future__ import annotations

from street import ROOT, circles, package_of, read_street

GROUND = "errors machine version"
MAY_USE = {
    "api": "report store grid",
    "cli": "theory report launch job train plan store grid data config own files",
    "theory": "report ssm config files",
    "launch": "job train plan store grid config own files",
    "job": "train store config own files",
    "plan": "store grid data config own files",
    "report": "store grid data config files",
    "train": "models ssm data config own",
    "models": "ssm data config own",
    "ssm": "config own",
    "store": "grid config files",
    "grid": "data config files",
    "config": "data own files",
    "data": "files",
    "own": "",
    "files": "",
}
LOOSE = {"suite", "errors", "machine", "version"}
STREET = read_street()


def test_every_package_is_in_the_table_and_five_modules_lie_loose_at_most() -> None:
    assert STREET.packages.keys() == MAY_USE.keys() | LOOSE
    assert len(list((ROOT / "suite").glob("*.py"))) <= 5


def test_a_row_names_only_packages_below_it() -> None:
    order = list(MAY_USE)
    above = {name: other for name, row in MAY_USE.items() for other in row.split()
             if order.index(other) <= order.index(name)}
    assert not above


def test_each_package_uses_only_what_the_table_allows() -> None:
    wrong = {f"{module} -> {other}" for module, used in STREET.modules.items() for other in used
             if package_of(module) in MAY_USE
             and package_of(other) not in {package_of(module), *MAY_USE[package_of(module)].split(), *GROUND.split()}}
    assert not wrong
    assert all(STREET.packages[name] <= LOOSE | {"api"} for name in LOOSE)
    assert STREET.packages["errors"] | STREET.packages["machine"] | STREET.packages["version"] == set()


def test_there_is_no_circle_among_modules_or_packages() -> None:
    assert circles(STREET.packages) == [] and circles(STREET.modules) == []
    assert len(STREET.modules) > 100  # the circles were looked for in something


def test_circles_are_found_where_there_are_any() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
