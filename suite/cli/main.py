"""The command line: calls the verb, and turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import errno
import gc
import getpass
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from suite.cli import streams
from suite.errors import Problem, UserError, nearest

if TYPE_CHECKING:
    from suite.grid.model import Grid

IN_ANY_ORDER = ("why", "logs")  # verbs whose labels may come between options
OK, FAILED_RUNS, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status: 0, 1 (failed runs), 2 (bad input), 130 (interrupted)."""
    streams.prepare()
    _name_user()
    gc.set_threshold(200_000)  # modules, grids and stores have thousands of long-lived objects
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # the search for plugins reads all installed packages
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's eigenvectors depend on the number of threads
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _call(arguments)
        streams.close()
        return status
    except UserError as error:
        return _refused(error)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        streams.discard()
        if error.errno == errno.EPIPE:  # `… | head` is not an error
            return OK
        return _refused(_in_words(error))


def _name_user() -> None:
    """Use the numeric id of a user without a name, as in containers: libraries fail without a name."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())


def _refused(error: UserError) -> int:
    """Print the problems. Returns the exit status."""
    for problem in error.problems:
        print(f"error: {problem}", file=sys.stderr)
    if report := getattr(error, "report", ""):
        print(f"\n{report}\n", file=sys.stderr)
    if len(error.problems) > 1:
        print(f"{len(error.problems)} errors; nothing was started", file=sys.stderr)
    return USAGE


def _in_words(error: OSError) -> UserError:
    """A system error as a UserError, such as a file that cannot be read, or stdout on a full disk."""
    from suite.files.atomic import explain

    if error.filename is None:
        return UserError(f"the output cannot be written: {error.strerror or error}", "", "redirect it elsewhere")
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    if isinstance(error, FileExistsError) and Path(where).is_symlink():
        return UserError(f"is a link to {Path(where).readlink()}, which does not exist", where,
                         "create that folder first")
    return explain(error) or UserError(error.strerror or str(error), where)


def _check_no_verb(word: str, verbs: Iterable[str]) -> None:
    """Raises UserError for a first word that is not a file, but looks like a misspelt verb."""
    if len(word) < 40 and word.replace("-", "").isidentifier() and word[0] != "-" and not Path(word).exists():
        grids = sorted(str(path) for folder in (".", "grids") for path in Path(folder).glob("*.y*ml"))
        raise UserError("unknown command or grid file", word, nearest(word, [*verbs, *grids]))


def _call(arguments: list[str]) -> int:
    """Call the verb's function. Its module is imported here, so that light commands start fast."""
    from suite.cli.arguments import make_parser  # after `main` has set the threshold of the garbage collector
    from suite.cli.requests import request

    parser, verbs = make_parser()
    if arguments and arguments[0] not in verbs and arguments[0] not in ("-h", "--help", "--version"):
        _check_no_verb(arguments[0], verbs)
        arguments = ["run", *arguments]
    try:
        mixed = bool(arguments) and arguments[0] in IN_ANY_ORDER
        args = verbs[arguments[0]].parse_intermixed_args(arguments[1:]) if mixed else parser.parse_args(arguments)
    finally:
        sys.stdout.flush()  # argparse exits after printing a help text
    if not hasattr(args, "verb"):
        parser.print_help()
        return OK
    module, _, name = args.verb.partition(":")
    function = getattr(importlib.import_module(f"suite.{module}"), name)
    asked = request(get_type_hints(function)["request"], vars(args))
    return int(function(_grids(args), asked) if hasattr(args, "grids") else function(asked))


def _grids(args: argparse.Namespace) -> list[Grid]:
    from suite.grid.expand import load_grid
    from suite.store.store import Store
    from suite.store.versions import as_kept

    problems: list[Problem] = []
    grids: list[Grid] = []
    for path in dict.fromkeys(args.grids):
        try:
            grid = load_grid(path, args.profile, args.sets, args.only, args.seeds)
            grids.append(as_kept(grid, Store(args.store)) if hasattr(args, "store") else grid)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return grids
