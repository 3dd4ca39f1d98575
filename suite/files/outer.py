"""Commands of other programs, such as git and SLURM's: the one place of the suite that starts them.

The variables of the user's environment may change what such a command does or prints. So a caller names those that must
not reach it (`drop`), and exceptions from that (`keep`). Messages are in English, because LC_ALL is C. Note that a
command may pass its environment on, as `sbatch` does to a job.

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
    """A command did not start, or did not end in time. The text is a sentence with the command's name and the reason.

    `missing` says that there is no command of this name, as opposed to one that does not work.
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
        """What it wrote to stdout. Bytes that are not UTF-8 become the replacement character."""
        return self.stdout.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """The first line that it wrote to stderr, or else its exit status, for a message."""
        lines = (line.strip() for line in self.stderr.decode(errors="replace").splitlines())
        return next(filter(None, lines), f"{Path(self.command[0]).name} ended with status {self.status}")


def environment(drop: Iterable[str] = (), keep: Iterable[str] = (), add: Mapping[str, str] | None = None,
                ) -> dict[str, str]:
    """The environment of a command: a copy of ours without the variables that match a pattern of `drop`.

    A pattern is a name that may have `*` in it, as `GIT_*`. A name that matches one of `keep` stays. Variables in `add`
    override the rest.
    """
    drop, keep = (*drop, LANGUAGE), tuple(keep)
    ours = {name: value for name, value in os.environ.items()
            if not _matches(name, drop) or _matches(name, keep)}
    return {**ours, **OWN, **(add or {})}


def call(command: Sequence[str | os.PathLike[str]], *, timeout_s: float, cwd: Path | None = None,
         stdin: bytes | None = None, drop: Iterable[str] = (), keep: Iterable[str] = (),
         add: Mapping[str, str] | None = None) -> Completed:
    """Run a command to its end, and return its exit status and output.

    command: the program and its arguments; no shell reads them. timeout_s: seconds after which it is killed, with all
    that it has started. cwd: its folder. stdin: its input, which is empty by default. drop, keep, add: see
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
            return OuterError(f"{there} cannot be started: the program that its first line names is not there")
        return OuterError(f"{short} is not installed", missing=True)
    return OuterError(f"{short} cannot be started: {WHY.get(error.errno or 0, error.strerror)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a command, and all that it has started, if it has not ended by itself."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # a process that left the session still holds the output
            process.communicate(timeout=AFTER_KILL_S)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()
