"""Running other programs, such as git and the commands of SLURM. Only this module starts them.

Environment variables of the user may change what such a command does or prints. So a caller names the variables that
must not reach it (`drop`), and exceptions (`keep`). Messages are in English, because LC_ALL is C. Note that a command
may pass its environment on, as `sbatch` does to a job.

Only the exit status (`Completed.status`) says whether a command has worked; its output never does. A command that
cannot be started, or that takes too long, raises OuterError, whose text is a sentence for the user.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

OWN = {"LC_ALL": "C"}  # added to the environment of each command
LANGUAGE = "LANGUAGE"  # GNU's gettext reads it first
WHY = {errno.ENOEXEC: "it is neither a program nor a script that starts with `#!`",
       errno.E2BIG: "the command or the environment is too long"}
AFTER_KILL_S = 5.0  # a killed command must close its output within this time


class OuterError(Exception):
    """A command did not start, or did not end in time. The message is a sentence with command and reason.

    `missing`: there is no command of this name, as opposed to one that does not work.
    """

    def __init__(self, text: str, missing: bool = False) -> None:
        super().__init__(text)
        self.missing = missing


@dataclass(frozen=True)
class Completed:
    """A command that has ended: its exit status (negative for a signal), and what it wrote."""

    command: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.status == 0

    @property
    def text(self) -> str:
        """Its stdout. Bytes that are not UTF-8 become the replacement character."""
        return self.stdout.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """The first line that it wrote to stderr, or else its exit status, for a message."""
        lines = (line.strip() for line in self.stderr.decode(errors="replace").splitlines())
        return next(filter(None, lines), f"{Path(self.command[0]).name} ended with status {self.status}")


def environment(drop: Iterable[str] = (), keep: Iterable[str] = (), add: Mapping[str, str] | None = None,
                ) -> dict[str, str]:
    """The environment of a command: a copy of this process's, without the variables that match a pattern of `drop`.

    A pattern is a name that may contain `*`, as `GIT_*`. Names that match a pattern of `keep` are kept. Variables in
    `add` override the rest.
    """
    drop, keep = (*drop, LANGUAGE), tuple(keep)
    ours = {name: value for name, value in os.environ.items()
            if not _matches(name, drop) or _matches(name, keep)}
    return {**ours, **OWN, **(add or {})}


def call(command: Sequence[str | os.PathLike[str]], *, timeout_s: float, cwd: Path | None = None,
         stdin: bytes | None = None, drop: Iterable[str] = (), keep: Iterable[str] = (),
         add: Mapping[str, str] | None = None) -> Completed:
    """Run a command to its end, and return its exit status and output.

    command: the program and its arguments, without a shell. timeout_s: seconds after which the command and all its
    children are killed. cwd: its working folder. stdin: its input, empty by default. drop, keep, add: see
    `environment`. Raises OuterError if the command cannot be started or does not end in time.
    """
    words = tuple(os.fspath(word) for word in command)
    env = environment(drop, keep, add)
    try:
        process = subprocess.Popen(words, cwd=cwd, env=env, start_new_session=True, stdout=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                                   stderr=subprocess.PIPE)
    except (OSError, ValueError) as error:  # ValueError: a null byte in a word
        raise _not_started(words[0], cwd, error, env) from None
    try:
        stdout, stderr = process.communicate(stdin, timeout_s)
    except subprocess.TimeoutExpired:
        raise OuterError(f"{Path(words[0]).name} did not end within {timeout_s:g} seconds") from None
    finally:
        _end(process)
    return Completed(words, process.returncode, stdout, stderr)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _not_started(name: str, cwd: Path | None, error: Exception, env: Mapping[str, str]) -> OuterError:
    """Why a command did not start, in a sentence."""
    short = Path(name).name
    if not isinstance(error, OSError):
        return OuterError(f"{short} cannot be started: {error}")
    if cwd is not None and not cwd.is_dir():
        return OuterError(f"{short} cannot be started in {cwd}: there is no such folder")
    if isinstance(error, FileNotFoundError):
        if there := shutil.which(name, path=env.get("PATH")):
            return OuterError(f"{there} cannot be started: the program named in its first line was not found")
        return OuterError(f"{short} is not installed", missing=True)
    return OuterError(f"{short} cannot be started: {WHY.get(error.errno or 0, error.strerror)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and all its children, unless it has ended."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # a process that left the session still has the output open
            process.communicate(timeout=AFTER_KILL_S)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()
