"""The store: what files say about runs, that reading never writes, and that no damage goes unnoticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_training import config
from hypothesis import given, settings
from hypothesis import strategies as st
from one_run import RUN
from places import claim_of, tree

from suite.errors import UserError
from suite.files import atomic
from suite.store import provenance
from suite.store.folder import check_folder, encode_rows, read_config, read_head, read_result, read_rows
from suite.store.records import AttemptRecord
from suite.store.state import LONGEST, RunState, one_line
from suite.store.store import Store

ROWS = [{"epoch": 1, "step": 10, "train/loss": 0.1, "val/accuracy": 1 / 3},
        {"epoch": 2, "step": 20, "train/loss": 1e-300, "val/accuracy": 2 / 3}]


def result(run_id: str = RUN.run_id, **more: Any) -> bytes:
    return atomic.seal({"id": run_id, "rows": ROWS, "epochs": 2, "shape": "s", "seconds_per_epoch": 2.0} | more)


def test_store_imports_neither_torch_nor_pandas_nor_numpy() -> None:
    code = ("import sys, suite.store.store, suite.store.provenance, suite.launch, suite.launch.local\n"
            "import suite.launch.debug\n"
            "print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_missing_store_has_nothing_and_reading_does_not_make_it(store: Store) -> None:
    assert store.states([RUN, "0" * 16]) == {RUN.run_id: RunState("todo"), "0" * 16: RunState("todo")}
    assert store.rows(RUN.run_id) == [] and store.result(RUN.run_id) is None and store.provenance(RUN.run_id) is None
    assert store.prices() == {} and not store.root.exists()


@pytest.mark.parametrize("name", ["a\nb", "a\rb"])
def test_a_line_break_in_the_path_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"a\\[nr]b.* contains a line break"):
        Store(tmp_path / name)


def test_a_store_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Not a directory"):
        Store(tmp_path / "file").states([RUN])


@pytest.mark.parametrize("run_id", ["../../../etc/pass", "", "0" * 15, "G" * 16, f"{'0' * 16}\n", "0" * 15 + "/"])
def test_what_is_no_id_is_no_path(store: Store, run_id: str) -> None:
    with pytest.raises(ValueError, match="not a run's id"):
        store.folder(run_id)


def test_a_result_is_done_whatever_else_is_there(store: Store) -> None:
    folder = store.add(RUN)
    (folder / "result.json").write_bytes(result())
    (folder / "attempts").mkdir()
    (folder / "attempts" / "0001.json").write_bytes(claim_of(os.getpid(), 1))
    (folder / "metrics.jsonl").write_text("garbage")
    assert store.state(RUN.run_id) == RunState("done", epochs=2)
    assert store.rows(RUN.run_id) == ROWS


def test_every_truncation_of_a_result_is_noticed(store: Store) -> None:
    folder = store.add(RUN)
    whole = result()
    (folder / "metrics.jsonl").write_bytes(encode_rows(ROWS))
    for size in range(len(whole) - 1):
        (folder / "result.json").write_bytes(whole[:size])
        state = store.state(RUN.run_id)
        assert (state.name, state.epochs) == ("partial", 2) and "result.json" in state.detail, size
        assert store.result(RUN.run_id) is None and store.rows(RUN.run_id) == ROWS


def test_a_changed_digit_and_a_result_of_another_run_are_noticed(store: Store) -> None:
    folder = store.add(RUN)
    (folder / "result.json").write_bytes(result().replace(b'"step":10', b'"step":11'))
    assert "does not match its checksum" in store.state(RUN.run_id).detail
    (folder / "result.json").write_bytes(result("f" * 16))
    assert "is of run ffffffffffffffff" in store.state(RUN.run_id).detail


def test_a_result_in_another_layout_is_as_good(store: Store) -> None:
    folder = store.add(RUN)
    (folder / "result.json").write_text(json.dumps(json.loads(result()), indent=2))
    assert store.state(RUN.run_id).name == "done"


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), st.floats(allow_nan=False) | st.text() | st.lists(st.integers())), st.data())
def test_sealed_content_comes_back_and_nothing_else_does(content: dict[str, Any], data: st.DataObject) -> None:
    content.pop("sha256", None)
    content["x"] = 1
    sealed = atomic.seal(content)
    assert atomic.unseal(sealed, "f") == content
    at = data.draw(st.integers(0, len(sealed) - 2))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != sealed[at]))
    with suppress(atomic.Corrupt):
        assert atomic.unseal(sealed[:at] + bytes([other]) + sealed[at + 1:], "f") == content


def test_metrics_are_read_up_to_the_first_bad_line(store: Store) -> None:
    folder = store.add(RUN)
    whole = encode_rows(ROWS)
    first = whole.index(b"\n") + 1
    for size in range(len(whole) + 1):
        (folder / "metrics.jsonl").write_bytes(whole[:size])
        rows, problem = read_rows(folder)
        assert rows == ROWS[:(size >= first) + (size == len(whole))]
        assert bool(problem) == (size not in (0, first, len(whole)))
    (folder / "metrics.jsonl").write_bytes(whole.replace(b'"step":10', b'"step":12'))
    assert read_rows(folder) == ([], "line 1 of metrics.jsonl is corrupt")


def test_reading_never_writes(store: Store) -> None:
    for seed, data in enumerate((result(config(0).run_id), b"{", None)):
        folder = store.add(config(seed))
        if data is not None:
            (folder / "result.json").write_bytes(data)
        (folder / "metrics.jsonl").write_bytes(encode_rows(ROWS)[:-5])
        (folder / "provenance.json").write_bytes(b"{}")
        (folder / "attempts").mkdir()
        (folder / "attempts" / "0001.json").write_bytes(claim_of(1, 1))
    before = tree(store.root)
    store.states([config(seed) for seed in range(4)])
    store.prices()
    for seed in range(4):
        store.rows(config(seed).run_id)
        store.provenance(config(seed).run_id)
    assert tree(store.root) == before


def test_a_folder_that_is_a_link_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    store.root.mkdir()
    store.folder(RUN.run_id).symlink_to(tmp_path / "elsewhere")
    assert store.states([RUN])[RUN.run_id].name == "unknown"
    with pytest.raises(UserError, match="symbolic link"):
        store.add(RUN)
    with pytest.raises(UserError, match="elsewhere"):
        check_folder(store.folder(RUN.run_id))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_config_is_checked_against_the_name_of_its_folder(store: Store) -> None:
    folder = store.add(RUN)
    assert read_config(folder) == RUN and store.add(RUN) == folder
    (folder / "config.json").write_bytes((store.add(config(7)) / "config.json").read_bytes())
    with pytest.raises(UserError, match=f"holds the configuration of run {config(7).run_id}, not of {RUN.run_id}"):
        read_config(folder)
    (folder / "config.json").write_bytes(atomic.seal({"config": {"task": "nonsense"}}))
    with pytest.raises(UserError, match="not a run's configuration"):
        read_config(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="file not found"):
        read_config(folder)


def test_a_truncated_config_is_written_again(store: Store) -> None:
    folder = store.add(RUN)
    (folder / "config.json").write_bytes((folder / "config.json").read_bytes()[:40])
    store.add(RUN)
    assert read_config(folder) == RUN and (folder / "config.json.corrupt-1").stat().st_size == 40


def test_prices_are_medians_of_whole_results(store: Store) -> None:
    for seed, (shape, seconds) in enumerate((("a", 1.0), ("a", 9.0), ("a", 2.0), ("b", 5.0), ("c", None))):
        run = config(seed)
        (store.add(run) / "result.json").write_bytes(result(run.run_id, shape=shape, seconds_per_epoch=seconds))
    (store.add(config(5)) / "result.json").write_bytes(b"{")
    assert store.prices() == {"a": 2.0, "b": 5.0}


def test_the_patch_of_a_dirty_tree_holds_new_changed_and_removed_files(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    for name in ("provenance.py", "changed.py", "removed.py"):
        (code / name).write_text("1\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=code, check=True)
    clean = provenance.of_code(code, tmp_path / "store")
    assert len(clean.commit) == 40 and clean.dirty is False and not (tmp_path / "store").exists()
    (code / "changed.py").write_text("2\n")
    (code / "removed.py").unlink()
    (code / "new.py").write_text("3\n")
    before = subprocess.run(["git", "status", "--porcelain"], cwd=code, capture_output=True, check=True).stdout
    dirty = provenance.of_code(code, tmp_path / "store")
    patch = (tmp_path / "store" / dirty.patch).read_text()
    assert dirty.dirty and patch.count("diff --git") == 3 and "+3" in patch and "+2" in patch
    assert subprocess.run(["git", "status", "--porcelain"], cwd=code, capture_output=True, check=True).stdout == before
    assert provenance.of_code(tmp_path, tmp_path / "store").error.startswith("fatal: not a git repository")
    assert provenance.code([AttemptRecord(git=git) for git in (clean, dirty, clean)]).count(", then ") == 1


def test_a_store_in_the_repository_does_not_change_the_code(tmp_path: Path) -> None:
    (tmp_path / "provenance.py").write_text("1\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    store = tmp_path / "my [runs]"
    (store / "snapshot").mkdir(parents=True)
    (store / "snapshot" / "code.py").write_text("2\n")
    assert provenance.of_code(tmp_path, store).dirty is False
    (tmp_path / "new.py").write_text("3\n")
    patch = provenance.of_code(tmp_path, store).patch
    assert (store / patch).read_text().count("diff --git") == 1


@pytest.mark.parametrize("rows", [[], [{"epoch": 1, "val/loss": 0.5}], [{"epoch": 1, 'odd}],': 1.0, '"rows":[{': 2.0}]])
def test_the_head_of_a_result_is_the_result_without_its_rows(tmp_path: Path, rows: list[dict[str, float]]) -> None:
    folder = tmp_path / "0123456789abcdef"
    folder.mkdir()
    result = {"id": folder.name, "rows": rows, "epochs": len(rows), "shape": "s", "device": '"rows":[{ }],"'}
    sealed = atomic.seal(result)
    (folder / "result.json").write_bytes(sealed)
    assert read_result(folder).content() == result
    head = read_head(folder / "result.json")
    expected = {key: value for key, value in result.items() if key != "rows"}
    assert {key: head.content()[key] for key in expected} == expected
    (folder / "result.json").write_bytes(sealed.replace(b'"shape":"s"', b'"shape":"t"'))
    with pytest.raises(atomic.Corrupt):
        read_head(folder / "result.json")


def test_what_to_do_is_not_cut_off_an_error_and_others_end_with_a_sentence_or_a_word() -> None:
    ways = "get the file again. " * 60 + "Or choose another variant: --set data.variant=sample"
    assert one_line(UserError("it is damaged", "train.parquet", ways)) == f"train.parquet: it is damaged, {ways}"
    assert one_line(ValueError("A sentence. " * 60)) == "A sentence. " * (LONGEST // 12) + "…"
    assert one_line(ValueError("word " * 150)) == "word " * (LONGEST // 5 - 1) + "word …"
    assert one_line(ValueError("x" * 600)) == "x" * LONGEST + " …"
