"""What is downloaded for a data set: how much, from where, to where, by whom; on stand-in archives on the loopback."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
from own_cards import Cards, own_cards
from test_unpack import tar_of, zip_of
from web_server import Page, Web, web

from suite.cli.main import main
from suite.config.run_config import RunConfig
from suite.data import cards, cifar_jpeg, download, lacking, parquet, places, prepared
from suite.data.source import Source
from suite.errors import UserError
from suite.files import transfer

RELEASE = "/long-range-arena/lra_release.gz"
LISTS = {f"lra_release/listops-1000/basic_{split}.tsv": f"Source\tTarget\n( [MAX 2 )\t{k}\n3\t3\n".encode()
         for k, split in enumerate(("train", "val", "test"), 4)}
TEXTS = {f"lra_release/lra_release/tsv_data/new_aan_pairs.{split}.tsv": b"x" for split in ("train", "eval", "test")}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "LRA_RELEASE", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "PAUSE_S", 0.01)
    with own_cards(tmp_path, monkeypatch) as own:
        yield own


@pytest.fixture
def server(made: Cards, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with web() as site:
        monkeypatch.setenv("SUITE_MIRROR", site.url)
        yield site


@pytest.fixture
def release(server: Web, tmp_path: Path) -> Page:
    content = tar_of(tmp_path / "release", LISTS | TEXTS | {"lra_release/big": b"b" * 9999}).read_bytes()
    server.pages[RELEASE] = Page(content)
    return server.pages[RELEASE]


def config(task: str, variant: str = "original") -> RunConfig:
    return RunConfig.build({"task": task, "data.variant": variant})


def quiet(text: str) -> None:
    pass


def test_prepare_downloads_an_archive_once_and_keeps_what_is_needed(
        server: Web, release: Page, made: Cards, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "prepare", "listops", "--variant", "original"]) == 0
    out = capsys.readouterr().out
    digest = hashlib.sha256(release.body).hexdigest()
    assert f"downloading 7,700 MB for listops original (train, val, test) from {server.url}{RELEASE}" in out
    assert f"sha256 {digest}, in {places.downloads()}" in out
    assert "listops original for listops: train 2, val 2, test 2" in out
    folder = places.downloads() / "listops-1000"
    assert (folder / "basic_val.tsv").read_bytes() == LISTS["lra_release/listops-1000/basic_val.tsv"]
    assert [path.name for path in places.downloads().iterdir() if path.name[0] != "."] == ["listops-1000"]
    assert main(["data", "prepare", "listops", "--variant", "original"]) == 0 and len(server.asked) == 1
    assert main(["data", "check", "listops", "--variant", "original"]) == 0
    assert f"from {server.url}{RELEASE}, sha256 of the download {digest}" in capsys.readouterr().out


def test_data_sets_of_one_archive_take_one_download(server: Web, release: Page) -> None:
    release.cuts.append(100)
    download.fetch([Source("listops", "original", {}, "listops"), Source("aan", "original", {}, "retrieval")], quiet)
    assert [code for *_, code in server.asked] == [200, 206]
    assert (places.downloads() / "tsv_data" / "new_aan_pairs.eval.tsv").read_bytes() == b"x"
    with pytest.raises(UserError, match="the archive lacks pathfinder32"):
        download.fetch([Source("pathfinder", "original", {}, "pathfinder")], quiet)
    assert (places.downloads() / "lra_release.gz").exists()  # whole, though not what the card says: for the user to see


def test_what_is_in_suite_data_comes_first_and_is_not_downloaded(server: Web, release: Page, made: Cards) -> None:
    own = made.home / "listops-1000" / "basic_val.tsv"
    own.parent.mkdir()
    own.write_text("5\t5\n")
    wanted = Source("listops", "original", {}, "listops")
    assert list(lacking.missing(wanted)) == ["train", "test"]
    download.fetch([wanted], quiet)
    assert wanted.find("val") == own
    assert wanted.find("train") == places.downloads() / "listops-1000" / "basic_train.tsv"
    os.environ.pop("SUITE_DATA")
    with pytest.raises(UserError, match="SUITE_DATA is not set"):
        wanted.find("val")
    assert wanted.find("test").exists()


def test_only_the_files_of_the_task_are_fetched(server: Web) -> None:
    for part in ("TRAIN", "TEST"):
        server.pages[f"/records/4001463/files/BIDMC32RR_{part}.ts"] = Page(b"@data\n")
    download.fetch([Source("bidmc", "original", {}, "bidmc_rr")], quiet)
    assert sorted(path.name for path in (places.downloads() / "bidmc32").glob("*.ts")) \
        == ["BIDMC32RR_TEST.ts", "BIDMC32RR_TRAIN.ts"]
    assert len(server.asked) == 2


def test_processes_that_start_together_download_once(server: Web, release: Page) -> None:
    release.drip = 0.3
    said: list[str] = []
    ends = [threading.Thread(target=download.fetch, args=([Source("listops", "original", {}, "listops")], said.append))
            for _ in range(5)]
    for end in ends:
        end.start()
    for end in ends:
        end.join()
    assert len(server.asked) == 1
    assert said.count("another process is downloading lra_release.gz; waiting for it") == 4


def test_a_run_fetches_small_files_and_asks_for_large_ones(server: Web, release: Page, made: Cards) -> None:
    with pytest.raises(UserError) as caught:
        prepared.check(config("listops").data, "listops")
    text = str(caught.value)
    assert "it is missing: 7,700 MB, which a run downloads only with --download" in text and server.asked == []
    assert "`python run_grid.py data prepare listops --variant original --task listops` downloads and prepares" in text
    prepared.check(config("listops").data, "listops", allow_download=True)
    assert len(server.asked) == 1
    body = b"stand-in"
    made.change("cifar10", "binary", lambda fields: fields["files"]["archive"].update(
        sha256=hashlib.sha256(body).hexdigest(), download=fields["files"]["archive"]["download"] | {
            "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}))
    server.pages["/~kriz/cifar-10-binary.tar.gz"] = Page(body)
    prepared.check(config("scifar", "binary").data, "scifar")
    assert (places.downloads() / "cifar-10-binary.tar.gz").read_bytes() == body


def test_nothing_is_downloaded_in_a_job_of_a_cluster(server: Web, release: Page,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with pytest.raises(UserError, match="nothing is downloaded in a cluster job"):
        download.fetch([Source("listops", "original", {}, "listops")], quiet)
    with pytest.raises(UserError, match="cifar-10-binary.tar.gz is not there"):
        prepared.check(config("scifar", "binary").data, "scifar")
    with pytest.raises(UserError, match="basic_train.tsv is not there"):
        prepared.load(config("listops").data, "listops")
    assert server.asked == []


def test_needed_says_what_is_to_be_downloaded_and_counts_an_archive_once(server: Web, release: Page,
                                                                        made: Cards) -> None:
    tasks = ["listops", "retrieval", "pathx", "bidmc_rr", "bidmc_hr", "sc_ar", "listops"]
    runs = [*map(config, tasks), config("scifar", "sample"), config("bidmc_hr", "cut")]
    found = {(one.name, one.variant): one for one in lacking.needed(runs)}
    assert len(found) == 7
    files = ("train", "val", "test")
    assert found["listops", "original"] == lacking.Needed("listops", "original", files, 7_700_000_000, here=False)
    assert found["aan", "original"].bytes == found["pathfinder", "original"].bytes == 0
    assert found["bidmc", "original"].files == ("rr_train", "rr_test", "hr_train", "hr_test")
    assert found["bidmc", "original"].bytes == 2 * 1_067_000_000
    assert found["speech_commands", "original"].bytes == 2_428_923_189
    assert found["cifar10", "sample"].here and found["bidmc", "cut"].by_hand and not found["bidmc", "cut"].bytes
    made_ = Source("listops", "original", {}, "listops")
    download.fetch([made_], quiet)
    assert lacking.needed(runs[:1]) == [lacking.Needed("listops", "original", (), 0, here=True)]


def test_needed_imports_nothing_heavy(made: Cards) -> None:
    code = ("import sys; from suite.data import lacking; from suite.config.run_config import RunConfig\n"
            "print(len(lacking.needed([RunConfig.build({'task': task}) for task in ('listops', 'scifar')])))\n"
            "print({'torch', 'numpy', 'datasets', 'pandas', 'rich', 'httpx2', 'pyarrow'} & {*sys.modules} or 'light')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ},
                          cwd=Path(__file__).parents[2])
    assert done.stdout == "2\nlight\n"


def test_what_is_prepared_needs_no_source(server: Web, release: Page) -> None:
    assert main(["data", "prepare", "listops", "--variant", "original"]) == 0
    shutil.rmtree(places.downloads())
    assert lacking.needed([config("listops")]) == [lacking.Needed("listops", "original", (), 0, here=True)]
    prepared.check(config("listops").data, "listops")
    assert len(server.asked) == 1


def test_a_run_tells_what_is_missing_and_why_it_did_not_come(server: Web) -> None:
    with pytest.raises(UserError) as caught:
        prepared.check(config("scifar", "jpeg").data, "scifar")
    text = str(caught.value)
    assert "cifar10/train.parquet is not there; and it could not be downloaded: http://127.0.0.1" in text
    assert "the server answers 404" in text and "--set data.variant=sample" in text


def test_a_grid_prepares_what_its_runs_need(server: Web, release: Page, tmp_path: Path,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "both.yaml").write_text("name: both\naxes:\n  task:\n    A: {task: listops}\n"
                                        "    B: {task: bidmc_rr, data.variant: sample}\nseeds: [0]\n")
    assert main(["data", "prepare", str(tmp_path / "both.yaml")]) == 0
    out = capsys.readouterr().out
    assert "listops original for listops: train 2" in out and "bidmc sample for bidmc_rr: train 552" in out
    assert main(["data", "prepare", str(tmp_path / "both.yaml"), "--only", "task=B", "--set", "data.decimate=2"]) == 0
    out = capsys.readouterr().out
    assert "listops" not in out and "length 500" in out
    assert f"to start them: python run_grid.py {tmp_path}/both.yaml --set data.decimate=2 --only task=B" in out
    server.pages.clear()
    (tmp_path / "both.yaml").write_text("name: one\nbase: {task: retrieval}\nseeds: [0]\n")
    assert main(["data", "prepare", str(tmp_path / "both.yaml")]) == 2
    assert f"error: {server.url}{RELEASE}: the server answers 404 Not Found" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "text"), [
    (["list", "x.yaml"], "x.yaml is a grid file"), (["list", "suite:quickstart"], "suite:quickstart is a grid file"),
    (["prepare", "x.yaml", "--task", "listops"], "select runs with --only"),
    (["prepare", "cifar10", "--only", "seed=0", "--seeds", "2"], "--only, --seeds: selects runs of a grid"),
    (["prepare", "cifar10", "x.yaml", "--set", "pool=2"], "--set has different meanings for a grid and for a data set"),
    (["prepare", "x.yaml", "y.yaml"], "2 errors"),
    (["prepare", "cifar10", "--from", "x"], "--from needs one data set and its variant"),
    (["prepare", "cifar10", "--variant", "jpeg", "--from", "nowhere"], "nowhere is not there"),
    (["prepare", "cifar10", "--variant", "binary", "--from", "nowhere"], "is not built from an archive")])
def test_options_that_do_not_fit_are_named(made: Cards, arguments: list[str], text: str,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", *arguments]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["link", "cut"])
def test_an_archive_that_is_bad_is_named_and_not_kept(server: Web, damage: str, tmp_path: Path) -> None:
    import tarfile

    link = tarfile.TarInfo("lra_release/listops-1000/basic_test.tsv")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    content = tar_of(tmp_path / "x", LISTS, link).read_bytes()
    server.pages[RELEASE] = Page(content if damage == "link" else content[:-30])
    with pytest.raises(UserError, match="a link or a device|truncated or damaged"):
        download.fetch([Source("listops", "original", {}, "listops")], quiet)
    assert [path.name for path in places.downloads().iterdir() if path.suffix != ".lock"] == []


def test_check_names_a_download_that_has_changed(server: Web, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("TRAIN", "TEST"):
        server.pages[f"/records/4001463/files/BIDMC32RR_{part}.ts"] = Page(b"@data\n")
    download.fetch([Source("bidmc", "original", {}, "bidmc_rr")], quiet)
    (places.downloads() / "bidmc32" / "BIDMC32RR_TEST.ts").write_text("@data\n1")
    assert main(["data", "check", "bidmc", "--variant", "original"]) == 1
    assert "has changed since its download: its sha256 was" in capsys.readouterr().out


def test_no_home_and_no_cache_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUITE_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(UserError, match="there is no home folder.*\n.*export SUITE_CACHE"):
        places.downloads()


@pytest.mark.parametrize(("old", "new", "message"), [
    ("mb: 170", "mb: 0", "download.mb: it should be greater than 0"),
    ("url: https://www.cs.toronto.edu/~kriz/", "url: ftp://x/", "download.url: it should be an address"),
    ("/cifar-10-binary.tar.gz\"]", "/another.tar.gz\"]", "needs a place below ${SUITE_DATA}/ with the file name")])
def test_a_mistake_in_an_address_is_named(made: Cards, old: str, new: str, message: str) -> None:
    path = made.folder / "cifar10.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    cards.load.cache_clear()
    with pytest.raises(UserError) as caught:
        cards.load("cifar10")
    assert message in str(caught.value) and "cifar10.yaml:" in str(caught.value)


DATA = os.environ.get("SUITE_DATA", "")


def images(folder: Path, split: str, each: int) -> dict[str, bytes]:
    """Names in the repository and bytes of the first images of each class."""
    rows = pq.read_table(folder / f"{split}.parquet", columns=["image"])["image"][:10 * each].to_pylist()
    return {f"CIFAR-10-images/{split}/{row['path']}": row["bytes"] for row in rows}


@pytest.fixture
def small(made: Cards) -> dict[str, bytes]:
    """Twenty images a split, and a card that says so."""
    if not (Path(DATA) / "cifar10").is_dir():
        pytest.skip("SUITE_DATA has no cifar10")
    found: dict[str, bytes] = {}
    for split in ("train", "test"):
        some = images(Path(DATA) / "cifar10", split, 2)
        total = hashlib.sha256()
        for k, content in enumerate(some.values()):
            parquet.add_row(total, content, k % 10)
        digest = total.hexdigest()
        made.change("cifar10", "jpeg", lambda fields, split=split, digest=digest: fields["files"][split].update(
            rows_sha256=digest))
        found |= some
    return dict(sorted(found.items()))


@pytest.mark.parametrize("form", ["folder", "zip", "tar.gz", "download"])
def test_jpeg_is_built_from_every_form_of_the_repository(form: str, small: dict[str, bytes], server: Web,
                                                         tmp_path: Path) -> None:
    card, origin = cards.load("cifar10").variant("jpeg"), tmp_path / "origin"
    if form == "folder":
        for name, content in small.items():
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            (origin / name).write_bytes(content)
    else:
        (zip_of if form == "zip" else tar_of)(origin, small)
    if form == "download":
        assert card.archive
        server.pages[urlsplit(card.archive.url).path] = Page(origin.read_bytes(), length=False)
        download.fetch([Source("cifar10", "jpeg", {}, "scifar")], quiet)
    else:
        cifar_jpeg.build(origin, card)
    wanted = Source("cifar10", "jpeg", {}, "scifar")
    rows = wanted.rows("train", {"image": "Image", "label": "ClassLabel"})
    assert rows["label"][:] == [*range(10), *range(10)] and rows[0]["image"].size == (32, 32)
    assert sorted(path.name for path in places.downloads().rglob("*") if path.suffix not in (".lock", ".json")) \
        == ["cifar10", "test.parquet", "train.parquet"]


def test_jpeg_of_other_images_or_order_is_refused(small: dict[str, bytes], tmp_path: Path) -> None:
    card = cards.load("cifar10").variant("jpeg")
    first, second = "CIFAR-10-images/test/bird/0000.jpg", "CIFAR-10-images/test/bird/0001.jpg"
    swapped = small | {first: small[second], second: small[first]}
    with pytest.raises(UserError, match="its 20 images of test are not those of the card: digest "):
        cifar_jpeg.build(tar_of(tmp_path / "a", swapped), card)
    less = {name: content for name, content in small.items() if name != first}
    with pytest.raises(UserError, match="it has 19 JPEG files in test/<class>, but not the same number for"):
        cifar_jpeg.build(tar_of(tmp_path / "b", less), card)
    with pytest.raises(UserError, match="the archive is truncated or damaged"):
        cifar_jpeg.build(made_of(tmp_path / "c", b"no archive"), card)
    assert not places.downloads().exists()


def made_of(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.skipif(not (Path(DATA) / "cifar10").is_dir(), reason="SUITE_DATA has no cifar10")
def test_the_card_knows_the_copy_at_hand_by_both_digests(made: Cards) -> None:
    for split, file in cards.load("cifar10").variant("jpeg").files.items():
        path = Path(DATA) / "cifar10" / f"{split}.parquet"
        assert parquet.rows_digest(path) == file.rows_sha256
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert parquet.rows_digest(made_of(made.home / "x.parquet", b"no Parquet")) is None


