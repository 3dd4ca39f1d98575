"""The verbs of the command line and their options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from suite.cli.requests import Executor
from suite.files import program
from suite.report.render.latex_number import NumberStyle
from suite.report.trackers import Tracker
from suite.train.mode import Mode
from suite.version import VERSION

ABOUT = """\
Train grids of structured state space models over several seeds, and make the paper's tables from the results.

  {command} {grid}            run what is missing, then write reports/quickstart.*
  {command} plan {grid}       show what would run, its data and the estimated time
  {command} status {grid}     show the progress of each run
  {command} report {grid}     write tables of the results so far
  {command} why {grid} S4D-Real sCIFAR     show the runs, settings and logs of a table cell
"""
MORE = "Run `{command} VERB --help` for a command's options. The default command is `run`."
AddVerb = Callable[[str, str, str], argparse.ArgumentParser]  # name, its function, one line about it
GPU = re.compile(r"(GPU|MIG)-[A-Za-z0-9/-]+")  # a UUID, or its beginning


def make_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and the parsers of its verbs by name. `args.verb` is the verb's function, `module:name` in `suite`.

    The function takes a request (`suite.cli.requests`), preceded by the loaded grids if the command has grid files. It
    returns the exit status.
    """
    installed = program.name() == program.INSTALLED
    called = {"command": program.typed(), "grid": "suite:quickstart.yaml" if installed else "grids/quickstart.yaml"}
    parser = argparse.ArgumentParser(prog=program.name(), description=ABOUT.format_map(called),
                                     epilog=MORE.format_map(called),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"s4d-suite {VERSION}")
    sub = parser.add_subparsers(metavar="VERB")
    verbs: dict[str, argparse.ArgumentParser] = {}

    def verb(name: str, do: str, about: str) -> argparse.ArgumentParser:
        verbs[name] = sub.add_parser(name, help=about, description=about)
        verbs[name].set_defaults(verb=do)
        return verbs[name]

    _verbs_that_run(verb)
    _verbs_that_end(verb)
    _verbs_that_look(verb)
    _verbs_that_write(verb)
    _verbs_that_explain(verb)
    _data_verb(verb)
    _verbs_without_grids(verb)
    return parser, verbs


def _verbs_that_run(verb: AddVerb) -> None:
    for name, about in (("run", "start or resume unfinished runs, then write the report"),
                        ("retry", "start or resume unfinished runs, and rerun failed and cancelled ones")):
        parser = verb(name, "cli.run:run", about)
        _grid_options(parser)
        _run_options(parser)
        _cluster_options(parser)
        parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="folder for the report "
                            "(default: reports)")
        parser.add_argument("--wait", action="store_true", help="with --executor slurm: wait for the jobs to end, "
                            "then write the report; Ctrl-C stops the waiting, not the jobs")
        parser.add_argument("--download", action="store_true", help="also download missing data of more than 200 MB; "
                            "with --executor slurm, before the jobs are submitted")
        _decide_option(parser, "cli.decide:decide", "add seeds to the rows of undecided claims until each claim has a "
                       "final verdict")
        parser.add_argument("--hours", type=_positive, metavar="H", help="with --decide: stop after H hours; the "
                            "cheapest claims come first, and the next call continues")
    parser.set_defaults(retry=True)
    parser.add_argument("--reason", action="append", choices=["error", "diverged", "oom", "cancelled", "start"],
                        help="rerun only runs that ended for this reason; may be repeated (default: all missing, "
                        "failed and cancelled runs)")


def _verbs_that_end(verb: AddVerb) -> None:
    cancel = verb("cancel", "cli.cancel:cancel",
                  "stop active and waiting runs that these grids started")
    _grid_options(cancel)
    cancel.add_argument("--orphans", action="store_true", help="only runs that these grids started but, after an "
                        "edit, no longer contain")
    gc = verb("gc", "cli.gc:gc", "list runs that these grids started but no longer contain")
    _grid_options(gc, choose=False)  # runs that are not chosen would look like orphans
    gc.add_argument("--yes", action="store_true", help="move them to the trash, a folder in the store")


def _verbs_that_look(verb: AddVerb) -> None:
    plan = verb("plan", "cli.plan:plan", "show what would run, what is excluded and why, the data "
                "needed and the estimated time")
    status = verb("status", "cli.status:status", "show the progress of each run (reads files only)")
    for parser in (plan, status):
        _grid_options(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")
    _decide_option(plan, "cli.decide:plan", "show what the next look at the claims would run, and how many runs "
                   "may follow")
    plan.add_argument("--probe", action="store_true", help="time 20 steps of each configuration first, longest runs "
                      "first, for a better estimate; the times are kept for later plans on this machine")
    _run_options(plan)
    _cluster_options(plan)
    _budget_options(status)
    status.add_argument("--watch", action="store_true", help="refresh a live table until no run is active; q quits "
                        "(runs continue); without a terminal, print the status at each change")


def _verbs_that_write(verb: AddVerb) -> None:
    report = verb("report", "cli.report:report", "write tables, plots and verdicts of the results so far")
    _grid_options(report, "*")
    report.add_argument("--check", type=Path, metavar="DIR", help="write nothing; compare the report in DIR, e.g. "
                        "results/quickstart, with one rebuilt from its store")
    report.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="folder for the report "
                        "(default: reports)")
    report.add_argument("--no-figures", dest="figures", action="store_false", help="write tables and verdicts only")
    report.add_argument("--latex", choices=[str(one) for one in NumberStyle], default="plain",
                        help="numbers in LaTeX tables: plain text in centred columns, or S columns of the package "
                        "siunitx, aligned at the decimal point (default: plain)")
    export = verb("export", "cli.export:export", "write every epoch of every run, with its settings, as CSV and "
                  "Parquet")
    _grid_options(export)
    export.add_argument("--out", type=Path, default=Path("reports/export"), metavar="DIR",
                        help="folder for the files (default: reports/export)")
    export.add_argument("--to", dest="to", action="append", default=[], type=Tracker, choices=list(Tracker),
                        help="also write files for this tracker, without network access; may be repeated; install "
                        "the extra of the same name first, e.g. pip install 's4d-suite[wandb]'")
    export.add_argument("--tensorboard", dest="to", action="append_const", const=Tracker.TENSORBOARD,
                        help="short for --to tensorboard")
    freeze = verb("freeze", "cli.freeze:freeze", "copy the results of finished and stopped runs, with their report, "
                  "to a new folder (no checkpoints)")
    _grid_options(freeze)
    freeze.add_argument("--out", type=Path, metavar="DIR", help="the new folder (default: results/GRID-NAME)")


def _verbs_that_explain(verb: AddVerb) -> None:
    why = verb("why", "cli.why:why", "show the runs, settings and logs of a table cell")
    logs = verb("logs", "cli.why:logs", "print the end of the logs of runs")
    for parser in (why, logs):
        _grid_options(parser, 1)
        parser.add_argument("cell", nargs="*", metavar="LABEL", help="labels of the cell, or a run's id")
    logs.add_argument("--lines", type=_count, default=20, metavar="N", help="lines per log (default: 20)")


def _verbs_without_grids(verb: AddVerb) -> None:
    figures = verb("figures", "cli.figures:write", "draw figures 1 to 5 of the paper from their formulas")
    figures.add_argument("--out", type=Path, default=Path("reports/figures"), metavar="DIR",
                         help="folder for the figures (default: reports/figures)")
    theory = verb("theory", "cli.theory:write", "check the paper's theorems numerically: distances, rates, eigenvalues")
    theory.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="folder for the text "
                        "(default: reports)")
    init = verb("init", "cli.init:init", "create a study that runs as is: a grid, a layer, a layout, claims")
    init.add_argument("folder", type=Path, metavar="DIR", help="folder of the new study; existing files "
                      "are not overwritten")
    init.set_defaults(command=program.from_anywhere())
    merge = verb("merge", "cli.merge:merge", "copy runs from one store to another; runs with the same id are the same")
    merge.add_argument("source", type=Path, metavar="FROM", help="store, or folder made by freeze, to read from; it is "
                       "not changed")
    merge.add_argument("target", type=Path, metavar="INTO", help="store to write to; it gets runs that are missing "
                       "or less advanced there")
    doctor = verb("doctor", "cli.doctor:check", "check this machine: packages, threads, GPUs, data, store")
    doctor.add_argument("--store", type=Path, default=Path("runs"), metavar="DIR", help="folder of the runs "
                        "(default: runs)")
    doctor.add_argument("--verbose", action="store_true", help="also show every package, and where data are searched")
    schema = verb("schema", "cli.schema:write", "write the JSON Schema of grid files, for editors")
    schema.add_argument("--out", type=Path, default=Path("grids/schema.json"), metavar="FILE", help="file to write "
                        "(default: grids/schema.json)")


def _data_verb(verb: AddVerb) -> None:
    data = verb("data", "cli.data:main", "list, prepare, check or show data sets")
    data.epilog = ("Files are searched in SUITE_DATA first. Downloads go to SUITE_CACHE/downloads (default: "
                   "~/.cache/s4d-suite/downloads). SUITE_MIRROR=https://host/path replaces the hosts of downloads, "
                   "HF_ENDPOINT that of the Hugging Face hub. HTTPS_PROXY and SSL_CERT_FILE have their usual meaning.")
    data.add_argument("action", choices=["list", "prepare", "check", "show"], help="list: show "
                      "which data sets are available, and which can be downloaded; prepare: download and prepare data "
                      "before the runs; check: verify every byte; show: draw a picture of examples")
    data.add_argument("names", nargs="*", metavar="GRID|NAME", help="data sets (default for list and check: all); "
                      "prepare: also grid files, for the data of their runs")
    data.add_argument("--variant", metavar="NAME", help="only this variant of the data set (default: all that are "
                      "available; prepare: and original; show: the first that is available)")
    data.add_argument("--task", metavar="NAME", help="only for this task (default: all)")
    data.add_argument("--from", dest="origin", type=Path, metavar="PATH", help="prepare: build the variant from this "
                      "folder, .zip or .tar.gz, e.g. for cifar10 --variant jpeg (default: download it)")
    data.add_argument("--verbose", action="store_true", help="list: also show sources, licences, places and "
                      "prepared data")
    data.add_argument("--out", type=Path, default=Path("reports/figures"), metavar="DIR", help="folder for the "
                      "pictures (default: reports/figures)")
    _choice_options(data, " or, for a named data set, an option of its card, e.g. pool=2")


def _grid_options(parser: argparse.ArgumentParser, count: str | int = "+", choose: bool = True) -> None:
    parser.add_argument("grids", nargs=count, type=Path, metavar="GRID", help="grid file" + "s" * (count != 1))
    _choice_options(parser, choose=choose)
    parser.add_argument("--store", type=Path, default=Path("runs"), metavar="DIR", help="folder of the runs "
                        "(default: runs)")


def _choice_options(parser: argparse.ArgumentParser, more: str = "", choose: bool = True) -> None:
    """The options that choose runs of the grids, and their settings. `more`: help on what else --set may set."""
    parser.add_argument("--profile", metavar="NAME", help="overlay that changes the size of the runs: paper, mini, … "
                        "(default: that of the grid)")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="FIELD=VALUE",
                        help=f"set a field in every run, e.g. ssm.state_size=32{more}; may be repeated")
    parser.add_argument("--seeds", type=_count, metavar="N", help="use seeds 0 to N - 1 instead of those of the grid")
    if choose:
        parser.add_argument("--only", action="append", default=[], metavar="AXIS=LABEL", help="only runs with this "
                            "label or field value, e.g. task=scifar, seed=0 or method='S4D-*'; may be repeated")
    else:
        parser.set_defaults(only=[])


def _decide_option(parser: argparse.ArgumentParser, do: str, about: str) -> None:
    parser.add_argument("--decide", dest="verb", action="store_const", const=do, help=about)


def _budget_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--until", metavar="epoch=K", type=_budget, help="stop after epoch K of the full schedule; "
                        "a later call continues")
    parser.add_argument("--jobs", type=_jobs, metavar="N", help="number of runs at a time, on each GPU if there are "
                        "any (default: auto, as many as cores and free memory allow)")
    parser.add_argument("--threads", type=_count, default=1, metavar="N", help="threads per run (default: 1)")
    parser.add_argument("--gpus", type=_gpus, metavar="IDS", help="GPUs to use: auto, idle ones with at least half of "
                        "their memory free (default); none, the CPU; numbers such as 0,1, counted within "
                        "CUDA_VISIBLE_DEVICES if that is set; or UUIDs")


def _run_options(parser: argparse.ArgumentParser) -> None:
    _budget_options(parser)
    parser.add_argument("--executor", type=Executor, choices=list(Executor), default=Executor.LOCAL,
                        help="local: one process per run (default); slurm: jobs on a cluster; debug: everything in "
                        "this process, for breakpoints")
    parser.add_argument("--timeout", type=_positive, metavar="MINUTES", help="time limit of a run; the next "
                        "call continues it")
    parser.add_argument("--checkpoint", type=_positive, default=5.0, metavar="MINUTES", help="minutes between "
                        "checkpoints (default: 5)")
    parser.add_argument("--recompute", action="store_true", help="activation checkpointing: about a third of the "
                        "activation memory, a third slower, bit-identical results")
    parser.add_argument("--no-canary", dest="canary", action="store_false", help="do not wait for the first checkpoint "
                        "of the cheapest run of each task, model and kernel before starting the others")
    parser.add_argument("--max-failures", type=_count, metavar="N", help="start no more runs of a task, model and "
                        "kernel after N of them failed with an error or could not start (default: 3; on a cluster, "
                        "per job array)")
    parser.add_argument("--stack", type=_stack, default=1, metavar="K", help="train K runs of the same shape together "
                        "in one process, or auto, as many as are faster that way; results differ in the last bits, "
                        "which is recorded (default: 1)")
    compiled = parser.add_mutually_exclusive_group()
    compiled.add_argument("--compile", dest="mode", action="store_const", const=Mode.COMPILED,
                          default=Mode.AUTO,
                          help="compile models with torch.compile: slow to start, results differ in the last bits, no "
                          "faster on a CPU")
    compiled.add_argument("--cuda-graphs", dest="mode", action="store_const", const=Mode.GRAPHS, help="capture "
                          "each training step in a CUDA graph: fewer kernel launches, bit-identical results; your own "
                          "code must do the same operations at each step (default: if possible, and for your own code "
                          "after some steps gave identical bits)")
    compiled.add_argument("--no-cuda-graphs", dest="mode", action="store_const", const=Mode.EAGER, help="do not use "
                          "CUDA graphs")


def _cluster_options(parser: argparse.ArgumentParser) -> None:
    """All but the first replace a setting of the cluster: file (`suite.launch.cluster`).

    `ClusterRequest.check_executor` raises an error if they are used with another executor.
    """
    group = parser.add_argument_group("with --executor slurm")
    group.add_argument("--cluster", type=Path, metavar="FILE", help="YAML file with settings of the site under the "
                       "key cluster:")
    for name in ("partition", "account", "constraint"):
        group.add_argument(f"--{name}", metavar="NAME", help="as for sbatch")
    group.add_argument("--time", metavar="LIMIT", help="time limit of a job: minutes, H:MM:SS or D-HH:MM:SS (default: "
                       "60); longer runs are requeued and continue")
    group.add_argument("--gpus-per-job", metavar="N", help="GPUs of a job, with their type if there are several: 2, "
                       "a100:1; a run uses one (default: 1 if the partition has any; 0 for the CPU)")
    group.add_argument("--gpus-as-gres", action="store_const", const=True, help="request GPUs with --gres, for "
                       "sites that require it")
    group.add_argument("--cpus-per-job", type=_count, metavar="N", help="CPUs of a job (default: as many as "
                       "the threads of its runs)")
    group.add_argument("--memory", metavar="SIZE", help="memory of a job: 16GB, 16000M, or 0 for all of a node "
                       "(default: that of the cluster)")
    group.add_argument("--max-parallel", type=_count, metavar="N", help="number of jobs at a time (default: no limit)")
    group.add_argument("--runs-per-job", type=_count, metavar="N", help="number of runs in a job, one after the other "
                       "(default: 1)")
    group.add_argument("--side-by-side", type=_count, metavar="N", help="number of runs at a time in a job, on each of "
                       "its GPUs if it has any (default: 1)")
    group.add_argument("--setup", action="append", metavar="LINE", help="shell command to run before the runs; may be "
                       "repeated")
    group.add_argument("--signal-s", type=_count, metavar="S", help="seconds before the time limit at which a job "
                       "writes its last checkpoint and is requeued (default: 90, or half of a shorter limit)")
    group.add_argument("--extra", action="append", type=_pair, metavar="KEY[=VALUE]", help="another option of sbatch, "
                       "e.g. qos=long or exclusive; may be repeated")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def _pair(text: str) -> tuple[str, str | bool]:
    key, equals, value = text.partition("=")
    if not key or (equals and not value):
        raise argparse.ArgumentTypeError(f"{text!r}: write KEY=VALUE, e.g. qos=long, or KEY, e.g. exclusive")
    return key, value if equals else True


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


def _jobs(text: str) -> int | None:
    return None if text == "auto" else _count(text)


def _stack(text: str) -> int | None:
    return None if text == "auto" else _count(text)


def _gpus(text: str) -> tuple[int | str, ...] | None:
    if text in ("auto", "none"):
        return None if text == "auto" else ()
    names = text.split(",")
    if not all(name.isdecimal() or GPU.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r}: write auto, none, numbers of GPUs without repetition, e.g. 0,1, "
                                         "or UUIDs as printed by `nvidia-smi -L`, e.g. GPU-…, MIG-…")
    return tuple(int(name) if name.isdecimal() else name for name in names)
