"""Settings of own code: axes, rows that do not take them, ablations, and errors with the grid's line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suite.cli.main import main
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.grid.model import Grid

OTHER = """

class Wide(Mine):
    pass


def spread(state_size, copies, rng, slope: float = 1.0, law="lin"):
    import numpy as np
    return -0.5 + slope * 1j * np.arange(state_size // 2)


class Typed(Mine):
    def __init__(self, features, width: int, *, state_size, sizes: list[int] = ()):
        super().__init__(features)
        self.given = (width, state_size, sizes)
"""


def grid(text: str, **more: Any) -> Grid:
    source = Path("mine.yaml").read_text().replace("    Mine: {model", "    Gated: {model")
    Path("g.yaml").write_text(source + text)
    return load_grid(Path("g.yaml"), **more)


def rows(found: Grid) -> list[tuple[str, ...]]:
    return [tuple(run.labels.values()) for run in found.runs]


def refused(text: str, **more: Any) -> str:
    with pytest.raises(UserError) as error:
        grid(text, **more)
    return str(error.value)


@pytest.fixture(autouse=True)
def study(mine: Path) -> Path:
    with (mine / "my_m.py").open("a") as file:
        file.write(OTHER)
    return mine


def test_an_axis_of_arguments_holds_for_the_rows_that_take_it() -> None:
    found = grid("  model.args.kernel: [3, 9, 27]\n  optim.lr: [0.1, 0.2]\n")
    assert rows(found) == [("S4D", "–", "0.1"), ("S4D", "–", "0.2"), ("Gated", "3", "0.1"), ("Gated", "3", "0.2"),
                           ("Gated", "9", "0.1"), ("Gated", "9", "0.2"), ("Gated", "27", "0.1"), ("Gated", "27", "0.2")]
    assert found.axes["model.args.kernel"] == ["3", "9", "27", "–"]
    assert len({run.run_id for run in found.runs}) == 8
    assert [run.config.model.args for run in found.runs][-1] == {"kernel": 27}
    plain = grid("")
    assert plain.runs[0].run_id in {run.run_id for run in grid("  model.args.kernel: [3]\n").runs}
    only = grid("  model.args.kernel: [3, 9]\n", only=["model.args.kernel=9"])
    assert rows(only) == [("Gated", "9")]
    only = grid("  model.args.kernel: [3, 9]\n", only=["model.args.kernel=–"])
    assert rows(only) == [("S4D", "–")]


def test_arguments_stand_in_base_bundles_and_on_the_command_line() -> None:
    found = grid("", sets=["model.args.kernel=9"])
    assert [run.config.model.args for run in found.runs] == [{}, {"kernel": 9}]
    assert grid("", sets=["model.args={kernel: 9}"]).runs[1].run_id == found.runs[1].run_id
    Path("mine.yaml").write_text(Path("mine.yaml").read_text().replace(
        '{model.name: "my_m:Mine"}', '{model: {name: "my_m:Mine", args: {kernel: 9}}}'))
    assert grid("").runs[1].run_id == found.runs[1].run_id
    config = found.runs[1].config
    assert RunConfig.model_validate(config.model_dump(mode="json")).run_id == config.run_id
    assert config.get("model.args.kernel") == 9 and config.flat()["model.args.kernel"] == 9
    assert config.shape != grid("").runs[0].config.shape


def test_an_initialization_has_arguments_too() -> None:
    found = grid('  ssm.init: [lin, "my_m:spread"]\n  ssm.init_args.slope: [1.0, 2.0]\nexclude:\n'
                 '- {when: {method: Gated, ssm.init: "my_m:spread"}, because: "not now"}\n')
    assert [row for row in rows(found) if row[0] == "S4D"] == [
        ("S4D", "lin", "–"), ("S4D", "my_m:spread", "1.0"), ("S4D", "my_m:spread", "2.0")]


def test_an_ablation_makes_one_change_at_a_time() -> None:
    text = "  model.args.kernel: [3, 9, 27]\n  optim.lr: [0.1, 0.2]\n  train.batch_size: [50, 25]\n"
    found = grid(text + "ablate: {base: {method: Gated, model.args.kernel: 9, optim.lr: 0.1}}\n")
    assert [row[:3] for row in rows(found) if row[3] == "50"] == [
        ("Gated", "9", "0.1"), ("S4D", "–", "0.1"), ("Gated", "3", "0.1"), ("Gated", "27", "0.1"),
        ("Gated", "9", "0.2")]
    assert len(found.runs) == 10
    assert "did you mean 'method'" in refused("ablate: {base: {methd: Gated}}\n")
    told = refused("ablate: {base: {method: Gatid}}\n")
    assert "g.yaml:9: ablate.base.method: axis 'method' has no value 'Gatid'" in told and "'Gated'" in told


@pytest.mark.parametrize("text, what", [
    ("  model.args.kernle: [3]\n", "g.yaml:9: model.args.kernle: no row takes model.args.kernle\n"
     "    did you mean 'kernel'?"),
    ("  ssm.init_args.slope: [3]\n", "g.yaml:9: ssm.init_args.slope: no row takes"),
    ("  model.args.features: [3]\n", "no row takes model.args.features"),
    ("  model.args.kernel: [{a: {b: 1}}]\n", "must be a plain value"),
    ('    Wide: {model.name: "my_m:Wide", model.args.kernle: 3}\n', "g.yaml:9: model.args.kernle: my_m:Wide takes no "
     "argument 'kernle'\n    did you mean 'kernel'?"),
    ('    Typed: {model.name: "my_m:Typed", model.args.kernel: 3}\n', "my_m:Typed takes no argument 'kernel'"),
    ("    Other: {model.args.kernel: 3}\n", "no row takes model.args.kernel")])
def test_an_argument_that_nothing_takes_is_told_with_its_line(text: str, what: str) -> None:
    assert what in refused(text)


def test_an_argument_of_another_type_is_told_by_plan(capsys: pytest.CaptureFixture[str]) -> None:
    grid('    Typed: {model.name: "my_m:Typed", model.args.width: "4", model.args.sizes: [1, x]}\n'
         "  model.args.kernel: [nine]\n")
    assert main(["plan", "g.yaml"]) == 2
    err = capsys.readouterr().err
    assert "g.yaml:9: model.args.width: my_m:Typed takes int as width, not '4'" in err
    assert "g.yaml:9: model.args.sizes: my_m:Typed takes list[int] as sizes, not [1, 'x']" in err
    assert "g.yaml:10: model.args.kernel: my_m:Mine takes a number (its default is 3) as kernel, not 'nine'" in err
    grid('    Typed: {model.name: "my_m:Typed"}\n')
    assert main(["plan", "g.yaml"]) == 2
    assert "g.yaml:9: model.name: my_m:Typed needs 2 arguments: width" in capsys.readouterr().err.replace(
        "3 arguments: features, width", "2 arguments: width")


def test_a_layer_asks_by_name(study: Path) -> None:
    from suite.config import signature
    from suite.config.fields import SSM
    from suite.config.plugin import load

    own = load("my_m:Typed", "model.name")
    given = {"features": 4, "length": 9, "bidirectional": False, "rate": 1.0}
    made = signature.call("my_m:Typed", own, SSM(state_size=8), given, {"width": 3, "sizes": (1, 2)})
    assert made.given == (3, 8, (1, 2))
    asks = signature.call("x", lambda features, length, rate, bidirectional, args: (length, rate, args), SSM(), given,
                          {"a": 1})
    assert asks == (9, 1.0, {"a": 1})
