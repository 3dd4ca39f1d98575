"""The verb `data`: listing, preparing, checking and showing, on the samples of the repository."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from own_cards import Cards, own_cards
from PIL import Image

from suite.cli.main import main
from suite.data import cache, cards
from suite.data.prepared import TaskData
from suite.report import examples


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    monkeypatch.setenv("SUITE_MIRROR", "http://127.0.0.1:9")  # nothing listens there: no test downloads from elsewhere
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with own_cards(tmp_path, monkeypatch) as own:
        yield own


def test_list_has_a_line_for_each_variant_in_three_groups(made: Cards, capsys: pytest.CaptureFixture[str],
                                                          monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    made.load("bidmc_rr", "sample")
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    here, remote, by_hand = (next(k for k, line in enumerate(lines) if line.startswith(start))
                             for start in ("available", "can be downloaded: python run_grid.py data prepare", "manual"))
    assert len(lines) == 4 + sum(len(cards.load(name).variants) for name in cards.names())
    group = {" ".join(line.split()[:2]): (k, line) for k, line in enumerate(lines) if line.startswith("  ")}
    assert here < group["bidmc sample"][0] < remote < group["cifar10 original"][0] < by_hand < group["bidmc cut"][0]
    assert group["speech_commands original"][1].split()[2:4] == ["2,429", "MB"]
    assert group["cifar10 binary"][1].split()[2:4] == ["170", "MB"] and group["cifar10 jpeg"][0] < by_hand
    assert group["bidmc sample"][1].split()[2:4] == ["6", "MB"] and max(map(len, lines)) <= 120
    assert str(tmp_path) not in "".join(lines)
    (tmp_path / "hub" / "datasets--uoft-cs--cifar10" / "snapshots"
     / cards.load("cifar10").variants["original"].hub.revision).mkdir(parents=True)
    assert main(["data", "list", "cifar10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["sample", "original"] and lines[3].startswith("can be down")


def test_verbose_list_names_sizes_places_and_what_is_prepared(made: Cards, capsys: pytest.CaptureFixture[str]) -> None:
    data = made.load("bidmc_rr", "sample", normalization="window")
    assert main(["data", "list", "--verbose"]) == 0
    text = capsys.readouterr().out
    assert len(cards.names()) > 5
    for name in cards.names():
        assert f"{name}: {cards.load(name).title}\n  licence: {cards.load(name).licence}" in text
        assert f"\n  source: {' '.join(cards.load(name).source.split())}\n" in text
        for variant, card in cards.load(name).variants.items():
            assert f"  {variant}: {card.first_line}\n" in text
    assert "train 84,843, val 9,981, test 11,005; 2,429 MB to download, about 3,387 MB prepared" in text
    assert "Hugging Face hub: uoft-cs/cifar10" in text and "missing: ${BIDMC32}/BIDMC32HR_TRAIN.ts is needed" in text
    assert f"found: {Path(__file__).parents[2] / 'datasets' / 'samples'}, 3 files" in text
    assert "prepared: rr, normalization=window: 6." in text and f"fingerprint {data.fingerprint[:16]}" in text
    assert text.count("prepared: ") == 1 and f"then in {made.cache}/downloads (downloads)" in text


def test_list_is_quick_and_imports_nothing_heavy() -> None:
    code = ("import sys; from suite.cli.main import main; main(['data', 'list'])\n"
            "print({'torch', 'datasets', 'pandas', 'scipy', 'matplotlib'} & {*sys.modules} or 'light')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ},
                          cwd=Path(__file__).parents[2])
    assert done.stdout.endswith("light\n")


def test_prepare_says_what_it_made_and_what_is_missing(made: Cards, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "prepare", "bidmc", "--task", "bidmc_hr"]) == 0
    text = capsys.readouterr().out
    assert "bidmc sample for bidmc_hr: train 555, val 120, test 120; length 1,000; 6.4 MB" in text
    assert "not prepared: data set bidmc, variant cut: " in text
    assert "not downloaded: http://127.0.0.1:9/records/4001456/files/BIDMC32HR_TRAIN.ts: 127.0.0.1 cannot be" in text
    assert len([*cache.entries("bidmc", "sample")]) == 1
    assert main(["data", "prepare", "bidmc", "--variant", "cut"]) == 2
    assert "recordings.parquet is not there" in capsys.readouterr().err


def test_check_reads_every_byte(made: Cards, capsys: pytest.CaptureFixture[str]) -> None:
    made.load("bidmc_hr", "sample")
    assert main(["data", "check", "bidmc", "--variant", "sample"]) == 0
    assert ": good" in capsys.readouterr().out
    (path, _), = cache.entries("bidmc", "sample")
    file = path / "val-x.npy"
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # a disk that rots changes no times
    assert main(["data", "check", "bidmc", "--variant", "sample"]) == 1
    assert "DAMAGED: val-x.npy; remove the folder" in capsys.readouterr().out


def test_check_names_a_source_that_is_another(made: Cards, capsys: pytest.CaptureFixture[str]) -> None:
    made.change("bidmc", "sample", lambda fields: fields["files"]["val"].update(sha256="0" * 64))
    assert main(["data", "check", "bidmc"]) == 1
    out = capsys.readouterr().out
    assert f"the card expects {'0' * 64}" in out and out.endswith("1 damaged\n")


@pytest.mark.parametrize(("arguments", "text"), [
    (["prepare"], "no data set was given"), (["list", "cifar"], "did you mean 'cifar10'"),
    (["prepare", "bidmc", "--task", "scifar"], "'bidmc' does not provide the task 'scifar'"),
    (["prepare", "cifar10", "--variant", "jpg"], "has no variant 'jpg'"),
    (["prepare", "cifar10", "--variant", "sample", "--set", "pool=3"], "3 is not allowed"),
    (["prepare", "cifar10", "--variant", "sample", "--set", "pool"], "write OPTION=VALUE"),
    (["check", "--set", "pool=2"], "--set is only for prepare and show")])
def test_mistakes_are_named(made: Cards, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_show_draws_examples(made: Cards, tmp_path: Path) -> None:
    assert main(["data", "show", "cifar10", "--variant", "sample", "--set", "train_count=10", "--task", "image",
                 "--out", str(tmp_path / "pictures")]) == 0
    with Image.open(tmp_path / "pictures" / "data-cifar10-sample-image.png") as picture:
        assert picture.text["Title"] == "cifar10 for image, variant sample, test split"
        assert picture.size[0] > 1000 and np.asarray(picture.convert("L")).std() > 20
    assert main(["data", "show", "bidmc", "--task", "bidmc_rr", "--out", str(tmp_path / "pictures")]) == 0
    assert (tmp_path / "pictures" / "data-bidmc-sample-bidmc_rr.png").stat().st_size > 20_000


def test_tokens_and_pairs_are_strips(tmp_path: Path) -> None:
    starts = np.array([0, 5, 300, 301])
    common = {"tokens": np.arange(301, dtype=np.uint8) % 9, "starts": starts, "test/y": np.array([1, 0])}
    for documents in (np.array([1, 2]), np.array([[0, 1], [2, 1]])):
        data = TaskData("text", 295, None, 9, 2, None, "f" * 64, "sample", common | {"test/documents": documents})
        path = examples.write("imdb", data, ["no", "yes"], tmp_path / "strip.png")
        with Image.open(path) as picture:
            assert len(np.unique(np.asarray(picture.convert("L")))) > 9


def test_a_strip_begins_with_what_its_tokens_stand_for() -> None:
    some = {"symbols": np.array(["<pad>", "<eos>", "a", "\n", "$"])}
    letters = TaskData("text", 5, None, 6, 2, None, "", "sample", some)
    assert examples.beginning(letters, np.array([2, 3, 4, 1]), 9) == "a $<eos>…"
    words = {"symbols": np.array(["<pad>", "<unk>", "<eos>", "[MIN", "[MAX", "7"])}
    numbers = TaskData("listops", 5, None, 6, 2, None, "", "sample", words)
    assert examples.beginning(numbers, np.array([3, 5, 4]), 8) == "[MIN 7 [\u2026"
    assert examples.beginning(TaskData("text", 5, None, 6, 2, None, "", "sample", {}), np.array([3]), 8) == "…"


def test_rows_of_a_picture_show_every_class_and_the_range_of_targets() -> None:
    assert examples.spread(np.array([0, 0, 0, 1, 2, 2, 1]), 6, 3).tolist() == [0, 3, 4, 1, 6, 5]
    assert examples.spread(np.array([3.0, 1.0, 2.0, 9.0]), 2, None).tolist() == [1, 3]


GRID = """
name: both
axes:
  task:
    sCIFAR: {task: scifar, data.variant: jpeg}
    HR: {task: bidmc_hr}
    RR: {task: bidmc_rr, data.variant: sample}
seeds: [0]
"""


def test_run_names_all_data_that_are_missing_and_plan_needs_none(made: Cards, tmp_path: Path,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "both.yaml").write_text(GRID)
    arguments = [str(tmp_path / "both.yaml"), "--store", str(tmp_path / "runs")]
    assert main(["plan", *arguments]) == 0
    assert "would run: 3" in capsys.readouterr().out
    assert main(["run", *arguments]) == 2
    text = capsys.readouterr().err
    command = f"python run_grid.py data prepare {tmp_path}/both.yaml"
    assert ("both.yaml: 1,087 MB of data are missing, and a run downloads them only with --download: "
            "cifar10 jpeg (20 MB), "
            f"bidmc original (1,067 MB)\n    `{command}` downloads and prepares them, or repeat this command with "
            "--download\n") in text and text.count("error: ") == 1
    assert main(["run", *arguments, "--only", "task=HR", "--profile", "mini", "--set", "data.variant=original"]) == 2
    assert f"    `{command} --profile mini --set data.variant=original --only task=HR` downl" in capsys.readouterr().err
    assert main(["run", *arguments, "--only", "task=sCIFAR"]) == 2  # small: it is tried, and nobody is there
    assert "data set cifar10, variant jpeg: " in capsys.readouterr().err
    made.change("bidmc", "sample", lambda fields: fields["files"]["val"].update(sha256="0" * 64))
    assert main(["run", *arguments]) == 2  # what is wrong with other data is said as well
    assert "variant sample: " in (text := capsys.readouterr().err) and text.endswith("2 errors; nothing was started\n")
    assert not (tmp_path / "runs").exists()


def test_check_reads_files_that_only_some_tasks_need(made: Cards, capsys: pytest.CaptureFixture[str]) -> None:
    (made.home / "bidmc32").mkdir()
    (made.home / "bidmc32" / "BIDMC32RR_TEST.ts").write_text("@data\n")
    assert main(["data", "check", "bidmc", "--variant", "original"]) == 0
    out = capsys.readouterr().out
    assert f"found: {made.home}/bidmc32/BIDMC32RR_TEST.ts; missing: " in out and ", and 4 more" in out
    digest = hashlib.sha256(b"@data\n").hexdigest()
    assert f"rr_test: sha256 {digest}" in out


def test_run_names_data_that_are_damaged_before_anything_starts(made: Cards, tmp_path: Path,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    made.change("bidmc", "sample", lambda fields: fields["files"]["val"].update(sha256="0" * 64))
    (tmp_path / "one.yaml").write_text("name: one\nbase: {task: bidmc_rr, data.variant: sample}\nseeds: [0, 1]\n")
    assert main(["run", str(tmp_path / "one.yaml"), "--store", str(tmp_path / "runs")]) == 2
    text = capsys.readouterr().err
    assert "bidmc-val.parquet is damaged or not the right file: sha256 " in text
    assert "data set bidmc, variant sample" in text
    assert text.count("damaged") == 1 and not [*(tmp_path / "runs").glob("*")]
