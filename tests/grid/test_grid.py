"""The grid language: what it expands to, and one clear error for each way to get it wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from suite.data import cards
from suite.errors import UserError
from suite.grid import schema
from suite.grid.expand import load_grid
from suite.grid.model import Grid

BASE = "base: {task: scifar, data.variant: sample}\n"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def grid(tmp_path: Path):
    def load(text: str, head: str = "name: g\n" + BASE, **options) -> Grid:
        (tmp_path / "g.yaml").write_text(head + text, encoding="utf-8")
        return load_grid(tmp_path / "g.yaml", **options)
    return load


@pytest.fixture
def errors(grid):
    def told(text: str, **options) -> str:
        with pytest.raises(UserError) as caught:
            grid(text, **options)
        return "\n".join(map(str, caught.value.problems))
    return told


def test_axes_multiply_with_the_seeds_innermost(grid) -> None:
    g = grid("axes:\n  ssm.init: [lin, inv]\n  size: {small: {model.features: 32}, big: {model: {features: 64}}}\n"
             "seeds: [5, 3]\n")
    assert [(r.labels["ssm.init"], r.labels["size"], r.config.seed) for r in g.runs] == [
        (i, s, seed) for i in ("lin", "inv") for s in ("small", "big") for seed in (5, 3)]
    assert [r.config.model.features for r in g.runs[:4]] == [32, 32, 64, 64]
    assert g.axes == {"ssm.init": ["lin", "inv"], "size": ["small", "big"]} and g.seeds == (5, 3)


def test_zip_varies_together_and_blocks_are_a_union(grid) -> None:
    g = grid("""
axes: {ssm.init: [lin]}
blocks:
  - zip: {ssm.dt_min: [1e-4, 1e-3], ssm.dt_max: [0.01, 0.1]}
  - axes: {ssm.init: [inv]}
    seeds: {range: 2}
""")
    assert [(r.config.ssm.init, r.config.ssm.dt_min, r.config.ssm.dt_max, r.config.seed) for r in g.runs] == [
        ("lin", 1e-4, 0.01, 0), ("lin", 1e-3, 0.1, 0), ("inv", 1e-3, 0.1, 0), ("inv", 1e-3, 0.1, 1)]


def test_a_grid_of_far_too_many_runs_is_refused_at_once(errors) -> None:
    many = "[" + ", ".join(map(str, range(1, 101))) + "]"
    told = errors(f"axes: {{model.layers: {many}, train.epochs: {many}}}\nseeds: {{range: 10000}}\n")
    assert "g.yaml:1: the grid expands to 100,000,000 runs; the limit is 20,000" in told


def test_rules_and_exclude_leave_runs_out_with_their_reasons(grid) -> None:
    g = grid("""
axes:
  ssm.kernel: [softmax, vandermonde]
  ssm.discretization: [zoh, bilinear]
  ssm.re_constraint: [exp, none]
exclude:
  - {when: {ssm.kernel: vandermonde, ssm.re_constraint: [none]}, because: seen before}
""")
    assert len(g.runs) == 4
    reasons = {(e.labels["ssm.kernel"], e.labels["ssm.discretization"], e.labels["ssm.re_constraint"]): e.reason
               for e in g.excluded}
    assert reasons == {("softmax", "bilinear", "exp"): "softmax needs ZOH",
                       ("softmax", "bilinear", "none"): "softmax needs ZOH",
                       ("vandermonde", "zoh", "none"): "seen before",
                       ("vandermonde", "bilinear", "none"): "seen before"}


def test_an_axis_of_the_state_space_multiplies_no_other_model(grid) -> None:
    """The identity of a run has every field, so each would be computed again. A user's factory may read them all."""
    own = grid("axes: {model.name: ['suite.models.backbone:Backbone'], ssm.discretization: [bilinear, zoh]}\n")
    assert len(own.runs) == 2
    g = grid("axes: {model.name: [ssm, lstm], ssm.discretization: [bilinear, zoh]}\nseeds: [0, 1]\n")
    assert [tuple(run.labels.values()) for run in g.runs] == [
        ("ssm", "bilinear"), ("ssm", "bilinear"), ("ssm", "zoh"), ("ssm", "zoh"),
        ("lstm", "bilinear"), ("lstm", "bilinear")]
    [out] = g.excluded
    assert out.labels == {"model.name": "lstm", "ssm.discretization": "zoh"}
    assert out.reason == "lstm has no ssm settings: the same model as lstm bilinear"


def test_what_a_family_has_no_choice_of_is_left_out_of_a_product_with_the_reason(grid) -> None:
    g = grid("axes: {model.name: [ssm, lstm, convnet], model.norm: [layer, batch], model.decoder: [pool, last]}\n")
    left_out = {tuple(out.labels.values()): out.reason.partition(": ")[2] for out in g.excluded}
    assert left_out == {
        ("lstm", "batch", "pool"): "leave model.norm at layer", ("lstm", "batch", "last"): "leave model.norm at layer",
        ("convnet", "batch", "pool"): "leave model.norm at layer",
        ("convnet", "layer", "last"): "leave model.decoder at pool",
        ("convnet", "batch", "last"): "leave model.norm at layer, model.decoder at pool"}
    assert len(g.runs) == 12 - len(left_out)


def test_overrides_apply_where_they_match_and_set_has_the_last_word(grid) -> None:
    text = """
axes: {ssm.kernel: [softmax, vandermonde]}
overrides:
  - {when: {ssm.kernel: softmax}, set: {ssm.discretization: zoh}}
  - {set: {train.epochs: 7}}
"""
    assert [(r.config.ssm.discretization, r.config.train.epochs) for r in grid(text).runs] == [
        ("zoh", 7), ("bilinear", 7)]
    assert {r.config.train.epochs for r in grid(text, sets=["train.epochs=2"]).runs} == {2}
    assert [r.labels["ssm.kernel"] for r in grid(text, only=["ssm.kernel=SOFTMAX"]).runs] == ["softmax"]


def test_a_clause_of_the_grid_may_name_labels_of_any_block(grid, errors) -> None:
    text = """
axes: {m: {A: {ssm.init: lin}}}
blocks: [{}, {axes: {m: {B: {ssm.init: inv}}}}]
overrides: [{when: {m: [B]}, set: {train.epochs: 7}}]
"""
    assert {(r.labels["m"], r.config.train.epochs) for r in grid(text).runs} == {("A", 100), ("B", 7)}
    assert errors(text.replace("[B]", "[C]")).count("has no value 'C'") == 1


def test_a_file_that_extends_another_adds_to_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\n" + BASE + "axes: {m: {Lin: {ssm.init: lin}, Inv: {ssm.init: inv}}}\n"
                                     "seeds: [0, 1]\n")
    (tmp_path / "b.yaml").write_text("base: {train.epochs: 9, model.layers: 2}\n")
    (tmp_path / "c.yaml").write_text("name: c\nextends: [a.yaml, b.yaml]\nbase: {model.layers: 1}\n"
                                     "axes: {m: {Inv: null, Mine: {ssm.init: quad}}}\n")
    g = load_grid(tmp_path / "c.yaml")
    assert [r.labels["m"] for r in g.runs] == ["Lin", "Lin", "Mine", "Mine"]
    assert {(r.config.train.epochs, r.config.model.layers) for r in g.runs} == {(9, 1)}


def test_seeds_of_a_grid_win_over_those_that_its_blocks_inherit(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("name: base\n" + BASE + "seeds: {range: 3}\n")
    (tmp_path / "two.yaml").write_text("name: two\nblocks:\n- {extends: base.yaml, axes: {ssm.init: [lin, inv]}}\n"
                                       "- {extends: base.yaml, seeds: [9], axes: {ssm.init: [legs]}}\n")
    assert load_grid(tmp_path / "two.yaml").seeds == (0, 1, 2, 9)
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: two.yaml\nseeds: [200, 201]\n")
    mine = load_grid(tmp_path / "mine.yaml")
    assert [(run.labels["ssm.init"], run.config.seed) for run in mine.runs] == \
        [("lin", 200), ("lin", 201), ("inv", 200), ("inv", 201), ("legs", 9)]
    (tmp_path / "in-vain.yaml").write_text("name: a\nblocks: [{extends: base.yaml, seeds: [1]}]\nseeds: [200]\n")
    with pytest.raises(UserError, match="in-vain.yaml:3: seeds: each block has its own seeds, so these have no"):
        load_grid(tmp_path / "in-vain.yaml")


def test_a_grid_is_the_union_of_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ntitle: A\n" + BASE
                                     + "axes: {m: {Lin: {ssm.init: lin}, Inv: {ssm.init: inv}}}\n")
    (tmp_path / "b.yaml").write_text("name: b\n" + BASE + "axes: {size: {small: {model.features: 16}}}\nseeds: [4]\n")
    (tmp_path / "c.yaml").write_text("name: c\nblocks:\n- {extends: a.yaml, axes: {m: {Inv: null}}}\n"
                                     "- {extends: b.yaml}\n")
    g = load_grid(tmp_path / "c.yaml")
    assert [(r.labels, r.config.seed) for r in g.runs] == [({"m": "Lin"}, 0), ({"size": "small"}, 4)]
    assert (g.name, g.title, g.axes) == ("c", "", {"m": ["Lin"], "size": ["small"]})
    assert g.runs[0].run_id == load_grid(tmp_path / "a.yaml").runs[0].run_id
    (tmp_path / "d.yaml").write_text("name: d\nblocks:\n- {extends: a.yaml}\n- extends: c.yaml\n")
    with pytest.raises(UserError, match="d.yaml:4: extends: a grid that has blocks cannot be a block of another"):
        load_grid(tmp_path / "d.yaml")
    (tmp_path / "e.yaml").write_text("name: e\nblocks: [{extends: e.yaml}]\n")
    with pytest.raises(UserError, match="the grid extends itself: e.yaml → e.yaml"):
        load_grid(tmp_path / "e.yaml")


def test_equal_configurations_are_one_run_under_two_labels(grid) -> None:
    g = grid("axes: {m: {Plain: {}, Spelled: {ssm.init: legs}}}\n")
    assert len(g.runs) == 2 and g.runs[0].run_id == g.runs[1].run_id


def test_a_setting_of_the_command_line_is_for_the_chosen_runs_alone(grid) -> None:
    text = ("axes: {task: {image: {task: scifar}, speech: {task: sc_ar}}, ssm.init: [lin, inv]}\nseeds: [0, 1]\n"
            "base: {data.variant: original, model.decoder: last, model.bidirectional: false}\n")

    def chosen(*only: str) -> list[tuple[str, str, int]]:
        runs = grid(text, head="name: g\n", sets=["data.variant=jpeg"], only=only).runs
        return [(r.labels["ssm.init"], str(r.config.get("data.variant")), r.config.seed) for r in runs]

    assert chosen("task=IMAGE", "seed=1", "model.name=ssm") == [("lin", "jpeg", 1), ("inv", "jpeg", 1)]
    assert chosen("task=scifar", "ssm.init=lin") == [("lin", "jpeg", 0), ("lin", "jpeg", 1)]
    with pytest.raises(UserError, match="has no variant 'jpeg'"):
        chosen("ssm.init=lin")


def test_profiles_change_sizes_only(grid, errors) -> None:
    own = "profiles: {tiny: {overrides: [{set: {model.layers: 1}}], seeds: [0]}}\nseeds: [0, 1, 2]\n"
    assert {r.config.model.layers for r in grid(own).runs} == {4}
    tiny = grid(own, profile="tiny")
    assert [(r.config.model.layers, r.config.seed) for r in tiny.runs] == [(1, 0)] and tiny.profile == "tiny"
    assert "it may change sizes, not what" in errors("profiles: {p: {overrides: [{set: {ssm.init: lin}}]}}\n")
    assert "there is no profile 'hueg'" in errors(own, profile="hueg")
    block = own + ("overrides: [{set: {model.layers: 3}}]\n"
                   "blocks: [{axes: {ssm.init: [lin]}}, {axes: {ssm.init: [inv]}}]\n")
    assert {r.config.model.layers for r in grid(block, profile="tiny").runs} == {1}


@pytest.mark.parametrize("suite_s", ["a", "z"])
def test_a_profile_beside_the_grid_comes_before_the_suite_s(tmp_path, monkeypatch, suite_s: str) -> None:
    for folder, layers in ((suite_s, 1), ("m", 2)):
        (tmp_path / folder / "_profiles").mkdir(parents=True)
        (tmp_path / folder / "_profiles/mini.yaml").write_text(f"overrides: [{{set: {{model.layers: {layers}}}}}]\n")
    monkeypatch.setattr("suite.grid.file.GRIDS", tmp_path / suite_s)
    (tmp_path / "m/g.yaml").write_text("name: g\n" + BASE)
    assert load_grid(tmp_path / "m/g.yaml", profile="mini").runs[0].config.model.layers == 2


TINY = "profiles: {tiny: {overrides: [{set: {model.layers: 1, optim.lr: 0.3}}]}}\n"


def test_a_size_that_is_an_axis_is_not_the_profiles(grid) -> None:
    made = grid(TINY + "axes: {optim.lr: [0.001, 0.1]}\n", profile="tiny")
    assert {(r.labels["optim.lr"], r.config.optim.lr, r.config.model.layers) for r in made.runs} == {
        ("0.001", 0.001, 1), ("0.1", 0.1, 1)}


def test_a_profile_may_not_make_two_cells_one_run(grid, errors) -> None:
    bundles = "axes: {method: {Slow: {optim.lr: 0.001}, Plain: {ssm.init: legs}}}\n"
    told = errors(TINY + bundles, profile="tiny")
    assert "optim.lr: the profile tiny sets optim.lr, which makes method Slow and method Plain the same run" in told
    assert "profiles: {tiny: {overrides: [{when: …, set: {optim.lr: …}}]}}" in told
    mended = TINY.replace("}}]", "}}, {when: {method: Slow}, set: {optim.lr: 0.1}}]")
    assert [r.config.optim.lr for r in grid(mended + bundles, profile="tiny").runs] == [0.1, 0.3]
    assert "--set optim.lr=0.5: this setting makes method Slow and method Plain the same run" in errors(
        bundles, sets=["optim.lr=0.5"])
    assert "--set optim.lr=0.5: this setting makes" in errors(TINY + bundles, profile="tiny", sets=["optim.lr=0.5"])
    assert len(grid(bundles, sets=["optim.lr=0.5"], only=["method=Slow"]).runs) == 1


CUT = "axes: {method: {Whole: {}, Cut: {ssm.kernel_length: 32}, Row: {ssm.kernel_length: 16}}}\n"


def test_a_profile_may_cut_a_kernel_shorter_where_the_grid_cuts_it(grid, errors) -> None:
    def tiny(sets: str) -> str:
        return f"profiles: {{tiny: {{overrides: [{{{sets}}}]}}}}\n" + CUT

    one = tiny("when: {ssm.kernel_length: 32}, set: {ssm.kernel_length: 8}")
    made = {run.labels["method"]: run.config.ssm.kernel_length for run in grid(one, profile="tiny").runs}
    assert made == {"Whole": None, "Cut": 8, "Row": 16}
    told = errors(tiny("set: {ssm.kernel_length: 8}"), profile="tiny")
    assert "ssm.kernel_length: the profile tiny cuts the kernel of method Whole, which the grid does not cut" in told
    assert "when: {ssm.kernel_length: <that of the grid>}" in told
    told = errors(tiny("when: {method: [Cut, Row]}, set: {ssm.kernel_length: 8}"), profile="tiny")
    assert "makes method Cut and method Row the same run" in told
    told = errors(tiny("when: {method: Cut}, set: {ssm.kernel_length: null}"), profile="tiny")
    assert "the profile tiny does not cut the kernel of method Cut, which the grid cuts" in told


def test_a_kernel_is_not_cut_beyond_its_end_and_the_plan_says_so(grid, errors) -> None:
    shorter = "profiles: {tiny: {overrides: [{set: {data.pool: 4}}]}}\n"
    cut = CUT.replace("32", "128").replace("16", "64")
    told = errors(shorter + cut, profile="tiny")  # 64 pixels
    assert "the kernel is cut beyond the end of the sequence" in told and "a profile with shorter sequences" in told
    assert "in method Cut: ssm.kernel_length is 128" in told and "method Row" not in told
    mended = shorter.replace("}}]", "}}, {when: {method: Cut}, set: {ssm.kernel_length: 8}}]")
    assert [r.config.ssm.kernel_length for r in grid(mended + cut, profile="tiny").runs] == [None, 8, 64]
    recall = "task: mqar1, data.length: 16, data.pairs: 3, data.vocabulary: 16"
    head = f"name: g\nseeds: [0]\nbase: {{{recall}, ssm.kernel_length: 16}}\n"
    assert len(grid("", head).runs) == 1
    assert "cut beyond the end of the sequence" in errors("", head=head.replace(": 16}", ": 17}"))


def test_what_a_profile_replaced_is_told(grid) -> None:
    made = grid(TINY + "overrides: [{set: {optim.lr: 0.02}}]\n", profile="tiny")
    assert [text.rpartition(": ")[2] for text in made.resized] == ["optim.lr"] and {
        r.config.optim.lr for r in made.runs} == {0.3}
    assert grid(TINY + "overrides: [{set: {optim.lr: 0.3}}]\n", profile="tiny").resized == ()
    assert grid("overrides: [{set: {optim.lr: 0.02}}]\n", sets=["optim.lr=0.5"]).resized == ()  # that is no profile


def test_what_a_profile_replaced_is_told_however_the_path_is_written(grid, tmp_path, monkeypatch) -> None:
    grid(TINY + "overrides: [{set: {optim.lr: 0.02}}]\n")
    monkeypatch.chdir(tmp_path)
    for path in (Path("g.yaml"), tmp_path / "g.yaml"):
        assert load_grid(path, profile="tiny").resized == ("g.yaml:4: optim.lr",)


@pytest.mark.parametrize("label", ["a/b", "../../up", "100%", "a_b", "R&D", "<b>", "$x$", "ä ×", "'q\""])
def test_labels_may_hold_what_tables_must_escape(grid, label: str) -> None:
    assert grid(f"axes: {{m: {{{json.dumps(label)}: {{ssm.init: lin}}}}}}\n").runs[0].labels == {"m": label}


@pytest.mark.parametrize(("text", "parts"), [
    ("base2: 1\n", ["g.yaml:3: base2", "unknown key 'base2'", "did you mean 'base'", "allowed: base, axes"]),
    ("ssm.init: lin\n", ["g.yaml:3: ssm.init", "must be inside `base:`"]),
    ("bench: {length: 16}\n", ["g.yaml:3: bench", "must be inside `base:`"]),
    ("axes: {ssm.init: [lin, linn]}\n", ["g.yaml:3: ssm.init", "'linn' is not allowed", "did you mean 'lin'", "quad"]),
    ("axes: {ssm.inti: [lin]}\n", ["g.yaml:3: axes.ssm.inti", "is not a field", "did you mean 'ssm.init'"]),
    ("axes: {m: {A: {ssm.kernal: softmax}}}\n", ["unknown field 'ssm.kernal'", "did you mean 'ssm.kernel'"]),
    ("axes: {train.epochs: [many]}\n", ["'many' is not allowed", "it must be an integer"]),
    ("axes: {train.epochs: [3.5]}\n", ["3.5 is not allowed"]),
    ("axes: {ssm.train_b: [1]}\n", ["1 is not allowed", "it must be true or false"]),
    ("axes: {ssm.state_size: [3]}\n", ["3 is not allowed", "multiple of 2"]),
    ("axes: {ssm.dt_min: [.nan]}\n", ["`.nan` is not a finite number"]),
    ("axes: {ssm.train_b: [off]}\n", ["g.yaml:3", "`off` is ambiguous"]),
    ("axes: {ssm.init: []}\n", ["g.yaml:3: axes.ssm.init", "axis 'ssm.init' is empty"]),
    ("axes: {m: {}}\n", ["axis 'm' is empty"]),
    ("axes: {ssm.init: lin}\n", ["must be a list of values or a mapping of labels"]),
    ("axes: {ssm.init: [lin, lin]}\n", ["duplicate value 'lin' in axis 'ssm.init'"]),
    ("axes:\n  m:\n    A: {ssm.init: lin}\n    A: {ssm.init: inv}\n",
     ["g.yaml:6: duplicate key 'A' (first defined on line 5)"]),
    ("axes: {m: {A: 3}}\n", ["value 'A' must be a mapping of settings"]),
    ("seeds: [0, 1, 0]\n", ["g.yaml:3: seeds", "duplicate seed 0"]),
    ("seeds: []\n", ["`seeds:` is empty"]),
    ("seed: 3\n", ["g.yaml:3: seed: `seed` cannot be set here; use `seeds:`", "seeds: [0, 1, 2]"]),
    ("axes: {seed: [1, 2]}\n", ["`seed` cannot be set here; use `seeds:`", "seeds: [0, 1, 2]"]),
    ("seeds: [-1]\n", ["g.yaml:3: seeds.0", "greater than or equal to 0"]),
    ("seeds: {range: 0}\n", ["greater than or equal to 1"]),
    ("seeds: {rnage: 3}\n", ["unknown key 'rnage'", "did you mean 'range'"]),
    ("exclude: [{when: {ssm.init: legs}, because: no}]\n", ["`no` is ambiguous"]),
    ("exclude: [{when: {ssm.init: legs}, because: never}]\n", ["the only run is excluded: never"]),
    ("axes: {ssm.init: [lin, inv]}\nexclude: [{when: {ssm.init: lin}, because: tried}]\n",
     ["g.yaml:3: axes.ssm.init.lin", "every run of 'lin' is excluded: tried"]),
    ("axes: {ssm.kernel: [softmax, vandermonde]}\n", ["every run of 'softmax' is excluded: softmax needs ZOH"]),
    ("axes: {ssm.kernel: [cauchy, vandermonde]}\n", ["the Cauchy kernel is for DPLR only"]),
    ("exclude: [{when: {inti: lin}, because: x}]\n", ["`when` names 'inti', which is neither an axis nor a field"]),
    ("axes: {m: {A: {}}}\nexclude: [{when: {m: B}, because: x}]\n", ["axis 'm' has no value 'B'"]),
    ("exclude: [{because: x}]\n", ["g.yaml:3: exclude.0.when", "required"]),
    ("axes: {a: {X: {ssm.init: lin}}, b: {Y: {ssm.init: inv}}}\n",
     ["axes 'a' and 'b' both set 'ssm.init', to different values"]),
    ("zip: {ssm.dt_min: [1e-4], ssm.dt_max: [0.1, 0.2]}\n", ["differ in length: ssm.dt_min has 1, ssm.dt_max has 2"]),
    ("axes: {ssm.copies: [3]}\n", ["g.yaml:3: ssm.copies", "multiple of ssm.copies", "ssm.copies is 3"]),
    ("axes: {ssm.dt_min: [0.5]}\n", ["ssm.dt_min must be at most ssm.dt_max", "ssm.dt_min is 0.5"]),
    ("axes: {data.variant: [sampel]}\n",
     ["g.yaml:3", "has no variant 'sampel'", "did you mean 'sample'", "--set data.variant=jpeg"]),
    ("axes: {data.name: [mnist]}\n", ["there is no data set 'mnist'", "allowed: aan, bidmc"]),
    ("axes: {data.name: [bidmc]}\n", ["the data set's card does not name this task"]),
    ("axes: {kind: [bench]}\n", ["a kernel benchmark has task none"]),
    ("axes: {task: [none]}\n", ["training needs a task"]),
    ("axes: {bench.length: [16]}\n", ["settings of bench.* need kind: bench"]),
    ("axes: {train.select: [max test/accuracy]}\n", ["must name the task's metric (or loss) on an evaluated split"]),
    ("axes: {m: {A: {}, C: {model: {name: convnet, norm: batch, prenorm: true}}}}\n",
     ["g.yaml:3: axes.m.C", "every run of 'C' is excluded: convnet has no such choice: leave model.norm at layer, "
      "model.prenorm at false"]),
    ("axes: {m: {A: {}, R: {model: {name: xresnet50, layers: 3}}}}\n", ["leave model.layers at 4"]),
    ("axes: {m: {A: {}, T: {model: {name: transformer, mixing: glu}}}}\n", ["leave model.mixing at linear"]),
    ("axes: {task: [sc_ar, sc_bi], model.name: [ssm, resnet18], data.variant: [subset]}\n"
     "exclude: [{when: {task: sc_bi, model.name: resnet18}, because: x}]\n", ["a convolutional network looks ahead"]),
    ("axes: {model.name: [lstm], ssm.init: [lin, inv]}\n",
     ["g.yaml:3: axes.ssm.init.inv", "lstm has no ssm settings: the same model as lstm lin"]),
    ("profile: hueg\n", ["there is no profile 'hueg'", "allowed:", "mini", "paper"]),
    ("extends: nowhere.yaml\n", ["g.yaml:3: extends: file not found: 'nowhere.yaml'"]),
    ("extends: quickstart.yaml\n", ["file not found: 'quickstart.yaml'", "extends: suite:quickstart.yaml"]),
    ("extends: g.yaml\n", ["the grid extends itself: g.yaml → g.yaml"]),
])
def test_bad_input_is_named(errors, text: str, parts: list[str]) -> None:
    told = errors(text)
    assert all(part in told for part in parts), told


@pytest.mark.parametrize("name", ["a/b", "../up", "a b", "100%", "R&D", "<b>", "", ".hidden", "x" * 81])
def test_a_grid_cannot_have_a_name_that_is_no_file_name(errors, name: str) -> None:
    assert "g.yaml:1: name" in errors("", head=f"name: {json.dumps(name)}\n" + BASE)


def test_all_errors_of_a_file_are_told_at_once(errors) -> None:
    told = errors("axes: {ssm.init: [linn], m: {A: {ssm.kernal: x}}}\nseeds: [1, 1]\n")
    assert all(part in told for part in ("linn", "ssm.kernal", "duplicate seed 1"))


def test_a_task_must_be_named(errors) -> None:
    assert "name the task" in errors("", head="name: g\n")


@pytest.mark.parametrize(("options", "message"), [
    ({"sets": ["train.epochs"]}, "expected field=value"),
    ({"sets": ["train.epohcs=3"]}, "did you mean 'train.epochs'"),
    ({"sets": ["train.epochs=x"]}, "'x' is not allowed"),
    ({"sets": ["ssm.init=lin"]}, "cannot set 'ssm.init': it is an axis of this grid"),
    ({"only": ["ssm.init=lni"]}, "did you mean 'lin'"),
    ({"only": ["lin"]}, "--only lin: expected axis=label or field=value"),
    ({"only": ["szie=small"]}, "--only szie=small: unknown axis or field 'szie'\n    did you mean 'size'?"),
    ({"only": ["ssm.init=lin", "seed=4"]}, "no run has that value"),
])
def test_options_are_checked_like_the_file(errors, options: dict, message: str) -> None:
    assert message in errors("axes: {ssm.init: [lin, inv], size: {small: {model.layers: 2}}}\n", **options)


def test_the_schema_takes_what_any_variant_takes() -> None:
    known = schema.grid_schema()["$defs"]["Settings"]["properties"]
    for card in map(cards.load, cards.names()):
        for variant in card.variants.values():
            for key, option in variant.options.items():
                assert set(option.allowed) <= set(known[f"data.{key}"].get("enum", option.allowed))
                assert option.about in known[f"data.{key}"]["description"]


def test_the_schema_in_the_repository_is_today_s() -> None:
    assert (ROOT / "grids/schema.json").read_text(encoding="utf-8") == schema.text(), "run_grid.py schema"


def test_every_grid_of_the_repository_expands() -> None:
    for path in sorted((ROOT / "grids").glob("*.yaml")):
        assert load_grid(path).runs, path


def test_ten_thousand_runs_expand_without_torch(tmp_path: Path) -> None:
    values = ", ".join(f"{i + 1}e-5" for i in range(100))
    (tmp_path / "big.yaml").write_text(f"name: big\n{BASE}axes: {{optim.lr: [{values}], ssm.dt_min: [{values}]}}\n")
    code = ("import sys; from pathlib import Path; from suite.grid.expand import load_grid\n"
            f"assert len({{r.run_id for r in load_grid(Path({str(tmp_path / 'big.yaml')!r})).runs}}) == 10_000\n"
            "heavy = {'torch', 'pandas', 'numpy', 'datasets', 'rich', 'matplotlib'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=20)


def test_both_spellings_of_a_field_are_one_key(grid, tmp_path) -> None:
    """A file laid on another replaces what is said there, however either writes it; a group that is null is gone."""
    def lies_on(under: str, over: str) -> str:
        (tmp_path / "under.yaml").write_text(f"name: u\n{BASE}{under}", encoding="utf-8")
        return grid(over, head="name: g\nextends: under.yaml\n").runs[0].config.ssm.init

    dotted, nested = "overrides: []\naxes: {m: {a: {ssm.init: lin}}}\n", "axes: {m: {a: {ssm: {init: inv}}}}\n"
    assert lies_on(dotted, nested) == "inv"
    assert lies_on(nested, dotted) == "lin"
    assert lies_on(nested, "axes: {m: null}\n") == "legs"


def test_a_field_in_both_spellings_is_a_duplicate(errors) -> None:
    told = errors("axes:\n  m:\n    a:\n      ssm.init: lin\n      ssm: {init: inv}\n")
    assert "g.yaml:7: duplicate key 'ssm.init' (first defined on line 6)" in told
    assert "unknown field 'optimm'" in errors("axes: {m: {a: {optimm: {}}}}\n")


@pytest.mark.parametrize(("axis", "when"), [
    ("data.pool: [1, 2]", "data.pool: 2"),
    ("depth: {2: {model.layers: 2}, 4: {model.layers: 4}}", "depth: 4"),
    ("ssm.imag_scale: [1, 100]", "ssm.imag_scale: 100"),
    ("ssm.imag_scale: [1, 100]", "ssm.imag_scale: 100.0"),
    ("train.evaluate: [[val], [val, test]]", "train.evaluate: [[val, test]]")])
def test_a_clause_means_what_it_says(grid, axis, when) -> None:
    """Values of cards' options, labels that look like numbers, whole numbers for fractions, lists."""
    axes = f"axes: {{{axis}, ssm.init: [lin, inv]}}\n"
    clause = "[{when: {%s, ssm.init: lin}, %s}]\n"
    assert len(grid(axes).runs) == 4
    assert len(grid(axes + "exclude: " + clause % (when, "because: known")).runs) == 3
    rates = [r.config.optim.lr for r in grid(axes + "overrides: " + clause % (when, "set: {optim.lr: 0.5}")).runs]
    assert sorted(rates) == [0.004, 0.004, 0.004, 0.5]


def test_a_clause_of_an_unknown_option_is_an_error(errors) -> None:
    assert "unknown field 'data.zzz'" in errors("exclude: [{when: {data.zzz: 2}, because: known}]\n")


def test_an_axis_stands_in_axes_or_in_zip(errors) -> None:
    assert "axis 'ssm.init' is defined in both `axes:` and `zip:`" in errors(
        "axes: {ssm.init: [legs, lin]}\nzip: {ssm.init: [inv, quad], ssm.state_size: [8, 16]}\n")
