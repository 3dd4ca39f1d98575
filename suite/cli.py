"""The command line: verbs, their options, and how errors are told. A verb imports what it needs when it needs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suite.errors import Problem, UserError

if TYPE_CHECKING:
    from suite.grid import Grid

OK, FAILED_RUNS, USAGE, INTERRUPTED = 0, 1, 2, 130
ABOUT = """\
Runs grids of seeded trainings of structured state space models, and makes the paper's tables of them.

  python run_grid.py grids/quickstart.yaml            run what is missing, then write reports/quickstart.*
  python run_grid.py plan grids/quickstart.yaml       what would run, what not and why, and what it costs
  python run_grid.py status grids/quickstart.yaml     how far each run is; changes nothing
  python run_grid.py report grids/quickstart.yaml     the tables of what there is so far
  python run_grid.py why grids/quickstart.yaml S4D-Real sCIFAR     from a cell to its runs, settings and logs
"""
MORE = "`python run_grid.py VERB --help` tells the options of a verb. `run` is the verb where none is named."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status: 0, 1 (failed runs), 2 (bad input), 130 (interrupted)."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's eigenvectors have other last bits with more threads
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser, verbs = _parser()
    if arguments and arguments[0] not in verbs and arguments[0] not in ("-h", "--help", "--version"):
        arguments.insert(0, "run")
    args = parser.parse_args(arguments)
    if not hasattr(args, "verb"):
        parser.print_help()
        return OK
    try:
        return int(args.verb(args))
    except UserError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        if len(error.problems) > 1:
            print(f"{len(error.problems)} errors; nothing was started", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `… | head` is no error
        return OK


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    from suite import __version__

    parser = argparse.ArgumentParser(prog="run_grid.py", description=ABOUT, epilog=MORE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"s4d-suite {__version__}")
    sub = parser.add_subparsers(metavar="VERB")
    verbs: dict[str, argparse.ArgumentParser] = {}

    def verb(name: str, do: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        verbs[name] = sub.add_parser(name, help=about, description=about)
        verbs[name].set_defaults(verb=do)
        return verbs[name]

    for name, do, about in (("run", _run, "run what is missing, then write the report"),
                            ("retry", _run, "run failed runs again, too")):
        _grid_options(verb(name, do, about))
        _run_options(verbs[name])
    verbs["retry"].add_argument("--reason", action="append", choices=["error", "diverged", "oom"],
                                help="only runs that failed for this reason (default: all)")
    for name, do, about in (("plan", _plan, "what would run, what not and why, and what it costs"),
                            ("status", _status, "how far each run is, from files only; changes nothing")):
        _grid_options(verb(name, do, about))
        _budget_options(verbs[name])
        verbs[name].add_argument("--json", action="store_true", help="for programs")
    _grid_options(verb("report", _report, "tables, plots and verdicts of what there is so far"))
    verbs["report"].add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="default: reports")
    for name, do, about in (("why", _why, "from a cell to its runs, settings and logs"),
                            ("logs", _logs, "the end of the logs of some runs")):
        _grid_options(verb(name, do, about), several=False)
        verbs[name].add_argument("cell", nargs="*", metavar="LABEL", help="labels of the cell's axes, or a run's id")
    verbs["logs"].add_argument("--lines", type=_count, default=20, metavar="N", help="lines of each log (default: 20)")
    doctor = verb("doctor", _doctor, "checks this machine: packages, threads, GPUs, data, store")
    doctor.add_argument("--store", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    schema = verb("schema", _schema, "writes the JSON Schema of grid files, for editors")
    schema.add_argument("--out", type=Path, default=Path("grids/schema.json"), metavar="FILE")
    return parser, list(verbs)


def _grid_options(parser: argparse.ArgumentParser, several: bool = True) -> None:
    if several:
        parser.add_argument("grids", nargs="+", type=Path, metavar="GRID", help="grid files")
    else:
        parser.add_argument("grids", nargs=1, type=Path, metavar="GRID", help="grid file")
    parser.add_argument("--profile", metavar="NAME", help="overlay that changes the size: paper, mini, … "
                        "(default: the grid's own)")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="FIELD=VALUE",
                        help="replace a setting in every run, e.g. ssm.state_size=32; may be repeated")
    parser.add_argument("--only", action="append", default=[], metavar="AXIS=LABEL",
                        help="only runs with this label or field value, e.g. task=scifar or seed=0; may be repeated")
    parser.add_argument("--store", type=Path, default=Path("runs"), metavar="DIR", help="folder of the runs "
                        "(default: runs)")


def _budget_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--until", metavar="epoch=K", type=_budget, help="go to the end of epoch K, under the full "
                        "schedule; a later call goes on from there")
    parser.add_argument("--jobs", type=_count, metavar="N", help="runs at a time (default: cores / threads; "
                        "one for each GPU)")
    parser.add_argument("--threads", type=_count, default=1, metavar="N", help="threads of a run (default: 1)")
    parser.add_argument("--gpus", type=_gpus, default=(), metavar="IDS", help="GPUs to use, e.g. 0,1 (default: none)")


def _run_options(parser: argparse.ArgumentParser) -> None:
    _budget_options(parser)
    parser.add_argument("--executor", choices=["local", "debug"], default="local", help="local: a process for each "
                        "run (default); debug: in this process, for breakpoints")
    parser.add_argument("--timeout", type=_positive, metavar="MINUTES", help="stop a run after this time; "
                        "the next call goes on with it")
    parser.add_argument("--checkpoint", type=_positive, default=5.0, metavar="MINUTES", help="at most this much of "
                        "a run is lost when it is killed (default: 5)")
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="folder of the report "
                        "(default: reports)")


def _grids(args: argparse.Namespace) -> list[Grid]:
    from suite.grid import load_grid

    problems: list[Problem] = []
    grids: list[Grid] = []
    for path in dict.fromkeys(args.grids):
        try:
            grids.append(load_grid(path, args.profile, args.sets, args.only))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return grids


def _run(args: argparse.Namespace) -> int:
    from suite import verbs

    return verbs.run(_grids(args), args)


def _plan(args: argparse.Namespace) -> int:
    from suite import verbs

    return verbs.plan(_grids(args), args)


def _status(args: argparse.Namespace) -> int:
    from suite import verbs

    return verbs.status(_grids(args), args)


def _report(args: argparse.Namespace) -> int:
    from suite import verbs

    return verbs.report(_grids(args), args)


def _why(args: argparse.Namespace) -> int:
    from suite import cell

    return cell.why(_grids(args)[0], args)


def _logs(args: argparse.Namespace) -> int:
    from suite import cell

    return cell.logs(_grids(args)[0], args)


def _doctor(args: argparse.Namespace) -> int:
    from suite import doctor

    return doctor.check(args.store)


def _schema(args: argparse.Namespace) -> int:
    from suite import schema

    args.out.write_text(schema.text(), encoding="utf-8")
    print(f"wrote {args.out}")
    return OK


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes")
    return value


def _budget(text: str) -> int:
    key, _, value = text.partition("=")
    if key != "epoch":
        raise argparse.ArgumentTypeError(f"{text!r}: write epoch=K, e.g. epoch=1")
    return _count(value)


def _gpus(text: str) -> tuple[int, ...]:
    ids = text.split(",")
    if not all(i.isdecimal() for i in ids) or len(set(ids)) < len(ids):
        raise argparse.ArgumentTypeError(f"{text!r}: write the GPUs' numbers, each once, e.g. 0,1")
    return tuple(map(int, ids))
