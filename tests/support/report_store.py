"""Grids and stores for the tests of the report, with numbers that can be checked by hand."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.config.fields import SSM, Data, Model, Optim, Train
from suite.config.run_config import RunConfig
from suite.files import atomic
from suite.grid.model import Excluded, Grid, GridRun
from suite.report.report import write_report
from suite.store.folder import encode_rows
from suite.store.state import RunState
from suite.store.store import Store

METHODS = ["S4D-Lin", "S4D-Inv", "S4D-Real"]
TASKS = ["sCIFAR", "SC"]
SOURCES = Path(__file__).parents[2] / "reports"
LAYOUT = """\
name: demo
caption: Three methods on two tasks
rows: {axis: method, order: [S4D-Inv]}
columns:
  - {label: sCIFAR, where: {task: sCIFAR}, digits: 1}
  - {label: SC first, where: {task: SC}, epoch: first, digits: 1}
  - {label: SC test, where: {task: SC}, metric: test/accuracy, digits: 1}
  - {label: SC loss, where: {task: SC}, metric: val/loss, digits: 3}
"""
CLAIMS = """\
claims:
  - {id: real, text: Real is worse than Lin., source: paper section 5.2, table: demo, kind: worse,
     left: S4D-Real, right: S4D-Lin, columns: SC test}
  - {id: inv, text: Inv is better than Lin., source: paper table 3a, table: demo, kind: better,
     left: S4D-Inv, right: S4D-Lin, columns: sCIFAR}
"""
NASTY = ["<script>alert(1)</script>", 'a" onmouseover="x', "& 'b' %_#$^~\\{}", "a|b`c`*d*[e](f)",
         "ü Δ ± × 漢 λ₂ “q” 🙂", "--- \\input{x} -- ?` !`", "@everyone #12 ~~x~~ ![i](j)"]


def make_run(labels: dict[str, str], seed: int, epochs: int = 4, select: str = "max val/accuracy",
             data: dict[str, Any] | None = None) -> GridRun:
    config = RunConfig.model_construct(
        kind="train", task="scifar", seed=seed, ssm=SSM(), model=Model(), optim=Optim(),
        data=Data(**(data or {"name": "cifar10", "variant": "sample"})),
        train=Train(epochs=epochs, select=select, evaluate=("val", "test")))
    run_id = hashlib.sha256(repr((sorted(labels.items()), seed, epochs, select)).encode()).hexdigest()[:16]
    return GridRun(config, run_id, labels)


def make_grid(methods: list[str] = METHODS, tasks: list[str] = TASKS, seeds: int = 3, name: str = "demo",
              excluded: tuple[Excluded, ...] = (), profile: str = "mini", **run: Any) -> Grid:
    left_out = [out.labels for out in excluded]
    runs = [make_run({"task": task, "method": method}, seed, **run) for task in tasks for method in methods
            for seed in range(seeds) if {"task": task, "method": method} not in left_out]
    return Grid(name=name, title="A grid for tests", path=Path("grids/demo.yaml"), profile=profile, runs=tuple(runs),
                excluded=excluded, axes={"task": tasks, "method": methods}, seeds=tuple(range(seeds)))


def rows_of(accuracies: list[float], **more: list[Any]) -> list[dict[str, Any]]:
    """A row an epoch: validation accuracy as given, test accuracy a tenth below it, and `more` by metric."""
    extra = {name.replace("__", "/"): values for name, values in more.items()}
    return [{"epoch": i + 1, "step": 10 * (i + 1), "train/loss": 1 / (i + 1), "val/accuracy": value,
             "test/accuracy": value - 0.1, "val/loss": 1 - value, "time/train": 0.5,
             **{name: values[i] for name, values in extra.items()}} for i, value in enumerate(accuracies)]


class Shelf(Store):
    """A store whose states and rows are set by hand."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.by_id: dict[str, tuple[RunState, list[dict[str, Any]]]] = {}

    def put(self, run: GridRun, name: str, accuracies: list[float], reason: str = "", **more: Any) -> None:
        rows = rows_of(accuracies, **more)
        self.by_id[run.run_id] = RunState(name, epochs=len(rows), reason=reason), rows  # type: ignore[arg-type]

    def states(self, wanted: Any) -> dict[str, RunState]:
        return {run_id: self.by_id.get(run_id, (RunState("todo"), []))[0] for run_id in wanted}

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        return self.by_id[run_id][1]

    def provenance(self, run_id: str) -> dict[str, Any] | None:
        return None


def write_done(store: Store, run: GridRun, accuracies: list[float], record: dict[str, Any] | None = None,
               **more: Any) -> None:
    """A finished run in the store's own format."""
    folder = store.root / run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    if record is not None:
        atomic.replace(folder / "provenance.json", atomic.seal(record), atomic.nobody(), durable=False)
    result = {"id": run.run_id, "rows": rows_of(accuracies, **more), "epochs": len(accuracies), "shape": "s"}
    atomic.replace(folder / "result.json", atomic.seal(result), atomic.nobody(), durable=False)


def write_partial(store: Store, run: GridRun, accuracies: list[float]) -> None:
    """A run that has stopped on its way."""
    folder = store.root / run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_bytes(encode_rows(rows_of(accuracies)))


def fill(store: Store, grid: Grid, record: dict[str, Any] | None = None) -> None:
    """Every run of the grid finished: S4D-Real 10 points below the others, half a point between seeds."""
    for run in grid.runs:
        base = 0.3 if run.labels["method"] == "S4D-Real" else 0.4 + 0.02 * (run.labels["method"] == "S4D-Inv")
        top = base + 0.005 * run.config.seed - 0.1 * (run.labels["task"] == "SC")
        write_done(store, run, [top - 0.1, top - 0.05, top, top - 0.01], record)


def sources(tmp: Path, layout: str = "", claims: str = "", name: str = "demo") -> Path:
    """A folder like reports/: the real templates, with this layout and these claims."""
    folder = tmp / "sources"
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    if not (folder / "templates").exists():
        shutil.copytree(SOURCES / "templates", folder / "templates")
        shutil.copytree(SOURCES / "published", folder / "published")
    if layout:
        (folder / "tables" / f"{name}.yaml").write_text(layout)
    if claims:
        (folder / "claims.yaml").write_text(claims)
    return folder


def with_holes(folder: Path) -> tuple[Grid, Store]:
    """A grid with an exclusion and three runs that are under way, the others finished."""
    grid = make_grid(["S4D-Lin", "S4D-Inv", "S4D-Real", "softmax"], excluded=(
        Excluded({"task": "SC", "method": "softmax"}, "softmax needs ZOH"),))
    store = Store(folder / "store")
    fill(store, grid, {"environment": {"device": "a cpu", "threads": 1}, "mixed": [], "code": "abc"})
    for run in grid.runs:
        if run.labels["method"] == "softmax":
            (store.root / run.run_id / "result.json").unlink()
            write_partial(store, run, [0.3])
    return grid, store


def hostile(folder: Path, tasks: list[str]) -> Path:
    """The folder of a report on a grid whose names all try to be markup."""
    grid = make_grid(NASTY, tasks, seeds=1)
    grid = replace(grid, title=NASTY[0] + NASTY[2])
    store = Store(folder / "store")
    fill(store, grid, {"environment": {"device": NASTY[0]}, "mixed": [NASTY[1]], "code": NASTY[2]})
    write_report([grid], store, folder / "out", sources(folder))
    return folder / "out"
