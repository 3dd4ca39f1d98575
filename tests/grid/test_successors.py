"""The grid of what came after S4D: one change at a time, named as the papers' tables name it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from suite.files.yaml import load_yaml
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.report.claims.language import read_claims
from suite.report.published.papers import load_published
from suite.report.tables.layout import Layout
from suite.report.tables.layout_files import load_layout

ROOT = Path(__file__).parents[2]
BARE = {"ssm.re_constraint": "none", "ssm.real_zero": True, "ssm.re_clamp": 0.0}
ANGLES = {"ssm.dt_scope": "real"}
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {  # the row that each is beside, and all that is different from it
    "S4D-Inv": ("S4D-Lin", {"ssm.init": "inv"}),
    "S4D-LegS": ("S4D-Lin", {"ssm.init": "legs"}),
    "S4D-Lin ×3": ("S4D-Lin", {"ssm.imag_scale": 3.0}),
    "S4D-Lin ×5": ("S4D-Lin", {"ssm.imag_scale": 5.0}),
    "S4D-PTD": ("S4D-LegS", {"ssm.init": "ptd", "ssm.b_init": "hippo"}),
    "untied ZOH": ("ZOH", {"ssm.copies": 128}),
    "S4D-DFouT": ("untied ZOH", ANGLES | {"ssm.init": "dfout"}),
    "S4D-DFouT, gain ξ": ("S4D-DFouT", {"ssm.gain": "dt"}),
    "S4D-Token": ("S4D-DFouT", {"ssm.init": "dfout_token"}),
    "S4D-RndImag": ("S4D-DFouT", {"ssm.init": "dfout_random"}),
    "S4D-Batched-DFouT": ("S4D-DFouT", {"ssm.init": "dfout_batched"}),
    "ring": ("untied ZOH", {"ssm.init": "ring", "ssm.gain": "gamma", "ssm.dt_min": 1.0, "ssm.dt_max": 1.0,
                            "ssm.train_dt": False}),
    "unconstrained": ("S4D-Lin", {"ssm.re_constraint": "none"}),
    "Re(A) = 0": ("unconstrained", {"ssm.real_zero": True, "ssm.re_clamp": 0.0, "ssm.dt_law": "length"}),
    "inverse": ("S4D-Lin", {"ssm.re_constraint": "inverse"}),
    "square": ("S4D-Lin", {"ssm.re_constraint": "square"}),
    "ZOH": ("S4D-Lin", {"ssm.discretization": "zoh"}),
    "exponential Euler": ("S4D-Lin", {"ssm.discretization": "euler_exp"}),
    "backward Euler": ("S4D-Lin", {"ssm.discretization": "backward"}),
    "Re(A) = 0, dt to 0.02": ("S4D-Lin", BARE | {"ssm.dt_max": 0.02}),
    "symplectic": ("Re(A) = 0, dt to 0.02", {"ssm.discretization": "symplectic"}),
    "32 taps": ("S4D-Lin", {"ssm.kernel_length": 32}),
    "8 taps": ("S4D-Lin", {"ssm.kernel_length": 8}),
    "free kernel": ("S4D-Lin", {"ssm.kernel": "free", "ssm.init": "legs"}),
    "rational kernel": ("S4D-Lin", {"ssm.kernel": "rational", "ssm.init": "legs"}),
    "S5": ("ZOH", {"ssm.structure": "mimo", "ssm.init": "legs", "ssm.b_init": "lecun"}),
    "LRU": ("ring", {"ssm.structure": "mimo", "ssm.copies": 1, "ssm.b_init": "lecun"}),
    "Sobolev filter": ("S4D-Lin", {"ssm.sobolev": "trained"})}
TABLES = {"successors": ["3a", "dfout/2", "lru/3"], "successors-others": ["3a", "4", "dfout/3"]}


@cache
def grid(profile: str) -> Grid:
    return load_grid(ROOT / "grids/successors.yaml", profile)


def settings(profile: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(run.labels["task"], run.labels["method"]): run.config.flat() for run in grid(profile).runs
            if run.config.seed == 0}


def test_every_row_is_on_sequential_cifar_and_initializations_elsewhere() -> None:
    for profile in ("paper", "mini"):
        rows = {task: {method for at, method in settings(profile) if at == task} for task in ("sCIFAR", "SC", "BIDMC")}
        assert rows["sCIFAR"] == {"S4D-Lin", *CHANGES}
        assert rows["SC"] == rows["BIDMC"] < rows["sCIFAR"]
        assert len(rows["SC"]) == 10


@pytest.mark.parametrize("profile", ["paper", "mini"])
def test_a_row_differs_from_the_row_beside_it_in_what_it_says(profile: str) -> None:
    found = settings(profile)
    for method, (beside, said) in CHANGES.items():
        mine, other = found["sCIFAR", method], found["sCIFAR", beside]
        changed = {key: value for key, value in mine.items() if value != other[key]}
        expected = dict(said)
        if profile == "mini" and method == "untied ZOH":
            expected["ssm.copies"] = 16  # one for each feature of the smaller model
        if profile == "mini" and method == "free kernel":
            expected["ssm.state_size"] = 64  # it has no state, whose size stays at its default
        assert changed == expected, method


@pytest.mark.parametrize("profile", ["paper", "mini"])
def test_a_row_has_the_same_settings_in_every_task(profile: str) -> None:
    found = settings(profile)
    for (task, method), mine in found.items():
        ours = {key: value for key, value in mine.items() if key.startswith("ssm.") and key != "ssm.state_size"}
        assert ours == {key: found["sCIFAR", method][key] for key in ours}, (task, method)


@pytest.mark.parametrize("name", TABLES)
def test_the_numbers_of_other_papers_find_their_rows(name: str) -> None:
    published = load_published()
    layout = load_layout(ROOT / f"reports/tables/{name}.yaml", grid("paper"), published).layout
    assert isinstance(layout, Layout)
    assert [layout.published, *layout.also] == TABLES[name]
    assert set(layout.other_protocol) == set(layout.also)  # S4D's large models, and other papers'
    listed = [row for group in layout.rows.groups for row in group.rows or ()]
    rows = set(listed)
    assert len(listed) == len(rows)  # a row that is listed twice would count twice in the variance of its column
    for table in TABLES[name]:
        found = {(row, column.label) for row in rows for column in layout.columns
                 if (number := published.find(table, row, column.label)) is not None and number.mean is not None}
        assert len(found) >= (1 if table == "lru/3" else 2), table
    ours = {label for label in published.table(next(table for table in TABLES[name] if "dfout" in table)).rows
            if label in CHANGES and label != "S5"}
    assert {"S4D-DFouT", "S4D-Token", "S4D-RndImag", "S4D-Batched-DFouT"} <= ours <= rows
    if name == "successors":
        assert rows == {"S4D-Lin", *CHANGES}


def test_claims_about_the_successors_name_what_is_run() -> None:
    stated = [one for one in read_claims(ROOT / "reports/claims.yaml")[0] if one.claim.table in TABLES]
    assert {one.claim.family for one in stated} == {"successors", "successors elsewhere"}
    assert all(one.rules.plan is not None for one in stated)
    named = {name for one in stated if one.claim.table == "successors" for name in one.claim.names}
    assert named <= {"S4D-Lin", *CHANGES}
    layout = load_yaml(ROOT / "reports/tables/successors-others.yaml").plain()
    elsewhere = {row for group in layout["rows"]["groups"] for row in group["rows"]}
    assert {name for one in stated if one.claim.table == "successors-others" for name in one.claim.names} <= elsewhere
