"""What is printed for each fault of an own method: once, before anything starts, with the lines of grid and user."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.grid.expand import load_grid
from suite.job import job
from suite.job.order import Order
from suite.plan.own_code import check
from suite.store.store import Store

HEAD = "import os\nimport torch\nfrom torch import nn\n\n\n"
INIT = ("class Mine(nn.Module):\n    causal = False\n\n"
        "    def __init__(self, features, kernel=3):\n        super().__init__()\n"
        "        self.linear = nn.Linear(features, features)\n        self.past = None\n\n")
FORWARD = "    def forward(self, x, mask):\n"
FAULTS = {
    "NaN": ("        return self.linear(x) / 0 * 0\n", "returns values that are not finite"),
    "changes its input": ("        x *= mask\n        x += 1\n        return self.linear(x)\n", "changes its input"),
    "keeps state": ("        y = self.linear(x)\n        y = y if self.past is None else y + self.past.mean()\n"
                    "        self.past = y.detach()\n        return y\n", "keeps state from one batch to the next"),
    "order": ("        return self.linear(x) * torch.arange(len(x))[:, None, None]\n",
              "depends on the order in a batch"),
    "batch": ("        return self.linear(x - x.mean(0))\n", "mixes the sequences of a batch"),
    "looks ahead": ("        self.causal = True\n        return self.linear(x + x.roll(-1, 1) * mask)\n",
                    "looks ahead, although causal = True: step 10 depends on step 11 or later"),
    "mask": ("        return self.linear(x) + x.mean(1, keepdim=True)\n", "ignores the mask"),
    "shape": ("        return self.linear(x)[:, 1:]\n", r"returns \(2, 23, 2\) for \(2, 24, 2\)"),
    "no gradient": ("        return self.linear(x).detach()\n", "gives no gradient"),
    "gradient NaN": ("        return self.linear(x) + (self.linear(x) * 0).sqrt()\n",
                     "gives a gradient that is not finite, to linear.weight"),
    "raises": ("        return self.linear(x) + missing\n",
               r"raises NameError: name 'missing' is not defined \(my_m.py:\d+, in forward\)"),
    "exits": ("        os._exit(7)\n", "ends its process with exit code 7"),
    "crashes": ("        os.kill(os.getpid(), 11)\n", r"is killed by signal 11 \(my_m.py:\d+, in forward\)"),
    "sys.exit": ("        raise SystemExit(3)\n", "raises SystemExit: 3")}


def refused() -> tuple[str, str]:
    """What the check before a start says, and the lines of the user's files that it shows."""
    grids = [load_grid(Path("mine.yaml"))]
    with pytest.raises(Exception) as error:  # noqa: B017, PT011
        check(grids, grids[0].runs, trial=True)
    return str(error.value), error.value.report


def study(folder: Path, faults: dict[str, str]) -> None:
    """A module and a grid with a class for each of these bodies of `forward`."""
    text, rows = HEAD, "    Mine: {model.name: my_m:Mine}"
    lines = (folder / "mine.yaml").read_text().splitlines()
    for name, body in faults.items():
        text += INIT.replace("Mine", name) + FORWARD + body + "\n\n"
        rows += f"\n    {name}: {{model.name: my_m:{name}}}"
    (folder / "my_m.py").write_text(text)
    (folder / "mine.yaml").write_text("\n".join([*lines[:7], *rows.splitlines()[1:]]) + "\n")


def test_each_fault_is_one_error_before_anything_starts(mine: Path) -> None:
    names = {fault: fault.title().replace(" ", "").replace(".", "") for fault in FAULTS}
    study(mine, {names[fault]: body for fault, (body, _) in FAULTS.items()})
    told, report = refused()
    problems = [line for line in told.splitlines() if line.startswith("mine.yaml:")]
    assert len(problems) == len(FAULTS)
    for i, (fault, (_, what)) in enumerate(FAULTS.items()):
        start = f"mine.yaml:{8 + i}: model.name: "
        one = next(line for line in problems if line.startswith(start))
        assert re.search(f"my_m:{names[fault]} .*{what}", one), one
    assert "in forward\n    return self.linear(x) + missing" in report and report.count("File ") == 2


def test_a_good_method_passes_and_what_it_prints_is_not_shown(mine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (mine / "my_m.py").open("a") as file:
        file.write("\nprint('hello')\n")
    grids = [load_grid(Path("mine.yaml"))]
    check(grids, grids[0].runs, trial=True)
    assert capfd.readouterr().out == ""


def test_faults_of_parts_are_told_before_anything_starts(mine: Path) -> None:
    (mine / "my_p.py").write_text("def rule(A, dt):\n    return A * dt\n\ndef start(state_size, copies, rng):\n"
                                  "    return rng.random(state_size)\n")
    grid = (mine / "mine.yaml").read_text().replace('Mine: {model.name: "my_m:Mine"}', 'Rule: {ssm.discretization: '
                                                    '"my_p:rule"}\n    Init: {ssm.init: "my_p:start"}')
    (mine / "mine.yaml").write_text(grid)
    told, _ = refused()
    assert "mine.yaml:8: ssm.discretization: my_p:rule returns a Tensor" in told
    assert "mine.yaml:9: ssm.init: my_p:start returned a of shape (2,), not (1, 1)" in told


def test_two_modules_that_import_each_other_are_told(mine: Path) -> None:
    (mine / "my_h.py").write_text("from my_m import Mine\ndef scale(x):\n    return x\n")
    told, report = refused()
    assert "importing 'my_m' raises ImportError" in told and "two modules import each other" in told
    assert "from my_m import Mine" in report


def test_a_method_that_changed_after_planning_is_told(mine: Path) -> None:
    config = load_grid(Path("mine.yaml")).runs[1].config
    folder = Store(mine / "runs").add(config)
    (mine / "my_h.py").write_text("def scale(x):\n    return 1.1 * x\n")
    state = job.run(folder, Order())
    assert state.name == "failed" and "my_m:Mine has changed since the run was planned: my_h was edited" in state.detail


def test_the_debugger_gets_the_original_error_and_the_log_the_user_s_lines(
        mine: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    study(mine, {"Mine": FAULTS["raises"][0]})
    with pytest.raises(NameError) as error:
        main(["mine.yaml", "--executor", "debug", "--only", "method=Mine"])
    assert error.traceback[-1].frame.code.name == "forward"
    config = load_grid(Path("mine.yaml")).runs[1].config
    assert "my_m.py:15, in forward" in Store(mine / "runs").state(config.run_id).detail
    words = [record.getMessage() for record in caplog.records if "error in your own code" in record.getMessage()]
    first, _, rest = words[0].partition("\n\n")
    assert first.count("File ") == 1 and "return self.linear(x) + missing" in first and "suite/models/trial.py" in rest
