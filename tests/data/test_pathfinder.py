"""Pathfinder: geometry and labels, pictures, parts that outlive a stop, and the released form."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from own_cards import Cards, own_cards
from PIL import Image
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from suite.data import drawing, pathfinder, snakes
from suite.data.snakes import GEOMETRIES, Snakes
from suite.errors import UserError

SIZES = (16, 32, 64, 128)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def drawn() -> dict[int, Snakes]:
    return {size: snakes.draw(GEOMETRIES[size], 7, np.arange(60)) for size in SIZES}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snakes]:
    """A folder in the format of the release, as the script writes it, and what is drawn in it."""
    folder = tmp_path_factory.mktemp("released") / "pathfinder32"
    pathfinder.main(["32", "30", str(folder)])
    return folder, snakes.draw(GEOMETRIES[32], 2022, np.arange(30))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    with own_cards(tmp_path, monkeypatch) as made:
        monkeypatch.delenv("LRA_RELEASE", raising=False)
        yield made


def axes(made: Snakes, k: int) -> np.ndarray:
    """Both ends of each paddle of an image (paddles, 2), complex; without those that are not there."""
    there = ~np.isnan(made.centers[k])
    reach = made.geometry.half * snakes.unit(made.directions[k, there])
    return np.stack([made.centers[k, there] - reach, made.centers[k, there] + reach], axis=1)


def distances(lines: np.ndarray) -> np.ndarray:
    """Between all pairs of lines, by sampling one of them finely: (paddles, paddles)."""
    steps = np.linspace(0, 1, 41)
    points = lines[:, :1] + (lines[:, 1:] - lines[:, :1]) * steps
    length = np.abs(lines[0, 1] - lines[0, 0])
    way = (lines[:, 1] - lines[:, 0]) / length
    turned = (points[:, None] - lines[None, :, :1]) * way[None, :, None].conj()
    past = np.maximum(np.maximum(-turned.real, turned.real - length), 0)
    return np.hypot(past, turned.imag).min(axis=-1)


def chains(lines: np.ndarray, gap: float) -> np.ndarray:
    """The number of the chain of each paddle: those with ends no further apart than `gap` are in one."""
    ends = np.abs(lines[:, None, :, None] - lines[None, :, None, :]).min(axis=(2, 3))
    return connected_components(coo_matrix(ends <= gap), directed=False)[1]


@pytest.mark.parametrize("size", SIZES)
def test_the_label_follows_from_the_geometry(size: int, drawn: dict[int, Snakes]) -> None:
    made = drawn[size]
    for k, label in enumerate(made.labels):
        lines = axes(made, k)
        chain = chains(lines, 2 * made.margins[k] + 1e-6)
        at = [np.abs(lines - tip).min(axis=1).argmin() for tip in made.tips[k]]
        assert all(np.abs(lines[paddle] - tip).min() < 1e-9 for paddle, tip in zip(at, made.tips[k], strict=True))
        assert (chain[at[0]] == chain[at[1]]) == label
        sizes = np.sort(np.bincount(chain))[::-1]
        assert sizes[:2].tolist() == [made.geometry.paddles] * 2
        assert set(sizes[2:]) <= {made.geometry.distractor_paddles}


@pytest.mark.parametrize("size", SIZES)
def test_paddles_keep_their_distance(size: int, drawn: dict[int, Snakes]) -> None:
    made = drawn[size]
    for k in range(30):
        lines = axes(made, k)
        apart = distances(lines)
        neighbours = np.abs(lines[:, None, :, None] - lines[None, :, None, :]).min(axis=(2, 3)) \
            <= 2 * made.margins[k] + 1e-6
        least = 2 * made.margins[k] + made.geometry.thickness
        assert apart[~neighbours].min() >= least - 1e-6
        inner = lines.view(float)
        assert inner.min() >= made.geometry.padding and inner.max() <= size - made.geometry.padding
    turns = np.diff(made.directions[:, :2 * made.geometry.paddles:2], axis=1)
    most = snakes.DIRECTIONS / 4 / made.geometry.continuity
    assert np.abs((turns + snakes.DIRECTIONS // 2) % snakes.DIRECTIONS - snakes.DIRECTIONS // 2).max() <= most


@pytest.mark.parametrize(("size", "scale"), [(32, 8), (128, 3)])
def test_the_label_follows_from_the_pixels(size: int, scale: int, drawn: dict[int, Snakes]) -> None:
    """Thin dashes on a fine grid, grown until those of a chain touch: one blob a chain."""
    made = drawn[size]
    g = made.geometry
    fine = replace(made, geometry=replace(g, size=scale * size, length=scale * g.length, thickness=1, marker_radius=0),
                   centers=made.centers * scale, tips=made.tips * scale)
    images = drawing.render(Snakes(**{**vars(fine), "labels": made.labels}))
    for k in range(20):
        grown = ndimage.distance_transform_edt(images[k] == 0) <= scale * made.margins[k] + 0.5
        blobs, _ = ndimage.label(grown)
        first, second = (blobs[int(tip.real), int(tip.imag)] for tip in made.tips[k] * scale)
        assert first and second and (first == second) == made.labels[k]


def test_labels_and_markers_are_as_likely_either_way() -> None:
    made = snakes.draw(GEOMETRIES[16], 3, np.arange(2000))
    assert abs(made.labels.mean() - 0.5) < 0.04
    first = np.abs(made.tips[:, 0] - (made.centers[:, 0] - made.geometry.half * snakes.unit(made.directions[:, 0])))
    assert abs((first < 1e-9).mean() - 0.5) < 0.04


@pytest.mark.parametrize("size", [16, 64])
def test_in_small_images_the_distance_of_the_markers_does_not_tell(size: int, drawn: dict[int, Snakes]) -> None:
    made = drawn[size]
    last = 2 * made.geometry.paddles - 2
    reach = made.geometry.half * snakes.unit(made.directions)
    for snake in (0, 1):
        first = made.centers[:, snake] - reach[:, snake]
        one, two = (np.abs(first - (made.centers + reach)[:, last + k]) for k in (0, 1))
        assert made.geometry.even is not None and np.abs(one - two).max() <= made.geometry.even


@pytest.mark.parametrize("size", SIZES)
def test_an_image_is_a_function_of_seed_and_index_alone(size: int, drawn: dict[int, Snakes]) -> None:
    some = np.array([40, 3, 59])
    again = snakes.draw(GEOMETRIES[size], 7, some)
    assert (drawing.render(again) == drawing.render(drawn[size])[some]).all()
    assert (again.labels == drawn[size].labels[some]).all()
    other = snakes.draw(GEOMETRIES[size], 8, some)
    assert (drawing.render(other) != drawing.render(again)).any(axis=(1, 2)).all()


def test_a_paddle_and_a_disc_by_hand() -> None:
    g = replace(GEOMETRIES[128], size=16, length=4, thickness=2, marker_radius=2, snake_contrast=0.5, paddles=0)
    made = Snakes(g, np.ones(1, int), np.array([[8 + 8j]]), np.zeros((1, 1), int), np.array([[3 + 3j, 13 + 12.5j]]),
                  np.zeros(1, int))
    image = drawing.render(made)[0]
    assert image[6:10, 7:9].tolist() == [[128, 128]] * 4  # along the rows, half as bright
    assert image[6:10].sum() == 8 * 128 and image[10:].sum() > 0
    assert image[1:5, 1:5].sum() / 255 == pytest.approx(np.pi * 4, rel=0.03) and image[3, 3] == 255


def test_prepared(own: Cards) -> None:
    data = own.load("pathfinder", "generated", count=50, size=16)
    assert (data.length, data.channels, data.classes, data.vocabulary) == (256, 1, 2, None)
    assert [data.count(split) for split in ("train", "val", "test")] == [40, 5, 5]
    made = snakes.draw(GEOMETRIES[16], 2022, np.arange(50))
    batch = data.batch("val", np.arange(5))
    assert (batch.x.numpy()[:, :, 0] == (drawing.render(made)[40:45].reshape(5, 256) * np.float32(1 / 255))).all()
    assert batch.y.tolist() == made.labels[40:45].tolist()
    assert own.load("pathx", "generated", count=10, size=64).length == 4096
    assert "data.count: 5 is less than 10" in own.error("pathfinder", "generated", count=5)


class TestParts:
    """What is done stays, when a preparation is stopped, and goes when all is done."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pathfinder, "PART", 20)

    def test_goes_on_with_the_parts_that_are_whole(self, own: Cards, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
        made: list[int] = []
        real = pathfinder.make_part

        def stop(geometry: Any, seed: int, images: range, path: Path, number: int) -> int:
            if images.start == 60:
                raise KeyboardInterrupt
            made.append(images.start)
            return real(geometry, seed, images, path, number)

        monkeypatch.setattr(pathfinder, "make_part", stop)
        with pytest.raises(KeyboardInterrupt):
            own.load("pathfinder", "generated", count=90, size=16)
        (parts,) = [path for path in own.cache.iterdir() if path.suffix == ".parts"]
        assert len(list(parts.iterdir())) == 3 == len(made)
        first = parts / "images-00001.npy"
        first.write_bytes(first.read_bytes()[:-7])
        made.clear()
        monkeypatch.setattr(pathfinder, "make_part", lambda *a: made.append(a[2].start) or real(*a))
        data = own.load("pathfinder", "generated", count=90, size=16)
        assert made == [20, 60, 80] and not parts.exists()
        everything = drawing.render(snakes.draw(GEOMETRIES[16], 2022, np.arange(90))).reshape(90, 256, 1)
        assert (np.concatenate([data.arrays[f"{s}/x"] for s in ("train", "val", "test")]) == everything).all()

    def test_several_processes_draw_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
        assert sorted(pathfinder.finished(GEOMETRIES[16], 5, 70, tmp_path)) == [0, 1, 2, 3]
        rows = np.concatenate([np.load(pathfinder.part_path(tmp_path, k)) for k in range(4)])
        made = snakes.draw(GEOMETRIES[16], 5, np.arange(70))
        assert (rows[:, 0] == made.labels).all() and (rows[:, 1:] == drawing.render(made).reshape(70, -1)).all()

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_processes_end_with_the_one_that_wants_the_images(self, how: signal.Signals, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(
            "import os, signal\nfrom pathlib import Path\nfrom suite.data import pathfinder, snakes\n"
            "pathfinder.PART = 50\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
            "os.sched_getaffinity = lambda _: {0, 1}\n"
            f"for part in pathfinder.finished(snakes.GEOMETRIES[16], 5, 100_000, Path({str(tmp_path)!r})):\n"
            "    print(part, flush=True)\n")
        process = subprocess.Popen([sys.executable, script], env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None and process.stdout.readline()
        children = psutil.Process(process.pid).children()
        assert len(children) == 2
        if how == signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, how)  # as a terminal sends Ctrl-C: to every process of the command
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
        _, errors = process.communicate(timeout=60)
        assert errors.count("Traceback") == (0 if how == signal.SIGKILL else 1), errors  # none from a worker
        assert "Warning" not in errors and "Exception in thread" not in errors

    def test_no_process_is_left_when_all_is_done_or_the_caller_stops(self, tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
        parts = pathfinder.finished(GEOMETRIES[16], 5, 100, tmp_path)
        next(parts)
        assert len(workers()) == 2
        parts.close()
        assert not workers()
        assert sorted(pathfinder.finished(GEOMETRIES[16], 5, 100, tmp_path)) == [0, 1, 2, 3, 4]
        assert not workers()

    def test_what_a_process_cannot_write_is_one_sentence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
        for number in (0, 1, 2):
            (tmp_path / f"images-{number:05d}.npy").mkdir()
        with pytest.raises(UserError, match="prepared data cannot be written: .*irectory\n.*set SUITE_CACHE") as caught:
            list(pathfinder.finished(GEOMETRIES[16], 5, 60, tmp_path))
        assert len(caught.value.problems) == 1 and not workers()

    def test_a_process_that_is_killed_is_one_sentence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
        parts = pathfinder.finished(GEOMETRIES[16], 5, 100_000, tmp_path)
        next(parts)
        workers()[0].kill()
        with pytest.raises(UserError, match="a process that draws images ended early\n.*finished parts are kept"):
            list(parts)
        assert not workers()

    def test_processes_use_the_same_copy_of_the_code_and_no_torch(self, tmp_path: Path) -> None:
        """Also in a process that a fork server has forked, as trainings are."""
        copy = tmp_path / "copy"
        shutil.copytree(ROOT / "suite", copy / "suite", ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "probe.py").write_text(PROBE)
        (tmp_path / "script.py").write_text("import probe\nif __name__ == '__main__':\n    probe.start()\n")
        done = subprocess.run([sys.executable, tmp_path / "script.py"], env=os.environ | {"PYTHONPATH": str(copy)},
                              cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr
        answers = done.stdout.splitlines()
        assert len(answers) == 3 and {*answers} == {f"{copy / 'suite' / 'data' / 'pathfinder.py'} False False"}


PROBE = """
import multiprocessing, os, sys
from pathlib import Path
from suite.data import pathfinder, snakes

def make_part(geometry, seed, images, path, number, real=pathfinder.make_part):
    import suite.data.pathfinder
    torch, daemon = "torch" in sys.modules, multiprocessing.current_process().daemon
    os.write(1, f"{suite.data.pathfinder.__file__} {torch} {daemon}\\n".encode())
    return real(geometry, seed, images, path, number)

def work():
    os.sched_getaffinity = lambda _: {0, 1}
    pathfinder.PART, pathfinder.make_part = 20, make_part
    assert len(list(pathfinder.finished(snakes.GEOMETRIES[16], 5, 60, Path.cwd()))) == 3

def start():
    process = multiprocessing.get_context("forkserver").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0
"""


def workers() -> list[psutil.Process]:
    """The processes that draw images for this one."""
    return [child for child in psutil.Process().children() if "suite.data.workers" in " ".join(child.cmdline())]


class TestReleased:
    @pytest.fixture
    def folder(self, own: Cards, released: tuple[Path, Snakes]) -> Path:
        written, made = released
        self.images, self.labels = drawing.render(made), made.labels
        shutil.copytree(written, own.home / "pathfinder32")
        return own.home / "pathfinder32" / "curv_contour_length_14"

    def check(self, own: Cards) -> None:
        data = own.load("pathfinder", "original")
        assert [data.count(split) for split in ("train", "val", "test")] == [24, 3, 3]
        import torch
        order = torch.randperm(30, generator=torch.Generator().manual_seed(42)).numpy()
        for split, part in (("train", order[:24]), ("val", order[24:27]), ("test", order[27:])):
            assert (data.arrays[f"{split}/x"][:, :, 0] == self.images[part].reshape(-1, 1024)).all()
            assert (data.arrays[f"{split}/y"] == self.labels[part]).all()

    def test_text_as_in_the_release(self, own: Cards, folder: Path) -> None:
        self.check(own)

    def test_several_metadata_files_go_by_number(self, own: Cards, folder: Path) -> None:
        lines = (folder / "metadata" / "0.npy").read_text().splitlines(keepends=True)
        for name, part in (("2", lines[:10]), ("10", lines[10:])):
            (folder / "metadata" / f"{name}.npy").write_text("".join(part))
        (folder / "metadata" / "0.npy").unlink()
        self.check(own)

    def test_arrays_as_the_generator_writes(self, own: Cards, folder: Path) -> None:
        path = folder / "metadata" / "0.npy"
        rows = np.array([line.split() for line in path.read_text().splitlines()])
        with path.open("wb") as stream:
            np.save(stream, rows)
        self.check(own)

    @pytest.mark.parametrize(("rows", "what"), [
        ("imgs/0 sample_0.png 0\n", "row 1 is 'imgs/0 sample_0.png 0', not the folder and file"),
        ("imgs/0 sample_0.png 0 1\nimgs/0 sample_1.png 0 2\n", "row 2 is"),
        ("../.. secret.png 0 1\n", "row 1 is"), ("/etc secret.png 0 1\n", "row 1 is"),
        (np.zeros((2, 2), object), "is neither text nor an array of text"), (np.zeros(3), "row 1 is")])
    def test_metadata_of_another_form(self, own: Cards, folder: Path, rows: Any, what: str) -> None:
        path = folder / "metadata" / "0.npy"
        if isinstance(rows, str):
            path.write_text(rows)
        else:
            with path.open("wb") as stream:
                np.save(stream, rows, allow_pickle=True)
        message = own.error("pathfinder", "original")
        assert "metadata/0.npy" in message and what in message

    def test_metadata_missing_or_strange(self, own: Cards, folder: Path) -> None:
        (folder / "metadata" / "0.npy").rename(folder / "metadata" / "zero.npy")
        assert "zero.npy: the name of a metadata file must be a number" in own.error("pathfinder", "original")
        (folder / "metadata" / "zero.npy").unlink()
        assert "has no metadata/*.npy" in own.error("pathfinder", "original")

    def test_broken_and_other_images(self, own: Cards, folder: Path) -> None:
        path = folder / "imgs" / "0" / "sample_11.png"
        whole = path.read_bytes()
        path.write_bytes(whole[:60])
        assert "sample_11.png cannot be read" in own.error("pathfinder", "original")
        Image.new("L", (31, 32)).save(path)
        assert "sample_11.png has 31x32 pixels, not 32x32" in own.error("pathfinder", "original")
        path.unlink()
        assert "sample_11.png cannot be read" in own.error("pathfinder", "original")

    def test_the_script_says_how_it_is_called(self, tmp_path: Path) -> None:
        for args in (["33", "5", str(tmp_path)], ["32", "many", "x"], ["32"]):
            with pytest.raises(UserError, match="is not a size, a count and a folder\n.*sizes: 16, 32, 64, 128"):
                pathfinder.main(args)
        with pytest.raises(UserError, match="cannot be written"):
            (tmp_path / "curv_contour_length_14" / "imgs" / "0").mkdir(parents=True)
            pathfinder.main(["16", "5", str(tmp_path)])

    def test_only_the_folder_of_the_task_is_needed(self, own: Cards, folder: Path) -> None:
        message = own.error("pathx", "original")
        assert "pathfinder128 is not there" in message and "--set data.variant=generated" in message
