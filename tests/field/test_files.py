"""Files that a system adds to a folder, that were purged from a store, and whose line ends a checkout may change."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from suite.cli.main import main
from suite.data import cards, clips, pathfinder, stamps
from suite.data.source import Source
from suite.errors import UserError
from suite.files import atomic
from suite.files.clutter import files_below, files_in, is_clutter
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.report import frozen
from suite.report.tables.layout_files import layout_files
from suite.store import requests
from suite.store.folder import encode_rows
from suite.store.migrate import SCHEMA
from suite.store.store import Store

ROOT = Path(__file__).parents[2]
SOURCE = Source("speech_commands", "original", {"decimate": 1})
CLUTTER = ("._x.wav", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/x.wav", ".AppleDouble/x.wav", "@eaDir/x.wav",
           ".nfs0000000000a1", "THUMBS.DB")


def write(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def test_what_a_system_adds_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "a.wav", "b/c.wav", ".hidden", *CLUTTER, *(f"b/{name}" for name in CLUTTER))
    assert [path.name for path in files_below(tmp_path)] == [".hidden", "a.wav", "c.wav"]
    assert [path.name for path in files_in(tmp_path, "*.wav")] == ["a.wav"]
    assert not is_clutter(PurePosixPath("cat/_.wav")) and not is_clutter(PurePosixPath("my.DS_Store"))


def test_clips_of_a_folder_and_of_an_archive_are_those_of_the_release(tmp_path: Path) -> None:
    release = write(tmp_path / "release", "cat/a.wav", "validation_list.txt", "cat/._a.wav", "._validation_list.txt")
    (release / "validation_list.txt").write_text("")
    (release / "testing_list.txt").write_text("cat/a.wav\n")
    with tarfile.open(tmp_path / "release.tar", "w") as tar:
        tar.add(release, "")
    for path in (release, tmp_path / "release.tar"):
        assert clips.places(SOURCE, path) == {"cat/a.wav": ("test", 0)}


def test_a_file_that_is_no_clip_of_the_release_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("cat/00176480_nohash_0.wav", "cat/copy of it.wav")
    release = write(tmp_path, *names, "validation_list.txt", "testing_list.txt")
    for name in clips.LISTS.values():
        (release / name).write_text("")
    monkeypatch.setattr(Source, "path", lambda self, file: release)
    with pytest.raises(UserError, match="; cat/copy of it.wav is not a name of the release"):
        clips.archive(SOURCE, 16000, 1)


def test_the_fingerprint_of_a_folder_is_that_of_the_users_files(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "b/c.csv")
    before = stamps.digest_of(tmp_path)
    write(tmp_path, *CLUTTER)
    assert stamps.digest_of(tmp_path) == before


def test_metadata_cards_layouts_and_records_are_read_without_clutter(tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "metadata/1.npy", "metadata/._1.npy", "launches/._1.json", "demo.yaml", "._demo.yaml")
    assert [path.name for path in pathfinder.metadata_files(SOURCE, tmp_path)] == ["1.npy"]
    assert requests.all_of(Store(tmp_path)) == []
    (tmp_path / "._demo.yaml").write_bytes(b"grid: demo\n\x00")
    assert [path.name for path in layout_files(tmp_path, "demo")] == ["demo.yaml"]
    monkeypatch.setattr(cards, "CARDS", tmp_path)
    assert cards.names() == ["demo"]


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Grid, Store]:
    """A grid of one run that is done."""
    (tmp_path / "g.yaml").write_text("name: g\nbase: {task: scifar, data.variant: sample, train.epochs: 1}\n")
    monkeypatch.chdir(tmp_path)
    grid, store = load_grid(Path("g.yaml")), Store(Path("runs"))
    rows = [{"epoch": 1, "val/accuracy": 0.5, "val/loss": 1.0}]
    folder = store.add(grid.runs[0].config)
    (folder / "metrics.jsonl").write_bytes(encode_rows(rows))
    (folder / "result.json").write_bytes(atomic.seal({"id": folder.name, "rows": rows, "epochs": 1, "schema": SCHEMA}))
    return grid, store


def test_a_purged_configuration_is_a_sentence_and_nothing_is_frozen(done: tuple[Grid, Store],
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    grid, store = done
    path = store.folder(grid.runs[0].run_id) / "config.json"
    path.unlink()
    assert main(["freeze", "g.yaml", "--out", "kept"]) == 2 and not Path("kept").exists()
    assert f"error: {path}: file not found\n    restore the file" in capsys.readouterr().err


def test_the_configuration_of_another_run_is_not_frozen(done: tuple[Grid, Store]) -> None:
    grid, store = done
    other = store.add(load_grid(Path("g.yaml"), sets=["optim.lr=0.5"]).runs[0].config)
    folder = store.folder(grid.runs[0].run_id)
    (folder / "config.json").write_bytes((other / "config.json").read_bytes())
    with pytest.raises(UserError, match=f"holds the configuration of run {other.name}, not of {folder.name}"):
        frozen.freeze([grid], store, Path("kept"), frozen.Manifest(["../g.yaml"], None, [], []))


@pytest.mark.parametrize(("path", "attribute", "value"), [
    ("results/quickstart/report/quickstart.md", "text", "unset"),
    ("results/quickstart/store/FROZEN", "text", "unset"),
    ("tests/golden/report.tex", "text", "unset"),
    ("datasets/samples/imdb-val.parquet", "diff", "unset"),
    ("suite/version.py", "eol", "lf"), ("reports/claims.yaml", "eol", "lf"), (".ci/run", "eol", "lf"),
    ("tests/support/fake_slurm/sbatch", "eol", "lf"), ("tools/x.sh", "eol", "lf")])
def test_line_ends_of_what_is_compared_by_bytes_are_fixed(path: str, attribute: str, value: str) -> None:
    told = subprocess.run(["git", "check-attr", attribute, "--", path], cwd=ROOT, capture_output=True, text=True,
                          check=False).stdout
    if told:  # a folder without git has the files as they are
        assert told.strip() == f"{path}: {attribute}: {value}"
