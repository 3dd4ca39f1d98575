"""Errors in the user's code: the exception, with the lines of the user's files first."""

from __future__ import annotations

import traceback
from pathlib import Path

from suite.errors import UserError
from suite.own import modules

HEAD = "error in your own code:"
ROOT = Path(__file__).resolve().parents[2]
OURS = (ROOT / "suite", ROOT / "tests", ROOT / "run_grid.py")


class OwnError(UserError):
    """An error raised by the user's code. `__cause__` is the original, for a debugger; `report` shows its place."""

    def __init__(self, what: str, where: str, fix: str, cause: BaseException) -> None:
        at = place(cause)
        super().__init__(f"{what} ({at})" if at else what, where, fix)
        self.report = lines(cause)


def frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of the user's files, the outermost first."""
    found = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        found.append(traceback.FrameSummary(error.filename, error.lineno, "<module>"))
    return [frame for frame in found if _is_own(Path(frame.filename))]


def _is_own(path: Path) -> bool:
    return path.suffix == ".py" and not any(map(path.is_relative_to, OURS)) and modules.is_local_file(path)


def place(error: BaseException) -> str:
    """The innermost line of the user's files, as `my_methods.py:12, in forward`. "" if no frame is in them."""
    found = frames(error)
    return f"{Path(found[-1].filename).name}:{found[-1].lineno}, in {found[-1].name}" if found else ""


def lines(error: BaseException) -> str:
    """The frames of the user's files and the error, as Python prints them. "" if no frame is in them."""
    found = frames(error)
    if not found:
        return ""
    shown = "".join([*traceback.format_list(found), *traceback.format_exception_only(error)])
    return f"{HEAD}\n{shown.rstrip()}"


def full_text(error: BaseException) -> str:
    """The lines of the user's files, then the full traceback, for a log."""
    cause = error.__cause__ if isinstance(error, OwnError) and error.__cause__ is not None else error
    own, everything = lines(cause), "".join(traceback.format_exception(cause)).rstrip()
    return f"{own}\n\nfull traceback:\n{everything}" if own else everything


def excerpt(log: Path, most: int = 2**16) -> str:
    """The newest such error in a run's log: its lines of the user's files. "" if there is no such error, or no log."""
    try:
        if log.is_symlink() or not log.is_file():
            return ""
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - most))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    _, head, rest = text.rpartition(f"{HEAD}\n")
    if "\nattempt " in rest or rest.count("\nended: ") > 1:
        return ""  # a later attempt continued, or ended for another reason
    return f"{HEAD}\n{rest.partition(chr(10) * 2)[0].rstrip()}" if head else ""
