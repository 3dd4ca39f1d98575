"""The shell of a job: what watches it, and what it does when it is asked to end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.launch import shell
from suite.store.attempt import process_start


def test_a_job_hears_that_its_shell_is_gone() -> None:
    with subprocess.Popen(["bash", "-c", f"{shell.EXPORT}; echo ${shell.SHELL}; read"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None and one.stdin is not None
        told, gone = one.stdout.readline().strip(), threading.Event()
        assert told == f"{one.pid} {process_start(one.pid)}"
        assert shell.end_with_shell(told, gone.set)
        assert not gone.wait(0.2)
        one.stdin.close()
        assert gone.wait(10)


@pytest.mark.parametrize("told", ["", "x y", "1 1", f"{2**22 + 1} 5", "here 1"])
def test_a_shell_that_is_not_seen_is_not_watched(told: str) -> None:
    assert not shell.end_with_shell(told.replace("here", str(os.getpid())))  # which started at another time


@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize(("state", "again"), [("RUNNING", True), ("COMPLETING", False), ("", False)])
def test_a_shell_that_is_asked_to_end_while_its_job_runs_has_it_started_again(
        tmp_path: Path, state: str, again: bool, send: Callable[[int, int], None]) -> None:
    for name, text in (("squeue", f"echo {state}"), ("scontrol", f'echo "$@" >{tmp_path}/asked')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    code = f"{shell.GUARD}\necho ready\nsleep 1\necho ended\n"
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    with subprocess.Popen(["bash", "-c", code], text=True, env=env, stdout=subprocess.PIPE,
                          start_new_session=True) as one:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
        time.sleep(0.3)
        send(one.pid, signal.SIGTERM)
        said = one.stdout.read()
    assert one.returncode == 0 and said.endswith("ended\n")
    assert ("job 7_3 was asked to end while SLURM says RUNNING" in said) == again
    assert (tmp_path / "asked").exists() == again
    assert not again or (tmp_path / "asked").read_text() == "requeue 7_3\n"


def test_nothing_is_left_of_a_shell_that_has_ended(tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as file:
        subprocess.run(["bash", "-c", f"{shell.GUARD}\necho $suite_guard"], stdout=file, check=True)
    guard, until = int((tmp_path / "said").read_text()), time.monotonic() + 10
    while process_start(guard) is not None:
        assert time.monotonic() < until
        time.sleep(0.1)
