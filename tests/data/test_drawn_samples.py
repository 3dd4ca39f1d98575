"""Samples that the installed package may not hold: drawn of the whole sets, or of the public copies, with proof."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import make_samples
import pytest
from own_cards import Cards, own_cards
from test_unpack import tar_of
from web_server import Page, Web, web

from suite.cli.main import main
from suite.data import cards, download, imdb_files, parquet, places, samples
from suite.data.source import Source
from suite.errors import UserError
from suite.files import transfer, unpack

DATA = os.environ.get("SUITE_DATA", "")
ROOT = "Detection-1/aclImdb"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    """Cards of an installed package: the samples without a licence are not beside them."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "PAUSE_S", 0.01)
    with own_cards(tmp_path, monkeypatch) as own:
        for path in own.folder.glob("*.yaml"):
            path.write_text(path.read_text().replace(f"[{make_samples.SAMPLES}/", "[not-here/"))
        cards.load.cache_clear()
        yield own


@pytest.fixture
def server(made: Cards, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with web() as site:
        monkeypatch.setenv("SUITE_MIRROR", site.url)
        yield site


@pytest.mark.parametrize(("name", "variant"), [("cifar10", "sample"), ("imdb", "sample")])
@pytest.mark.skipif(not DATA, reason="SUITE_DATA is not set: the full files are not here")
def test_the_full_files_in_suite_data_give_the_very_bytes(name: str, variant: str, made: Cards, server: Web,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    (made.home / name).symlink_to(Path(DATA) / name)
    assert main(["data", "prepare", name, "--variant", variant]) == 0
    assert server.asked == [] and f"drew {places.downloads()}/samples/{name}-val.parquet" in capsys.readouterr().out
    for path in (places.downloads() / "samples").iterdir():
        assert path.read_bytes() == (make_samples.SAMPLES / path.name).read_bytes()


def copy_of_reviews() -> dict[str, bytes]:
    """Eight films with two reviews each, a split; one review is too long."""
    found: dict[str, bytes] = {}
    for split, first in (("train", 0), ("test", 100)):
        for label in ("neg", "pos"):
            for k in range(8):
                text = f"{split} {label} {k}" + " long" * (200 if k == 7 else 0)
                found[f"{ROOT}/{split}/{label}/{k}_{3 if label == 'neg' else 8}.txt"] = text.encode()
            lines = [f"http://www.imdb.com/title/tt{first + k:07}/usercomments\n" for k in range(8)]
            found[f"{ROOT}/{split}/urls_{label}.txt"] = "".join(lines).encode()
    return dict(sorted(found.items()))


def expect(made: Cards, variant: str, **digests: str) -> None:
    made.change("imdb", variant, lambda fields: [fields["files"][split].update(rows_sha256=digest)
                                                 for split, digest in digests.items()])


def digest_said(call: object) -> str:
    """The digest that an error names: that of what was made."""
    with pytest.raises(UserError) as caught:
        call()  # type: ignore[operator]
    return str(caught.value).partition("digest ")[2].removeprefix("of the rows of ").split(" is ")[-1].split(",")[0]


def test_a_public_copy_is_downloaded_built_and_drawn(made: Cards, server: Web, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "IMDB_FILMS", {"val": 2, "test": 3})
    archive = tar_of(tmp_path / "copy", copy_of_reviews())
    files = unpack.contents(archive, ".txt")
    for split in ("train", "test"):  # the stand-in is another copy than the card's: what it is, its refusal says
        card = cards.load("imdb").variant("parquet")
        said = digest_said(lambda split=split, card=card: imdb_files.rows(files, split, card, archive))
        expect(made, "parquet", **{split: said})
    address = cards.load("imdb").variant("sample").archive
    assert address is not None
    server.pages[urlsplit(address.url).path] = Page(archive.read_bytes(), length=False)
    for split in ("train", "val", "test"):
        said = digest_said(lambda: download.fetch([Source("imdb", "sample", {}, "text")], lambda _: None))
        expect(made, "sample", **{split: said})
    assert len(server.asked) == 1, "what was built before stays"
    source = Source("imdb", "sample", {}, "text")
    download.fetch([source], lambda _: None)
    rows = {split: parquet.read(source.path(split)) for split in source.files}
    assert {split: len(part["text"]) for split, part in rows.items()} == {"train": 10, "val": 4, "test": 6}
    whole = parquet.read(Source("imdb", "parquet", {}, "text").path("train"))
    assert whole["text"][:3] == ["train neg 0", "train pos 0", "train neg 1"] and whole["rating"][:2] == [3, 8]
    assert whole["review_id"][:3] == [0, 0, 1] and whole["title"][2] == "tt0000001"
    assert not {*rows["train"]["title"]} & {*rows["val"]["title"]} and max(map(len, rows["train"]["text"])) < 700


@pytest.mark.parametrize(("lacking", "text"), [
    (f"{ROOT}/test/urls_pos.txt", "urls_pos.txt of test names no film of review 0"),
    (f"{ROOT}/test/pos/3_8.txt", "its 15 reviews of test are not those of the card: digest ")])
def test_a_copy_that_lacks_something_is_refused(lacking: str, text: str, made: Cards, tmp_path: Path) -> None:
    files = copy_of_reviews()
    del files[lacking]
    with pytest.raises(unpack.BadArchive, match=text):
        imdb_files.rows(files, "test", cards.load("imdb").variant("parquet"), tmp_path)


def test_a_sample_is_named_with_the_command_that_makes_it(made: Cards, server: Web, tmp_path: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.yaml").write_text("name: one\nbase: {task: scifar, data.variant: sample}\nseeds: [0]\n")
    assert main(["run", str(tmp_path / "one.yaml"), "--store", str(tmp_path / "runs")]) == 2
    text = capsys.readouterr().err
    assert "cifar10-train.parquet is not there" in text and "the server answers 404" in text
    assert "data prepare cifar10 --variant sample` makes it" in text and text.count("error:") == 1
    (made.home / "samples").mkdir()
    for path in make_samples.SAMPLES.glob("cifar10-*"):  # of a clone
        (made.home / "samples" / path.name).symlink_to(path)
    assert Source("cifar10", "sample", {}, "scifar").path("val") == made.home / "samples" / "cifar10-val.parquet"
