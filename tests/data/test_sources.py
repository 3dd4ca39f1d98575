"""Where data come from: places of the user, the Hugging Face hub, and how their content is fingerprinted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import REPO, REVISION, fake_hub
from pydantic import ValidationError

from datasets import Dataset
from suite.config.fields import Data
from suite.data import cards, prepared, stamps
from suite.data.card import Variant
from suite.data.card_file import File, Hub
from suite.data.source import Source
from suite.errors import UserError

FACTS = {"about": "toy", "get": "Ask for it.", "download_mb": 3, "prepared_mb": 1}
CARD = """
name: toy
title: toy
source: made here
licence: none
citation: none
tasks: [text]
variants:
  original: {{about: toy, get: Ask for it., download_mb: 3, prepared_mb: 1, {original}}}
  other: {{about: another form, get: Comes with it., download_mb: 0, prepared_mb: 1}}
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "cards").mkdir()
    monkeypatch.setattr(cards, "CARDS", tmp_path / "cards")
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HERE", str(tmp_path / "here"))
    monkeypatch.delenv("NOWHERE", raising=False)
    (tmp_path / "here").mkdir()
    cards.load.cache_clear()
    yield
    cards.load.cache_clear()


def toy(original: str) -> Source:
    (cards.CARDS / "toy.yaml").write_text(CARD.format(original=original))
    cards.load.cache_clear()
    return Source("toy", "original", {})


def test_the_first_place_that_is_there_counts(tmp_path: Path) -> None:
    file = File(path=("${NOWHERE}/a", "${HERE}/b", "${HERE}/c"))
    (tmp_path / "here" / "c").mkdir()
    assert file.find() == tmp_path / "here" / "c"
    (tmp_path / "here" / "b").write_text("")
    assert file.find() == tmp_path / "here" / "b"


def test_a_missing_file_is_told_with_every_place_and_way() -> None:
    source = toy('files: {all: {path: ["${NOWHERE}", "${HERE}/b"]}}')
    with pytest.raises(UserError) as caught:
        source.check()
    text = str(caught.value)
    assert "data set toy, variant original: ${NOWHERE} is needed, but the environment variable NOWHERE is not" in text
    assert "here/b is not there" in text and "export NOWHERE=DIR, where DIR is its place" in text
    assert "Ask for it. (3 MB to download) Or choose another variant: --set data.variant=other (another form)" in text


def test_a_variant_has_one_source() -> None:
    hub = Hub(repo="a/b", revision="main", splits={"train": "train"})
    with pytest.raises(ValidationError, match="from files or from the hub"):
        Variant(**FACTS, files={"train": File(path="x")}, hub=hub)


def test_content_of_the_users_own_is_read_once_and_when_it_changes(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    source = toy('files: {all: {path: "${HERE}/set"}, known: {path: nowhere, sha256: ' + "a" * 64 + "}}")
    folder = tmp_path / "here" / "set"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "one.txt").write_text("1")
    reads = []
    read = stamps.digest_of
    monkeypatch.setattr(stamps, "digest_of", lambda path: reads.append(path) or read(path))
    first = stamps.contents(source)
    assert first["known"] == "a" * 64 and stamps.contents(source) == first and len(reads) == 1
    time.sleep(0.02)
    (folder / "inner" / "two.txt").write_text("2")
    second = stamps.contents(source)
    assert second["all"] != first["all"] and len(reads) == 2
    folder.rename(tmp_path / "here" / "gone")
    assert stamps.contents(source) == second  # what was prepared of it still serves
    (tmp_path / "here" / "gone").rename(folder)
    (folder / "inner" / "two.txt").unlink()
    assert stamps.contents(source) == first


def test_content_that_was_never_seen_is_missing() -> None:
    with pytest.raises(UserError, match=r"here/set is not there\n.*Ask for it"):
        stamps.contents(toy('files: {all: {path: "${HERE}/set"}}'))


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    source, path = toy('files: {all: {path: "${HERE}/a"}}'), tmp_path / "here" / "a"
    path.write_bytes("Grüße\r\nlast".encode())
    assert [*source.lines(path)] == ["Grüße", "last"]
    path.write_bytes("Grüße\n".encode() + "Grüße\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"here/a, line 2: not UTF-8 \(invalid .* at byte 2\)"):
        [*source.lines(path)]


def hub(path: str, **columns: str) -> str:
    named = "".join(f"{ours}: {theirs}, " for ours, theirs in columns.items())
    return f"hub: {{repo: {path}, revision: main, splits: {{train: test}}, columns: {{{named}}}}}"


def test_rows_of_the_hub_have_our_names(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    Dataset.from_dict({"img": [1, 2], "more": ["a", "b"]}).to_parquet(tmp_path / "repo" / "test.parquet")
    source = toy(hub(str(tmp_path / "repo"), image="img"))
    rows = source.rows("train", {"image": "Value"})
    assert rows["image"][:] == [1, 2] and source.splits == ("train",)
    with pytest.raises(UserError, match=r"split train, lacks the columns label \(ClassLabel\); it has image"):
        source.rows("train", {"label": "ClassLabel"})
    with pytest.raises(UserError, match=r"lacks the columns label; it has img, more"):
        toy(hub(str(tmp_path / "repo"), image="label")).rows("train", {})


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "HF_ENDPOINT"])
def test_without_a_network_the_hub_is_one_error_with_all_ways(tmp_path: Path, name: str) -> None:
    value = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://no-such-host.invalid"}[name]
    code = ("from suite.config.fields import Data\nfrom suite.data import prepared\n"
            "from suite.errors import UserError\n"
            "for do in prepared.check, prepared.load:\n"
            "    try: do(Data(name='cifar10', variant='original'), 'scifar')\n"
            "    except UserError as error: print(error)\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30,
                          env=os.environ | {name: value, "HF_HOME": str(tmp_path)}, cwd=Path(__file__).parents[2])
    assert done.stdout.count("which cannot be reached: there is no network, or HF_HUB_OFFLINE is set") == 2
    assert done.stdout.count("--set data.variant=sample (7,000 images, in the repository)") == 2
    assert "Retrying" not in done.stderr and not [*(tmp_path / "cache").glob("cifar10*")]


def test_prepared_data_need_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "CARDS", Path(__file__).parents[2] / "datasets")
    config = Data(name="bidmc", variant="sample")
    prepared.check(config, "bidmc_rr")
    prepared.load(config, "bidmc_rr")
    monkeypatch.setattr(Source, "find", lambda *_: pytest.fail("looked for the source"))
    prepared.check(config, "bidmc_rr")


LOAD = """
import sys
from pathlib import Path
from suite.data import cards
from suite.data.source import Source
from suite.errors import UserError
cards.CARDS = Path(sys.argv[1])
try: print(sum(Source("toy", "original", {}).rows("train", {"image": "Value"})["image"]))
except UserError as error: print(error)
"""


def test_a_download_that_stops_half_way_is_told_and_goes_on_later(tmp_path: Path) -> None:
    toy(hub(REPO, image="img").replace("main", REVISION))
    Dataset.from_dict({"img": range(50_000)}).to_parquet(tmp_path / "file.parquet")
    content = (tmp_path / "file.parquet").read_bytes()
    texts = []
    with fake_hub(content, cut=len(content) // 2) as (url, server):
        environment = os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "*",
                                    "HF_HUB_DISABLE_XET": "1"}
        environment.pop("HF_HUB_OFFLINE", None)
        for cut in (server.cut, None):
            server.cut = cut
            done = subprocess.run([sys.executable, "-c", LOAD, str(cards.CARDS)], capture_output=True, text=True,
                                  check=True, env=environment, cwd=Path(__file__).parents[2], timeout=60)
            texts.append(done.stdout)
    assert "the download of toy/set at revision 000000000000 was interrupted, or is damaged: peer clos" in texts[0]
    assert "Ask for it. (3 MB to download)" in texts[0]
    assert texts[1] == f"{sum(range(50_000))}\n"


COUNT = """
import sys
from pathlib import Path
from suite.data import cards, stamps
from suite.data.source import Source
cards.CARDS = Path(sys.argv[1])
read = stamps.digest_of
def counted(path):
    with open(sys.argv[2], "a") as log: log.write("x")
    return read(path)
stamps.digest_of = counted
sys.stdin.read()
print(stamps.contents(Source("toy", "original", {}))["all"])
"""


def test_processes_that_start_together_read_a_folder_once(tmp_path: Path) -> None:
    toy('files: {all: {path: "${HERE}/set"}}')
    (tmp_path / "here" / "set").mkdir()
    for k in range(200):
        (tmp_path / "here" / "set" / f"{k}.bin").write_bytes(bytes(10_000))
    workers = [subprocess.Popen([sys.executable, "-c", COUNT, str(cards.CARDS), str(tmp_path / "log")], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
               for _ in range(5)]
    for worker in workers:  # they wait for the end of their input, so that all begin together
        assert worker.stdin is not None
        worker.stdin.close()
        worker.stdin = None
    told = {worker.communicate(timeout=60)[0] for worker in workers}
    assert len(told) == 1 and len(told.pop().strip()) == 64
    assert (tmp_path / "log").read_text() == "x"
