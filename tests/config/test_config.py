"""Identity: what a run's id depends on, and what it does not."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from suite import machine
from suite.config.fields import Group, Legacy, Train, without_legacy
from suite.config.run_config import RunConfig, choices, fields, is_field
from suite.errors import UserError

BASE = {"task": "scifar", "data.variant": "sample"}
# A value for each field that differs from what BASE gives, and is allowed for the field alone.
OTHER: dict[str, Any] = {"data.name_source": "0123",
    "task": "image", "seed": 7, "ssm.init_source": "1:abc", "ssm.re_clamp": 0.5, "ssm.rank": 1,
    "ssm.relu_floor": 0.0, "ssm.init": "quad", "ssm.imag_scale": 100, "ssm.c_variance": 2.0, "ssm.state_size": 16,
    "ssm.copies": 2, "ssm.dt_min": 1e-4, "ssm.dt_max": 1.0, "ssm.softmax_eps": 1e-7, "ssm.c_tilde": True,
    "ssm.inverse_b": 0.1, "ssm.ring_min": 0.5, "ssm.ring_max": 0.99, "ssm.ring_phase": 3.0, "ssm.ptd_eps": 0.01,
    "ssm.ptd_steps": 9,
    "ssm.kernel_length": 32, "ssm.blocks": 2, "ssm.free_squash": 0.002, "ssm.free_dropout": 0.1,
    "ssm.b_init": "hippo", "model.name": "fractions:Fraction", "model.name_source": "1:abc",
    "ssm.kernel_source": "1:abc", "ssm.discretization_source": "1:abc", "ssm.re_constraint_source": "1:abc",
    "model.args": {"a": 1}, "ssm.init_args": {"a": 1}, "model.layers": 2, "model.features": 32,
    "model.dropout": 0.1, "model.prenorm": True, "model.bidirectional": True, "data.pool": 2, "data.train_count": 100,
    "optim.lr": 0.1, "optim.weight_decay": 0.0, "optim.ssm_lr": 0.01, "optim.dt_lr": 0.5, "optim.warmup_epochs": 0,
    "optim.milestones": [3], "optim.gamma": 0.9, "train.epochs": 3, "train.batch_size": 10, "train.buckets": 8,
    "train.select": "min val/loss", "train.evaluate": ["val", "test"],
}


def other(name: str, base: RunConfig) -> Any:
    if name in OTHER:
        return OTHER[name]
    value = base.get(name)
    return not value if isinstance(value, bool) else next(c for c in choices(name) if c != value)


def scientific_fields() -> list[str]:
    return [name for name in [*fields(), "data.pool", "data.train_count"] if name not in ("data.name", "kind",
            "data.variant", "data.preparation") and not name.startswith("bench.")]


@pytest.mark.parametrize("name", scientific_fields())
def test_each_scientific_field_changes_the_id(name: str) -> None:
    base = RunConfig.build(BASE)
    changed = RunConfig.build(BASE | {name: other(name, base)})
    assert changed.get(name) != base.get(name)
    assert changed.run_id != base.run_id


def test_data_variant_and_the_version_of_its_preparation_change_the_id() -> None:
    base = RunConfig.build(BASE)
    ids = {RunConfig.build(BASE | {"data.variant": "jpeg"}).run_id, base.run_id}
    again = base.model_dump(mode="json")
    again["data"]["preparation"] += 1
    ids.add(RunConfig.model_validate(again).run_id)
    assert len(ids) == 3


@given(st.permutations(sorted(OTHER)), st.data())
def test_the_id_does_not_depend_on_order_or_on_defaults_spelled_out(order: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.sampled_from([n for n in order if n != "task"]), max_size=12))
    settings = BASE | {name: OTHER[name] for name in order if name in chosen}
    plain = RunConfig.build(settings)
    spelled = [(name, value) for name, value in plain.flat().items() if is_field(name) or name in settings]
    for seed in (0, 1):
        reordered = data.draw(st.permutations(spelled))
        assert RunConfig.build(dict(reordered)).run_id == plain.run_id, seed


@given(st.sampled_from(sorted(fields())), st.data())
def test_an_id_survives_its_way_through_json(name: str, data: st.DataObject) -> None:
    value = data.draw(st.just(OTHER[name]) if name in OTHER else st.none())
    built = RunConfig.build(BASE | ({name: value} if value is not None else {}))
    assert RunConfig.model_validate_json(built.model_dump_json()).run_id == built.run_id


def test_whole_numbers_are_reals_but_truth_values_are_not_numbers() -> None:
    assert RunConfig.build(BASE | {"ssm.imag_scale": 100}).run_id == \
        RunConfig.build(BASE | {"ssm.imag_scale": 100.0}).run_id
    for bad in ({"ssm.imag_scale": True}, {"ssm.train_b": 1}, {"train.epochs": 3.0}, {"ssm.imag_scale": float("nan")}):
        with pytest.raises(ValidationError):
            RunConfig.build(BASE | bad)
    RunConfig.build(BASE | {"ssm.imag_scale": 1})  # in the cache 1 and True must not be mixed up
    with pytest.raises(ValidationError):
        RunConfig.build(BASE | {"ssm.imag_scale": True})


def test_a_measurement_s_id_holds_the_machine_and_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"kind": "bench", "bench.kernel": "softmax"}
    built = RunConfig.build(settings)
    others = [RunConfig.build(settings | {name: value}) for name, value in (
        ("bench.threads", 2), ("bench.length", 16), ("bench.kernel", "dplr"), ("bench.repeats", 9),
        ("bench.backends", ["blocked"]), ("ssm.state_size", 16), ("model.features", 8))]
    monkeypatch.setattr(machine, "machine", lambda: "another machine")
    others.append(RunConfig.build(settings))
    assert len({built.run_id, *(other.run_id for other in others)}) == len(others) + 1
    assert RunConfig.model_validate_json(built.model_dump_json()).run_id == built.run_id


def test_the_shapes_that_earlier_prices_are_known_by() -> None:
    assert RunConfig.build({"task": "scifar"}).shape == "812a206ec9eae572"
    assert RunConfig.build({"kind": "bench", "bench.device": "cuda"}).shape == "5e2c23fe94f9b57f"


def test_no_resource_is_a_field() -> None:
    resources = ("device", "thread", "gpu", "worker", "path", "store", "host", "backend", "compile", "until", "timeout",
                 "checkpoint", "jobs", "executor", "partition", "memory")
    assert [name for name in fields() if any(word in name for word in resources) and "bench." not in name] == []


def test_a_field_added_later_leaves_the_id_at_its_legacy_value() -> None:
    class Later(Train):
        label_smoothing: Annotated[float, Legacy(0.0)] = 0.1

    before = Train(select="max val/accuracy")
    old, new = Later(select="max val/accuracy", label_smoothing=0.0), Later(select="max val/accuracy")
    assert old.canonical == before.canonical
    assert new.canonical != before.canonical and "label_smoothing" in without_legacy(new)


def test_ids_are_for_ever() -> None:
    # These ids name stored results. A change here relabels every result that anybody has: give the new field a Legacy.
    assert {name: RunConfig.build(values).run_id for name, values in GOLDEN.items()} == GOLDEN_IDS


GOLDEN = {
    "sample": BASE | {"ssm.init": "lin", "ssm.imag_scale": 0.01, "train.epochs": 3, "data.pool": 2},
    "speech": {"task": "sc_ar", "data.variant": "sc17-2khz", "ssm.init": "inv", "seed": 2},
    "dplr": BASE | {"ssm.structure": "dplr", "ssm.kernel": "cauchy", "ssm.init": "legt"},
}
GOLDEN_IDS = {"sample": "a491fc3654df876f", "speech": "0075b8b9bc55688f", "dplr": "7a603dfe432879c7"}


def test_the_text_that_is_hashed_has_groups_first_then_kind_seed_and_task() -> None:
    for settings, groups in ((BASE, ["data", "model", "optim", "ssm", "train"]),
                             ({"kind": "bench"}, ["bench", "data", "model", "optim", "ssm", "train"])):
        text = RunConfig.build(settings).canonical
        read = json.loads(text)
        assert list(read) == [*groups, "kind", "seed", "task"]
        assert all(list(read[group]) == sorted(read[group]) for group in groups)
        assert text == json.dumps(read, separators=(",", ":"), ensure_ascii=False)


def test_with_seed_changes_the_seed_alone() -> None:
    base = RunConfig.build(BASE)
    _ = base.run_id, base.canonical
    moved = base.with_seed(5)
    assert moved.seed == 5 and moved.run_id == RunConfig.build(BASE | {"seed": 5}).run_id
    assert moved.with_seed(0) == base


def test_what_cannot_change_the_price_does_not_change_the_shape() -> None:
    shape = RunConfig.build(BASE).shape
    assert RunConfig.build(BASE | {"seed": 3, "ssm.init": "inv", "optim.lr": 0.1, "train.epochs": 2}).shape == shape
    for name, value in {"ssm.state_size": 16, "model.layers": 2, "data.pool": 2, "train.batch_size": 10}.items():
        assert RunConfig.build(BASE | {name: value}).shape != shape, name


@pytest.mark.parametrize(("settings", "message"), [
    ({"data.variant": "origami"}, "has no variant 'origami'"),
    ({"data.name": "cifar11"}, "there is no data set 'cifar11'"),
    ({"data.pool": 3}, "3 is not allowed"),
    ({"data.pool": "2"}, "'2' is not of type int"),
    ({"data.puol": 2}, "did you mean 'pool'"),
    ({"data.preparation": 99}, "this code prepares version"),
])
def test_data_settings_are_checked_against_the_card(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        RunConfig.build(BASE | settings)
    assert message in str(caught.value)


def test_groups_refuse_unknown_fields_and_changes() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        RunConfig.build(BASE | {"ssm.inti": "lin"})
    built = copy.deepcopy(RunConfig.build(BASE))
    with pytest.raises(ValidationError, match="frozen"):
        built.ssm.init = "lin"
    assert issubclass(type(built.ssm), Group)


def test_editing_a_user_s_function_makes_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    ids = set()
    for version, body in (("1", "1.0"), ("1", "2.0"), ("2", "2.0")):
        text = f"__version__ = {version!r}\n\n\ndef start(state_size, copies, rng):\n    return {body}\n"
        (tmp_path / "mine.py").write_text(text)
        for field in ("ssm.init", "model.name"):
            built = RunConfig.build(BASE | {field: "mine:start"})
            assert built.get(f"{field}_source").endswith(f" version={version}")
            ids.add((field, built.run_id))
    assert len(ids) == 6 and "mine" not in sys.modules
    with pytest.raises(UserError, match="cannot import 'nowhere'"):
        RunConfig.build(BASE | {"ssm.init": "nowhere:start"})


def test_the_order_of_options_does_not_depend_on_the_process() -> None:
    code = ("from suite.config.run_config import RunConfig\n"
            "print(list(RunConfig.build({'task': 'sc_ar', 'data.variant': 'sc17-2khz'}).data.options))")
    said = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                           env=os.environ | {"PYTHONHASHSEED": seed}).stdout for seed in "123"}
    assert len(said) == 1 and said != {"[]\n"}
