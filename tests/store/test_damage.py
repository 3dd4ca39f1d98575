"""Damage and refusal, as a job meets it: each is named, set aside or left alone, and nothing is lost."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_training import config, scores, training
from one_run import OFTEN, ROWS, RUN, break_at, ends_well, names
from places import fill, read_only, small_disk

from suite.errors import UserError
from suite.files import atomic
from suite.job.job import run
from suite.store.folder import checkpoints
from suite.store.store import Store


def damaged_sizes(size: int) -> list[int]:
    return sorted({0, 1, 100, size // 2, size - 1, *range(1024, size, 1024)})


def test_a_truncated_checkpoint_is_set_aside_and_the_one_before_it_used(folder: Path,
                                                                       caplog: pytest.LogCaptureFixture) -> None:
    run(folder, OFTEN, training(fault="error", at=17, ballast=16_000))
    newest, second = (folder / name for _, name in checkpoints(folder))
    whole, older = newest.read_bytes(), second.read_bytes()
    assert len(damaged_sizes(len(whole))) > 120
    for size in damaged_sizes(len(whole)):
        newest.write_bytes(whole[:size])
        second.write_bytes(older)
        state = run(folder, OFTEN, training(fault="error", at=16))
        assert state.name == "failed"  # it starts at step 16, where the one before was made
        assert f"{newest.name} is damaged; it is now {newest.name}.corrupt-" in caplog.text
    ends_well(folder)
    assert len([n for n in names(folder) if ".corrupt-" in n]) == len(damaged_sizes(len(whole)))


def test_without_a_whole_checkpoint_it_starts_anew(folder: Path) -> None:
    break_at(folder, 17)
    for _, name in checkpoints(folder):
        (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    assert break_at(folder, 0).epochs == 0
    assert ends_well(folder).mixed == []


def put_checkpoint(folder: Path, step: int, data: bytes) -> Path:
    path = folder / f"checkpoint-{step:09d}-{hashlib.sha256(data).hexdigest()[:16]}.pt"
    path.write_bytes(data)
    return path


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("pwned",)


def test_a_pickle_in_place_of_a_checkpoint_is_never_executed(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                             tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save({"run_id": RUN.run_id, "trainer": Evil()}, buffer)
    for step, data in ((31, pickle.dumps(Evil())), (32, buffer.getvalue()), (33, b"")):
        put_checkpoint(folder, step, data)
    ends_well(folder)
    assert not (tmp_path / "pwned").exists() and len([n for n in names(folder) if ".corrupt-" in n]) == 3


def test_a_checkpoint_of_another_configuration_is_named_and_kept(folder: Path, store: Store) -> None:
    other = store.add(config(7))
    break_at(other, 12)
    name = checkpoints(other)[0][1]
    (folder / name).write_bytes((other / name).read_bytes())
    state = run(folder, OFTEN, training())
    assert (state.name, state.reason) == ("failed", "error")
    assert f"of run {other.name}, not of {folder.name}" in state.detail and "move the file away" in state.detail
    assert (folder / name).exists()
    (folder / name).unlink()
    ends_well(folder)


def test_a_truncated_result_is_made_again_from_the_last_checkpoint(folder: Path, store: Store) -> None:
    ends_well(folder)
    whole = (folder / "result.json").read_bytes()
    other = atomic.seal({"id": "0" * 16, "rows": [], "epochs": 3})
    for damaged in (b"", whole[:1], whole[:len(whole) // 2], whole[:-2], other):
        (folder / "result.json").write_bytes(damaged)
        assert store.state(RUN.run_id).name == "partial" and "result.json" in store.state(RUN.run_id).detail
        state = run(folder, OFTEN, training(fault="error", at=0))  # would fail if it started again
        assert state.name == "done" and scores(store.rows(RUN.run_id)) == ROWS
    assert {f"result.json.corrupt-{n}" for n in range(1, 6)} < names(folder)


def test_half_a_line_of_metrics_and_a_damaged_record_are_set_aside(folder: Path, store: Store) -> None:
    break_at(folder, 25)
    metrics = (folder / "metrics.jsonl").read_bytes()
    (folder / "metrics.jsonl").write_bytes(metrics[:-9])
    (folder / "provenance.json").write_bytes(b'{"sha256":')
    state = store.state(RUN.run_id)
    assert (state.name, state.epochs) == ("failed", 1)
    ends_well(folder)
    assert {"metrics.jsonl.corrupt-1", "provenance.json.corrupt-1"} < names(folder)


def test_a_config_of_another_run_fails_clearly(folder: Path, store: Store) -> None:
    (folder / "config.json").write_bytes((store.add(config(7)) / "config.json").read_bytes())
    state = run(folder, OFTEN, training())
    assert state.reason == "error" and f"of run {config(7).run_id}, not of {RUN.run_id}" in state.detail


def test_a_run_folder_that_is_a_link_is_refused(folder: Path, store: Store, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    state = run(folder, OFTEN, training())
    assert state.name == "failed" and "symbolic link" in state.detail and names(folder) == {"config.json"}


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        store = Store(tmp_path / "disk" / "store")
        folder = store.add(RUN)
        break_at(folder, 12)
        filler = fill(tmp_path / "disk")
        state = run(folder, OFTEN, training())
        assert state.name != "failed" and state.reason == "start" and "the disk is full" in state.detail
        assert [step for step, _ in checkpoints(folder)][0] >= 12
        assert store.state(RUN.run_id).name in ("failed", "lost", "partial")  # failed: by the attempt before
        filler.unlink()
        ends_well(folder)


def test_a_read_only_folder_is_named(folder: Path, store: Store) -> None:
    break_at(folder, 12)
    with read_only(folder):
        state = run(folder, OFTEN, training())
        assert state.name != "failed" and state.reason == "start"
        assert "cannot be written: read-only" in state.detail and str(folder) in state.detail
    assert ends_well(folder).attempts == 3


def test_errors_of_the_system_are_explained() -> None:
    for number, words in ((28, "disk is full"), (122, "disk is full"), (30, "read-only"), (13, "read-only"),
                          (95, "no hard links")):
        told = atomic.explain(OSError(number, "…", "a/file"))
        assert isinstance(told, UserError) and words in str(told) and "a/file" in str(told)
    assert "no hard links" in str(atomic.explain(OSError(1, "…", "a", None, "b")))
    assert atomic.explain(OSError(5, "Input/output error")) is None
