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
Runs grids of seeded trainings of structured state space models, and makes the paper's tables from them.

  {command} {grid}            run what is missing, then write reports/quickstart.*
  {command} plan {grid}       what would run, what not and why, its data and time
  {command} status {grid}     how far each run is; changes nothing
  {command} report {grid}     the tables of the results so far
  {command} why {grid} S4D-Real sCIFAR     from a cell to its runs, settings and logs
"""
MORE = "`{command} VERB --help` shows the options of a verb. Without a verb, `run` is used."
AddVerb = Callable[[str, str, str], argparse.ArgumentParser]  # name, its function, one line about it
GPU = re.compile(r"(GPU|MIG)-[A-Za-z0-9/-]+")  # a UUID, or its beginning


def make_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and those of its verbs by name. `args.verb` is the verb's function, `module:name` within `suite`.

    The function takes a request (`suite.cli.requests`), or, if the command has grid files, the loaded grids and a
    request; it returns the exit status.
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
    _data_verb(verb)
    _verbs_without_grids(verb)
    return parser, verbs


def _verbs_that_run(verb: AddVerb) -> None:
    for name, about in (("run", "run what is missing, then write the report"),
                        ("retry", "run what is missing, and failed and cancelled runs again")):
        parser = verb(name, "cli.run:run", about)
        _grid_options(parser)
        _run_options(parser)
        _cluster_options(parser)
        parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="folder of the report "
                            "(default: reports)")
        parser.add_argument("--wait", action="store_true", help="wait until the jobs of a cluster have ended, then "
                            "write the report; Ctrl-C ends the waiting, not the jobs")
        parser.add_argument("--download", action="store_true", help="also download data of more than 200 MB that are "
                            "missing; with --executor slurm, before the jobs are submitted")
        _decide_option(parser, "cli.decide:decide", "add seeds, of the rows of undecided claims only, until each claim "
                       "has a final verdict")
        parser.add_argument("--hours", type=_positive, metavar="H", help="with --decide: stop after this time; the "
                            "cheapest claims come first, and the next call continues")
    parser.set_defaults(retry=True)
    parser.add_argument("--reason", action="append", choices=["error", "diverged", "oom", "cancelled", "start"],
                        help="only runs that ended for this reason, and nothing else that is missing; may be repeated "
                        "(default: all that is missing, failed or cancelled)")


def _verbs_that_end(verb: AddVerb) -> None:
    cancel = verb("cancel", "cli.cancel:cancel",
                  "end the runs that these grids have started, and that compute or wait")
    _grid_options(cancel)
    cancel.add_argument("--orphans", action="store_true", help="only runs that these grids started and, after an "
                        "edit, no longer name")
    gc = verb("gc", "cli.gc:gc", "list the runs that these grids have started and no longer name")
    _grid_options(gc, choose=False)  # what is not chosen would look as if it were no longer named
    gc.add_argument("--yes", action="store_true", help="move them to the trash, a folder of the store")


def _verbs_that_look(verb: AddVerb) -> None:
    plan = verb("plan", "cli.plan:plan", "what would run, what not and why, its data and time")
    status = verb("status", "cli.status:status", "how far each run is, from its files; changes nothing")
    for parser in (plan, status):
        _grid_options(parser)
        parser.add_argument("--json", action="store_true", help="for programs")
    _decide_option(plan, "cli.decide:plan", "what the next look at the claims would run, and the most that may follow")
    plan.add_argument("--probe", action="store_true", help="measure 20 steps of each shape first, the longest runs "
                      "first, for a better estimated time; they are kept for the next plans on this machine")
    _run_options(plan)
    _cluster_options(plan)
    _budget_options(status)
    status.add_argument("--watch", action="store_true", help="a live table until nothing runs any more; q ends the "
                        "watching; without a terminal, lines at each change")
    report = verb("report", "cli.report:report", "tables, plots and verdicts of the results so far")
    _grid_options(report, "*")
    report.add_argument("--check", type=Path, metavar="DIR", help="write nothing; show how the report in DIR, such as "
                        "results/quickstart, differs from what the store beside it gives")
    report.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="default: reports")
    report.add_argument("--no-figures", dest="figures", action="store_false", help="tables and verdicts only")
    report.add_argument("--latex", choices=[str(one) for one in NumberStyle], default="plain",
                        help="numbers of LaTeX tables: as text in centred columns, or aligned at the point in columns "
                        "S of the package siunitx (default: plain)")
    export = verb("export", "cli.export:export", "every epoch of every run with its settings, as CSV and Parquet")
    _grid_options(export)
    export.add_argument("--out", type=Path, default=Path("reports/export"), metavar="DIR",
                        help="default: reports/export")
    export.add_argument("--to", dest="to", action="append", default=[], type=Tracker, choices=list(Tracker),
                        help="files for this program, too, written without a network; needs the extra of its name: "
                        "pip install 's4d-suite[wandb]'; may be repeated")
    export.add_argument("--tensorboard", dest="to", action="append_const", const=Tracker.TENSORBOARD,
                        help="the same as --to tensorboard")
    freeze = verb("freeze", "cli.freeze:freeze", "copy the results of finished and stopped runs, with their report, "
                  "into a small folder to keep")
    _grid_options(freeze)
    freeze.add_argument("--out", type=Path, metavar="DIR", help="new folder (default: results/ and the grid's name)")
    why = verb("why", "cli.why:why", "from a cell to its runs, settings and logs")
    logs = verb("logs", "cli.why:logs", "the end of the logs of some runs")
    for parser in (why, logs):
        _grid_options(parser, 1)
        parser.add_argument("cell", nargs="*", metavar="LABEL", help="labels of the cell's axes, or a run's id")
    logs.add_argument("--lines", type=_count, default=20, metavar="N", help="lines of each log (default: 20)")


def _verbs_without_grids(verb: AddVerb) -> None:
    figures = verb("figures", "cli.figures:write", "draw figures 1 to 5 of the paper from their formulas")
    figures.add_argument("--out", type=Path, default=Path("reports/figures"), metavar="DIR",
                         help="default: reports/figures")
    theory = verb("theory", "cli.theory:write", "the paper's theorems in numbers: distances, rates, eigenvalues")
    theory.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="default: reports")
    init = verb("init", "cli.init:init", "write a study that runs as it is: a grid, a layer, a layout, claims")
    init.add_argument("folder", type=Path, metavar="DIR", help="the new study; existing files are not overwritten")
    init.set_defaults(command=program.from_anywhere())
    merge = verb("merge", "cli.merge:merge", "copy the runs of one store into another; the same id is the same run")
    merge.add_argument("source", type=Path, metavar="FROM", help="store to read, or a folder made by freeze; it is not "
                       "changed")
    merge.add_argument("target", type=Path, metavar="INTO", help="store that gets the runs that it lacks, or has less "
                       "of")
    doctor = verb("doctor", "cli.doctor:check", "checks this machine: packages, threads, GPUs, data, store")
    doctor.add_argument("--store", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    doctor.add_argument("--verbose", action="store_true", help="also every package, and where data are looked for")
    schema = verb("schema", "cli.schema:write", "writes the JSON Schema of grid files, for editors")
    schema.add_argument("--out", type=Path, default=Path("grids/schema.json"), metavar="FILE")


def _data_verb(verb: AddVerb) -> None:
    data = verb("data", "cli.data:main", "lists, prepares, checks or shows the data sets")
    data.epilog = ("Downloads go to SUITE_CACHE/downloads (default: ~/.cache/s4d-suite/downloads); SUITE_DATA is "
                   "looked at first. SUITE_MIRROR=https://host/path replaces the hosts of the addresses, HF_ENDPOINT "
                   "that of the Hugging Face hub; HTTPS_PROXY and SSL_CERT_FILE as usual.")
    data.add_argument("action", choices=["list", "prepare", "check", "show"], help="list: what is "
                      "here, and what can be downloaded; prepare: download and prepare, before the runs; check: all "
                      "bytes; show: a picture of examples")
    data.add_argument("names", nargs="*", metavar="GRID|NAME", help="data sets (list, check: default all); prepare: "
                      "also grid files, for what their runs need")
    data.add_argument("--variant", metavar="NAME", help="only this form of the data (default: all that are here; "
                      "prepare: and original; show: the first that is here)")
    data.add_argument("--task", metavar="NAME", help="only for this task (default: all)")
    data.add_argument("--from", dest="origin", type=Path, metavar="PATH", help="prepare: folder, .zip or .tar.gz that "
                      "the variant is built from, e.g. cifar10 --variant jpeg (default: it is downloaded)")
    data.add_argument("--verbose", action="store_true", help="list: also sources, licences, places, and what "
                      "is prepared")
    data.add_argument("--out", type=Path, default=Path("reports/figures"), metavar="DIR", help="of the pictures "
                      "(default: reports/figures)")
    _choice_options(data, "; of a data set that is named, an option of its card, e.g. pool=2")


def _grid_options(parser: argparse.ArgumentParser, count: str | int = "+", choose: bool = True) -> None:
    parser.add_argument("grids", nargs=count, type=Path, metavar="GRID", help="grid file" + "s" * (count != 1))
    _choice_options(parser, choose=choose)
    parser.add_argument("--store", type=Path, default=Path("runs"), metavar="DIR", help="folder of the runs "
                        "(default: runs)")


def _choice_options(parser: argparse.ArgumentParser, more: str = "", choose: bool = True) -> None:
    """The options that choose runs of the grids, and their settings. `more`: what else --set may set."""
    parser.add_argument("--profile", metavar="NAME", help="overlay that changes the size: paper, mini, … "
                        "(default: the grid's own)")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="FIELD=VALUE",
                        help=f"replace a setting in every run, e.g. ssm.state_size=32{more}; may be repeated")
    parser.add_argument("--seeds", type=_count, metavar="N", help="seeds 0 to N - 1 instead of the grid's")
    if choose:
        parser.add_argument("--only", action="append", default=[], metavar="AXIS=LABEL", help="only runs with this "
                            "label or field value, e.g. task=scifar, seed=0 or method='S4D-*'; may be repeated")
    else:
        parser.set_defaults(only=[])


def _decide_option(parser: argparse.ArgumentParser, do: str, about: str) -> None:
    parser.add_argument("--decide", dest="verb", action="store_const", const=do, help=about)


def _budget_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--until", metavar="epoch=K", type=_budget, help="go to the end of epoch K, under the full "
                        "schedule; a later call continues from there")
    parser.add_argument("--jobs", type=_jobs, metavar="N", help="runs at a time, on each GPU if there are any "
                        "(default: auto, as many as cores and free memory allow)")
    parser.add_argument("--threads", type=_count, default=1, metavar="N", help="threads of a run (default: 1)")
    parser.add_argument("--gpus", type=_gpus, metavar="IDS", help="GPUs to use: auto, those with half of their "
                        "memory free that nobody else uses (default); none, for the CPU; 0,1, counted within "
                        "CUDA_VISIBLE_DEVICES if that is set; or their UUIDs")


def _run_options(parser: argparse.ArgumentParser) -> None:
    _budget_options(parser)
    parser.add_argument("--executor", type=Executor, choices=list(Executor), default=Executor.LOCAL,
                        help="local: a process for each run (default); slurm: jobs of a cluster; debug: in this "
                        "process, for breakpoints")
    parser.add_argument("--timeout", type=_positive, metavar="MINUTES", help="stop a run after this time; "
                        "the next call continues with it")
    parser.add_argument("--checkpoint", type=_positive, default=5.0, metavar="MINUTES", help="at most this much of "
                        "a run is lost when it is killed (default: 5)")
    parser.add_argument("--recompute", action="store_true", help="keep a third of the activations, for a third more "
                        "time and the same bits: layers are computed again in the backward pass")
    parser.add_argument("--no-canary", dest="canary", action="store_false", help="do not wait for the cheapest run of "
                        "each task, model and kernel to write its first checkpoint")
    parser.add_argument("--max-failures", type=_count, metavar="N", help="once N runs of a task, model and kernel "
                        "have failed with an error or could not start, start no more of them (default: 3; on a cluster "
                        "those of one array)")
    parser.add_argument("--stack", type=_stack, default=1, metavar="K", help="compute K runs of one shape in one "
                        "process as one, or auto, for as many as it pays: less waiting, other last bits, which are "
                        "recorded (default: 1, each run alone)")
    compiled = parser.add_mutually_exclusive_group()
    compiled.add_argument("--compile", dest="mode", action="store_const", const=Mode.COMPILED,
                          default=Mode.AUTO,
                          help="compile models with torch.compile: minutes at the start, other last bits, no gain on a "
                          "CPU")
    compiled.add_argument("--cuda-graphs", dest="mode", action="store_const", const=Mode.GRAPHS, help="record a "
                          "step once on a GPU, and start it as a whole from then on: the same bits, less waiting; "
                          "also for a model of yours, which must do the same operations at each step (default: where "
                          "that is possible, and for your own code once some steps have given the same bits)")
    compiled.add_argument("--no-cuda-graphs", dest="mode", action="store_const", const=Mode.EAGER, help="start the "
                          "operations of a step one by one")


def _cluster_options(parser: argparse.ArgumentParser) -> None:
    """All but the first replace a setting of the cluster: file (`suite.launch.cluster`).

    `ClusterRequest.check_executor` refuses them elsewhere.
    """
    group = parser.add_argument_group("with --executor slurm")
    group.add_argument("--cluster", type=Path, metavar="FILE", help="YAML file with settings for all of a lab, below "
                       "the key cluster:")
    for name in ("partition", "account", "constraint"):
        group.add_argument(f"--{name}", metavar="NAME", help="as for sbatch")
    group.add_argument("--time", metavar="LIMIT", help="of a job: minutes, H:MM:SS or D-HH:MM:SS (default: 60); longer "
                       "runs are requeued, and continue")
    group.add_argument("--gpus-per-job", metavar="N", help="with their type if there are several: 2, a100:1; a run "
                       "uses one (default: one if the partition has any; 0 for the CPU)")
    group.add_argument("--gpus-as-gres", action="store_const", const=True, help="ask for GPUs by --gres, for sites "
                       "that require it")
    group.add_argument("--cpus-per-job", type=_count, metavar="N", help="default: what the threads of its runs need")
    group.add_argument("--memory", metavar="SIZE", help="of a job: 16GB, 16000M, or 0 for all of a node (default: "
                       "the cluster's)")
    group.add_argument("--max-parallel", type=_count, metavar="N", help="jobs at a time (default: no limit)")
    group.add_argument("--runs-per-job", type=_count, metavar="N", help="one after the other (default: 1)")
    group.add_argument("--side-by-side", type=_count, metavar="N", help="runs of a job at a time, on each of its GPUs "
                       "if it has any (default: 1)")
    group.add_argument("--setup", action="append", metavar="LINE", help="a shell line before the runs; may be repeated")
    group.add_argument("--signal-s", type=_count, metavar="S", help="seconds before the time limit at which a job "
                       "writes its last checkpoint and is requeued (default: 90, or half of a shorter limit)")
    group.add_argument("--extra", action="append", type=_pair, metavar="KEY[=VALUE]", help="another option of sbatch, "
                       "e.g. qos=long or exclusive; may be repeated")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
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
        raise argparse.ArgumentTypeError(f"{text!r}: write auto, none, the GPUs' numbers, each once, as 0,1, or their "
                                         "UUIDs, as `nvidia-smi -L` shows them: GPU-…, MIG-…")
    return tuple(int(name) if name.isdecimal() else name for name in names)
