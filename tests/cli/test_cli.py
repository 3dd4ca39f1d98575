"""The command line as a user meets it: exit codes, one clear message, quick answers, nothing changed by looking."""

import importlib
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from suite.cli.arguments import make_parser
from suite.cli.main import main

ROOT = Path(__file__).parents[2]
GRID = "name: g\nbase: {task: scifar, data.variant: sample}\naxes: {ssm.init: [lin, inv]}\nseeds: {range: 2}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "g.yaml").write_text(GRID)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plan_counts_and_always_has_a_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "g.yaml"]) == 0
    out = capsys.readouterr().out
    assert "4 runs" in out and "4 todo" in out and "would run: 4" in out and "estimated time: " in out
    assert not (folder / "runs").exists()


def test_plan_tells_exclusions_and_shared_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "h.yaml").write_text(GRID.replace("name: g", "name: h")
                                   + "exclude: [{when: {model.layers: 9}, because: none}]\n"
                                   "blocks: [{}, {axes: {ssm.kernel: [vandermonde, softmax], "
                                   "ssm.discretization: [zoh, bilinear]}}]\n")
    assert main(["plan", "g.yaml", "h.yaml", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {e["reason"] for e in shown["excluded"]} == {"softmax needs ZOH"}
    assert shown["shared"] > 0 and len({run["id"] for run in shown["runs"]}) == len(shown["runs"])
    assert main(["plan", "g.yaml", "h.yaml"]) == 0
    assert "saved because cells share them" in capsys.readouterr().out


def test_status_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert main(["status", "g.yaml"]) == 0
    assert "4 runs: 4 todo" in capsys.readouterr().out
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(("arguments", "message"), [
    (["nowhere.yaml"], "error: nowhere.yaml: no such file"),
    (["pln", "g.yaml"], "error: pln: unknown command or grid file\n    did you mean 'plan'?"),
    (["g-yaml"], "error: g-yaml: unknown command or grid file\n    did you mean 'g.yaml'?"),
    (["plan", "."], "this is a folder"),
    (["plan", "g.yaml", "--profile", "hueg"], "there is no profile 'hueg'"),
    (["plan", "g.yaml", "--set", "ssm.state_size=33"], "multiple of 2"),
    (["plan", "g.yaml", "--only", "ssm.init=line"], "did you mean 'lin'"),
    (["status", "g.yaml", "--store", "a\nb"], "line break"),
    (["why", "g.yaml", "linn"], "did you mean 'lin'"),
    (["run", "g.yaml", "--cuda-graphs"], "CUDA graphs without a GPU"),
])
def test_bad_input_is_one_message_and_exit_code_2(folder: Path, arguments: list[str], message: str,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    caught = capsys.readouterr()
    assert message in caught.err and "Traceback" not in caught.err and caught.out == ""


def test_options_of_a_cluster_are_refused_without_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    group = next(one for one in make_parser()[0]._subparsers._group_actions[0].choices["run"]._action_groups
                 if one.title == "with --executor slurm")
    values = {"--time": "60", "--extra": "qos=long", "--gpus-per-job": "0", "--cluster": "nosuch.yaml"}
    options = [action.option_strings[0] for action in group._group_actions]
    assert {"--cluster", "--partition", "--setup"} <= set(options)
    for option in options:
        words = [option] if option == "--gpus-as-gres" else [option, values.get(option, "1")]
        assert main(["plan", "g.yaml", *words]) == 2, option
        assert f"error: {option}: only for --executor slurm" in capsys.readouterr().err
    assert main(["retry", "g.yaml", "--partition", "gpu"]) == 2
    assert main(["g.yaml", "--executor", "debug", "--cluster", "c.yaml", "--memory", "1GB"]) == 2
    assert "error: --cluster, --memory: only for --executor slurm" in capsys.readouterr().err
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("arguments", [
    ["run", "g.yaml", "--jobs", "0"], ["run", "g.yaml", "--until", "3"], ["run", "g.yaml", "--until", "epoch=0"],
    ["run", "g.yaml", "--timeout", "-1"], ["run", "g.yaml", "--gpus", "a"], ["run", "g.yaml", "--executor", "cloud"],
    ["run", "g.yaml", "--compile", "--cuda-graphs"],
])
def test_bad_options_are_usage_errors(folder: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_all_files_are_checked_before_anything_starts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text("name: bad\nseeds: [1, 1]\n")
    assert main(["run", "g.yaml", "bad.yaml", "nowhere.yaml"]) == 2
    shown = capsys.readouterr().err
    assert "duplicate seed 1" in shown and "no such file" in shown and "nothing was started" in shown
    assert not (folder / "runs").exists()


def test_missing_data_are_named_before_anything_starts(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SUITE_DATA", raising=False)
    monkeypatch.setenv("SUITE_CACHE", str(folder / "cache"))  # where they have been prepared, they are not missing
    assert main(["run", "g.yaml", "--set", "data.variant=jpeg"]) == 2
    shown = capsys.readouterr().err
    assert "SUITE_DATA is not set" in shown and "--set data.variant=sample" in shown
    assert not (folder / "runs").exists()
    monkeypatch.setenv("SUITE_DATA", str(folder / "empty"))
    assert main(["run", "g.yaml", "--set", "data.variant=jpeg"]) == 2
    assert "train.parquet is not there" in capsys.readouterr().err


def test_every_verb_has_its_function() -> None:
    parser, verbs = make_parser()
    assert {"run", "retry", "cancel", "gc", "merge", "plan", "status", "report", "why", "logs", "doctor", "schema"} <= {
        *verbs}
    for verb in verbs:
        args, _ = parser.parse_known_args([verb, "list" if verb == "data" else "a", "b"])
        module, _, name = args.verb.partition(":")
        assert callable(getattr(importlib.import_module(f"suite.{module}"), name)), verb


# What looking does without: packages, what only transfers need, and the forms of tables.
HEAVY = {"torch", "pandas", "numpy", "scipy", "matplotlib", "jinja2", "rich", "datasets", "pyarrow", "httpx2", "ssl",
         "asyncio", "multiprocessing", "suite.files.transfer", "suite.report.tables.table",
         "suite.report.tables.layout"}


@pytest.mark.parametrize("verb", ["plan", "status"])
def test_looking_is_quick_and_imports_no_torch(folder: Path, verb: str) -> None:
    code = (f"import sys; from suite.cli.main import main; assert main(['{verb}', 'g.yaml']) == 0; "
            f"heavy = {HEAVY} & set(sys.modules); assert not heavy, heavy")
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "SUITE_CACHE": str(folder / "cache")}
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, env=environment, capture_output=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5  # of CPU time; 0.3 if quiet


def test_doctor_tells_what_is_there_and_what_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SUITE_DATA", str(folder / "g.yaml"))
    monkeypatch.setenv("PATH", str(folder))
    assert main(["doctor", "--verbose"]) == 0
    shown = {text: word for word, text in (line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())}

    def word(part: str) -> str:
        return next(word for text, word in shown.items() if part in text)

    assert all(word(part) == "ok" for part in ("torch ", "GB free", "cifar10, variant sample: found"))
    assert word("SLURM: not installed") == "-", "it is no fault, and not there"
    assert all(word(f"data cifar10, variant {name}:") == "-" for name in ("jpeg", "original"))
    assert word(f"SUITE_DATA is {folder / 'g.yaml'}, which is not a folder") == "WARNING"
    monkeypatch.setenv("SUITE_DATA", str(folder))
    (folder / "cifar10").mkdir()
    (folder / "cifar10/train.parquet").write_bytes(b"another file")
    for name in ("sbatch", "scontrol"):
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    assert main(["doctor", "--verbose"]) == 0
    shown = {text: word for word, text in (line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())}
    assert not any("SUITE_DATA is" in text for text in shown) and word("SLURM: does not answer") == "-"
    assert word("train.parquet is not the file described in the card") == "WARNING"
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    here, remote, by_hand = (lines.index(line) for line in (
        "available", "can be downloaded: python run_grid.py data prepare NAME --variant VARIANT",
        "manual steps needed (only for runs that use it)"))
    assert here < remote < by_hand and max(map(len, lines)) <= 120 and str(folder) not in "".join(lines)
    assert lines.index("  WARNING  data cifar10, variant jpeg: train.parquet is not the file described in the card") \
        > by_hand and "packages, in suitable versions" in "".join(lines[here:remote])
    assert remote < next(k for k, line in enumerate(lines) if line.startswith("  cifar10 binary")) < by_hand


TINY = """
name: tiny
base: {task: scifar, data.variant: sample, data.pool: 4, data.train_count: 100, train.epochs: 1, train.batch_size: 50,
       model.layers: 1, model.features: 2, ssm.state_size: 2}
axes: {ssm.init: [lin, "flaky:start"]}
expect: {minutes: 0.001, memory_gb: 0.01}
"""
FLAKY = """
from pathlib import Path


def start(state_size, copies, rng):
    if Path("broken").exists() and Path("runs").exists():  # not in the trial before the start, which makes the folder
        raise ValueError("the weather is bad")
    return -0.5 + 1j * rng.random(state_size // 2)
"""


@pytest.mark.slow
def test_a_failed_run_stops_nobody_and_retry_runs_it_again(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "flaky.py").write_text(FLAKY)
    (folder / "broken").touch()
    monkeypatch.syspath_prepend(str(folder))
    assert main(["tiny.yaml"]) == 1
    out = capsys.readouterr().out
    assert "the weather is bad" in out and "1 of 2 runs failed" in out and "0/1 failed" in out
    assert "expects at most 0.001" in out and "GB of memory; tiny.yaml expects at most 0.01" in out
    (folder / "broken").unlink()
    assert main(["tiny.yaml"]) == 1, "a run that failed by itself is not run again unasked"
    assert main(["logs", "tiny.yaml", "flaky:start"]) == 0
    assert "ValueError" in capsys.readouterr().out
    assert main(["retry", "tiny.yaml", "--reason", "diverged"]) == 1
    assert main(["retry", "tiny.yaml"]) == 0
    capsys.readouterr()
    assert main(["status", "tiny.yaml"]) == 0
    assert "2 runs: 2 done" in capsys.readouterr().out
    assert main(["why", "tiny.yaml", "flaky:start"]) == 0
    assert "ssm.init = flaky:start" in capsys.readouterr().out
    assert main(["plan", "tiny.yaml", "--set", "optim.lr=0.1"]) == 0
    assert "from past runs of the same shape" in capsys.readouterr().out
