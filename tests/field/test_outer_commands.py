"""Commands of other programs: their environment, a failure to start, a time limit."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from suite.files.outer import OuterError, call
from suite.store.attempt import process_start


def script(folder: Path, text: str, name: str = "tool", mode: int = 0o755) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_exit_status_and_the_output_are_returned(tmp_path: Path) -> None:
    done = call(["sh", "-c", "cat; echo words >&2; exit 3"], stdin=b"in", timeout_s=5)
    assert (done.status, done.ok, done.text, done.complaint) == (3, False, "in", "words")


def test_a_command_without_input_does_not_wait_for_the_terminal() -> None:
    assert call(["cat"], timeout_s=5).text == ""


def test_variables_are_dropped_kept_and_added(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOOL_A", "TOOL_CONF", "OTHER", "LANGUAGE", "LC_ALL"):
        monkeypatch.setenv(name, "user")
    told = call(["env"], timeout_s=5, drop=["TOOL_*"], keep=["TOOL_CONF"], add={"NEW": "1"}).text.splitlines()
    assert "TOOL_CONF=user" in told and "OTHER=user" in told and "NEW=1" in told and "LC_ALL=C" in told
    assert not [line for line in told if line.startswith(("TOOL_A", "LANGUAGE"))]
    assert os.environ["TOOL_A"] == "user"


@pytest.mark.parametrize(("text", "mode", "told"), [
    ("#!/bin/sh\n", 0o644, "tool cannot be started: Permission denied"),
    ("echo hello\n", 0o755, "tool cannot be started: it is neither a program nor a script"),
    ("#!/no/such/shell\n", 0o755, "the program named in its first line was not found"),
])
def test_what_cannot_be_started_is_a_sentence(tmp_path: Path, text: str, mode: int, told: str) -> None:
    with pytest.raises(OuterError, match=told) as error:
        call([script(tmp_path, text, mode=mode)], timeout_s=5)
    assert not error.value.missing


def test_other_failures_to_start_are_sentences_too(tmp_path: Path) -> None:
    with pytest.raises(OuterError, match="no-such-tool is not installed") as error:
        call(["no-such-tool"], timeout_s=5)
    assert error.value.missing
    with pytest.raises(OuterError, match="there is no such folder"):
        call(["true"], cwd=tmp_path / "gone", timeout_s=5)
    with pytest.raises(OuterError, match="too long"):
        call(["true", "x" * 3_000_000], timeout_s=5)
    with pytest.raises(OuterError, match="null byte"):
        call(["true", "a\0b"], timeout_s=5)


def test_what_hangs_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    start = time.monotonic()
    with pytest.raises(OuterError, match="did not end within 0.3 seconds"):
        call(["sh", "-c", f"sleep 60 & echo $! > {mark}; wait"], timeout_s=0.3)
    assert time.monotonic() - start < 5
    for _ in range(200):
        if process_start(int(mark.read_text())) is None:
            return
        time.sleep(0.01)
    raise AssertionError("what the command has started lives on")
