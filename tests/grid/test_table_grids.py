"""The grids of the paper's tables in the paper's profile, against the protocol written down again, field by field.

Names are those of `suite.config.fields`; what a table does not name must be as in SSM and TRAINING.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.plan.plan import make_plan
from suite.report.against.readings import is_open
from suite.store.store import Store

GRIDS = Path(__file__).parents[2] / "grids"
Fields = dict[str, Any]

SSM = {"ssm.structure": "diagonal", "ssm.kernel": "vandermonde", "ssm.discretization": "bilinear",
       "ssm.re_constraint": "exp", "ssm.b_init": "ones", "ssm.train_a": True, "ssm.train_b": True, "ssm.train_dt": True,
       "ssm.c_tilde": False, "ssm.c_variance": 1.0, "ssm.state_size": 64, "ssm.copies": 1, "ssm.rank": 0,
       "ssm.re_clamp": 1e-4, "ssm.dt_min": 0.001, "ssm.dt_max": 0.1, "ssm.imag_scale": 1.0, "ssm.imag_random": False,
       "ssm.real_random": False, "ssm.lin_law": "formula", "ssm.random_law": "v3", "ssm.real_law": "modes",
       "ssm.softmax_factor": 2, "ssm.softmax_eps": 0.0, "ssm.relu_floor": 1e-4}
TRAINING = {"kind": "train", "optim.ssm_lr": 0.001, "optim.dt_lr": 0.001, "optim.decay_all": True,
            "model.tie_dropout": True, "train.precision": "float32", "data.variant": "original", "model.name": "ssm"}
COSINE = {"optim.schedule": "cosine", "optim.warmup_epochs": 1.0, "optim.milestones": []}


def steps(*milestones: int) -> Fields:
    return {"optim.schedule": "multistep", "optim.warmup_epochs": 0.0, "optim.milestones": list(milestones),
            "optim.gamma": 0.5}


def model(layers: int, features: int, norm: str, prenorm: bool, bidirectional: bool, mixing: str, decoder: str = "pool",
          dropout: float = 0.0) -> Fields:
    return {"model.layers": layers, "model.features": features, "model.norm": norm, "model.prenorm": prenorm,
            "model.bidirectional": bidirectional, "model.mixing": mixing, "model.decoder": decoder,
            "model.dropout": dropout}


def training(task: str, batch: int, epochs: int, lr: float, wd: float, *evaluate: str) -> Fields:
    return {"task": task, "train.batch_size": batch, "train.epochs": epochs, "optim.lr": lr, "optim.weight_decay": wd,
            "train.evaluate": list(evaluate or ("val", "test"))}


ABL = {
    "sCIFAR": COSINE | model(4, 128, "layer", False, True, "linear") | training("scifar", 50, 100, 0.004, 0.01, "val"),
    "SC": COSINE | model(4, 128, "batch", True, False, "linear", "last")
    | training("sc_ar", 32, 10, 0.004, 0.01, "val"),
    "BIDMC": steps(50, 100, 150, 200) | model(4, 128, "layer", True, True, "linear") | {"ssm.state_size": 256}
    | training("bidmc_spo2", 32, 200, 0.004, 0.01, "val")}
LARGE = {
    "sCIFAR": COSINE | model(6, 512, "layer", False, True, "glu", dropout=0.1)
    | training("scifar", 50, 200, 0.01, 0.05),
    "SC (AR)": COSINE | model(6, 128, "batch", True, False, "glu", "last") | training("sc_ar", 16, 40, 0.01, 0.05),
    "SC (Bi.)": COSINE | model(6, 128, "batch", True, True, "glu")
    | training("sc_bi", 16, 40, 0.01, 0.05, "val", "test", "test@8000")}
for label, target in {"HR": "bidmc_hr", "RR": "bidmc_rr", "SpO2": "bidmc_spo2"}.items():
    LARGE[label] = steps(100, 200, 300, 400, 500) | model(6, 128, "layer", True, True, "glu") \
        | {"ssm.state_size": 256} | training(target, 32, 500, 0.01, 0.05)
LARGE = {label: fields | {"ssm.copies": 2} for label, fields in LARGE.items()}
GLOBAL_DT = {"optim.dt_lr": 0.01}
LRA = {
    "ListOps": GLOBAL_DT | model(8, 128, "batch", False, True, "glu") | training("listops", 50, 40, 0.01, 0.05)
    | {"ssm.copies": 128},
    "Text": GLOBAL_DT | model(6, 256, "batch", True, True, "glu") | training("text", 16, 32, 0.01, 0.05),
    "Retrieval": GLOBAL_DT | model(6, 256, "batch", True, True, "glu") | training("retrieval", 64, 20, 0.01, 0.05),
    "Image": GLOBAL_DT | model(6, 512, "layer", False, True, "glu", dropout=0.1) | {"ssm.copies": 2}
    | training("image", 50, 200, 0.01, 0.05),
    "Pathfinder": model(6, 256, "batch", True, True, "glu", "last") | training("pathfinder", 64, 200, 0.004, 0.03),
    "Path-X": model(6, 256, "batch", True, True, "glu") | training("pathx", 32, 50, 0.0005, 0.05)
    | {"ssm.dt_min": 1e-4, "ssm.dt_max": 0.01, "optim.ssm_lr": 0.0005, "optim.dt_lr": 0.0005}}
LRA = {label: {"ssm.copies": 256} | COSINE | fields for label, fields in LRA.items()}
PATHX_SMALL = COSINE | model(4, 96, "batch", True, True, "glu") | training("pathx", 32, 50, 0.0005, 0.05) | {
    "ssm.copies": 96, "ssm.dt_min": 1e-4, "ssm.dt_max": 0.01, "optim.ssm_lr": 0.0005, "optim.dt_lr": 0.0005}


def s4(init: str, **more: Any) -> Fields:
    return {"ssm.structure": "dplr", "ssm.kernel": "cauchy", "ssm.init": init, "ssm.b_init": "hippo", "ssm.rank": 1,
            "ssm.c_tilde": True, "ssm.re_clamp": 1e-3} | {f"ssm.{key}": value for key, value in more.items()}


def s4d(init: str, **more: Any) -> Fields:
    return {"ssm.init": init} | {f"ssm.{key}": value for key, value in more.items()}


FIVE = {"S4-LegS": s4("legs"), "S4-FouT": s4("fout"), "S4D-LegS": s4d("legs"), "S4D-Inv": s4d("inv"),
        "S4D-Lin": s4d("lin")}
SIX = FIVE | {"S4-(LegS/FouT)": s4("legs+fout")}
SEVEN = FIVE | {"S4-LegT": s4("legt", rank=2), "S4-LegS+FouT": s4("legs+fout", copies=2)}
PLAIN = {"model.norm": "layer", "model.prenorm": False, "model.bidirectional": False, "model.mixing": "linear",
         "model.decoder": "pool"}  # what a family has no choice of, at its default


def other(name: str, features: int, layers: int, **more: Any) -> Fields:
    return PLAIN | {"model.name": name, "model.features": features, "model.layers": layers} \
        | {f"model.{key}": value for key, value in more.items()}


def sequence(name: str, features: int) -> Fields:
    return {"model.name": name, "model.features": features, "model.norm": "layer", "model.mixing": "linear",
            "ssm.copies": 1}


CNNS = {"InceptionNet": other("inception", 32, 6), "ResNet-18": other("resnet18", 64, 4, dropout=0.5),
        "XResNet-50": other("xresnet50", 64, 4), "ConvNet": other("convnet", 64, 3)}
SEQUENCE = {"9": {"LSTM (ours)": sequence("lstm", 312), "Transformer (ours)": sequence("transformer", 224)},
            "10": {"LSTM (ours)": sequence("lstm", 128), "Transformer (ours)": sequence("transformer", 88)}}
CLASSICAL = {f"{label} (ours)": other(name, 128, 4) | {"train.epochs": 1} for label, name in {
    "Ridge Regression": "ridge", "Random Forest": "random_forest", "Boosting": "boosting"}.items()}
SOFTMAX = {"discretization": "zoh", "kernel": "softmax"}
ROWS: dict[str, dict[tuple[str, ...], Fields]] = {
    "7": {(f"B {b}", kernel): s4d("inv", discretization="zoh", train_b=b == "trained", kernel=kernel.lower())
          for b in ("frozen", "trained") for kernel in ("softmax", "Vandermonde")},
    "8": {(rule, re): s4d("inv", discretization=rule.lower(), re_constraint=re)
          for rule in ("bilinear", "ZOH") for re in ("exp", "relu", "none")},
    "3a": {(f"S4D-{init}{name}",): s4d(init.lower(), **more) for init in ("Lin", "Inv") for name, more in {
        "": {}, " ×0.01": {"imag_scale": 0.01}, " ×100": {"imag_scale": 100.0}, " random Im": {"imag_random": True},
        " random Re": {"real_random": True}, " random both": {"imag_random": True, "real_random": True}}.items()}
    | {(f"S4D-{init}",): s4d(init.lower()) for init in ("Inv2", "Quad", "Random", "Real")},
    "3b": {(method, state): fields | {"ssm.train_a": state != "frozen", "ssm.train_b": state != "frozen"}
           for state in ("frozen", "trainable") for method, fields in SEVEN.items()},
    "4": {(method,): fields for method, fields in FIVE.items()},
    "5": {(method,): fields for method, fields in FIVE.items()},
    "6": {("S4D",): s4d("legs"), ("Re none",): s4d("legs", re_constraint="none"),
          ("Re relu",): s4d("legs", re_constraint="relu"), ("ZOH",): s4d("legs", discretization="zoh"),
          ("B frozen",): s4d("legs", train_b=False), ("ZOH softmax",): s4d("legs", **SOFTMAX),
          ("DSS",): s4d("legs", re_constraint="none", train_b=False, **SOFTMAX)},
    "9": {(method,): fields for method, fields in (SIX | SEQUENCE["9"]).items()},
    "10": {(method,): fields for method, fields in (SIX | SEQUENCE["10"] | CLASSICAL).items()},
    "11": {(method,): fields for method, fields in (SIX | CNNS).items()}}
ROWS["2"] = ROWS["7"] | ROWS["8"]
COLUMNS = {"2": ABL, "3a": ABL, "3b": ABL, "4": LARGE, "5": LRA, "6": {"": PATHX_SMALL}, "7": ABL, "8": ABL,
           "9": {"sCIFAR": LARGE["sCIFAR"]}, "10": {label: LARGE[label] for label in ("HR", "RR", "SpO2")},
           "11": {"SC (Bi.)": LARGE["SC (Bi.)"]}}


@cache
def grid(table: str, profile: str = "paper") -> Grid:
    return load_grid(GRIDS / f"table{table}.yaml", profile)


def cells(made: Grid) -> Iterator[tuple[str, tuple[str, ...], list[Any]]]:
    """Column label, row labels and runs of each cell."""
    found: dict[tuple[str, tuple[str, ...]], list[Any]] = {}
    for run in made.runs:
        row = tuple(label for axis, label in run.labels.items() if axis != "task")
        found.setdefault((run.labels.get("task", ""), row), []).append(run)
    for (column, row), runs in found.items():
        yield column, row, runs


@pytest.mark.parametrize("table", ROWS)
def test_every_field_of_every_cell(table: str) -> None:
    made = grid(table)
    found = {(column, row): runs for column, row, runs in cells(made)}
    assert set(found) == {(column, row) for column in COLUMNS[table] for row in ROWS[table]}
    assert not made.excluded
    for (column, row), runs in found.items():
        wanted = TRAINING | SSM | COLUMNS[table][column] | ROWS[table][row]
        wanted["train.select"] = "min val/rmse" if wanted["task"].startswith("bidmc") else "max val/accuracy"
        assert sorted(run.config.seed for run in runs) == [0, 1, 2]
        for run in runs:
            flat = run.config.flat()
            assert {key: flat[key] for key in wanted} == wanted, (table, column, row)



def test_runs_that_tables_share_are_one_run(tmp_path: Path) -> None:
    made = {table: {run.run_id for run in grid(table).runs} for table in (*ROWS, "1", "12")}
    assert made["2"] == made["7"] | made["8"] and len(made["7"] & made["8"]) == 9  # S4D-Inv, ZOH, exp, trained
    assert made["12"] <= made["4"] | made["5"]
    assert made["1"] <= made["3a"] | made["3b"] | made["6"] | made["8"]
    assert len(made["3a"] & made["3b"]) == len(made["8"] & made["3a"] & made["3b"]) + 9 == 18  # S4D-Inv and S4D-Lin
    assert {len(made["4"] & made[t]) for t in ("9", "10", "11")} == {15, 45}
    plan = make_plan([grid(table) for table in ROWS], Store(tmp_path))
    assert (len(plan.runs), plan.shared) == (603, 201)
    everything = make_plan([grid(table) for table in made], Store(tmp_path))
    assert (len(everything.runs), everything.shared) == (603, 495)  # tables 1 and 12 train nothing of their own


@pytest.mark.parametrize("table", [*ROWS, "1", "12"])
def test_the_small_profile_asks_the_same_question(table: str) -> None:
    """Sizes change; which cells there are, and what their rows differ in, does not."""
    paper, mini = grid(table), grid(table, "mini")
    assert [run.labels for run in mini.runs] == [run.labels for run in paper.runs]
    sizes = ("data.", "optim.", "train.", "model.layers", "model.features", "ssm.state_size", "ssm.copies")
    for small, large in zip(mini.runs, paper.runs, strict=True):
        one, two = small.config.flat(), large.config.flat()
        assert {k: v for k, v in one.items() if not k.startswith(sizes)} == \
            {k: v for k, v in two.items() if not k.startswith(sizes)}
        assert splits(one) == splits(two)


def splits(flat: Fields) -> list[str]:
    return [entry.partition("@")[0] for entry in flat["train.evaluate"]]


HINT = re.compile(r"(AMB-\d+)[^:\n]*:((?:[\s#]+--(?:only|set) (?:'[^'\n]+'|[^\s']+))+)")
SHOWN_BY = {"s4d": ("table3b", "table4", "table5"), "ablation": ("table3a", "table3b"), "large": ("table4", "table10"),
            "lra": ("table5",)}
HINTS = [(table, question, command) for path in sorted([*GRIDS.glob("table*.yaml"), *GRIDS.glob("_base/*.yaml")])
         for question, command in HINT.findall(path.read_text()) for table in SHOWN_BY.get(path.stem, (path.stem,))
         if (question, table) != ("AMB-7", "table10")]  # which has no speech


@pytest.mark.parametrize(("table", "question", "command"), HINTS)
def test_the_other_reading_of_a_question_is_a_command_away(table: str, question: str, command: str) -> None:
    """What the comments say to write gives runs, nearly all of them others, that are held against that table."""
    words = re.findall(r"--(only|set) (?:'([^'\n]+)'|([^\s']+))", command)
    told = [(flag, quoted or bare.rstrip(".")) for flag, quoted, bare in words]
    sets = [text for flag, text in told if flag == "set"]
    grid = load_grid(GRIDS / f"{table}.yaml", "paper", sets, [text for flag, text in told if flag == "only"])
    assert grid.runs
    plain = {run.run_id for run in load_grid(GRIDS / f"{table}.yaml", "paper").runs}
    names = {"table2": ("2-left",), "table7": ("7", "2-left")}.get(table, (table.removeprefix("table"),))
    assert sum(run.run_id in plain for run in grid.runs) < len(grid.runs) / 4
    for run in grid.runs:
        for text in sets:
            assert any(is_open(text.partition("=")[0], run.config, name) for name in names), (text, run.labels)


def test_every_field_of_a_question_has_its_command() -> None:
    asked = {question for _, question, _ in HINTS}
    assert asked >= {f"AMB-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 21, 22, 23, 24)}
