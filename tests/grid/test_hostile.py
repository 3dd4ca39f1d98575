"""Hostile names and files: nothing is executed, followed, or written where it does not belong, and each is named."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import pytest
from fake_training import scores, training
from one_run import OFTEN, ROWS, RUN, break_at

from suite.cli.main import main
from suite.data import cards
from suite.errors import UserError
from suite.files import atomic
from suite.grid.expand import load_grid
from suite.job.job import run
from suite.report.places import SOURCES
from suite.report.report import write_report
from suite.store.state import Reason
from suite.store.store import Store

OUT = ("../evil", "/evil", "..", "a/../../evil", "a/b", "evil\n", "")
GRID = "name: {name}\nbase: {{task: scifar, data.variant: sample}}\naxes: {{ssm.init: [lin, inv]}}\n"


def told(folder: Path, text: str, **options: str) -> str:
    (folder / "g.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        load_grid(folder / "g.yaml", **options)
    return str(caught.value)


@pytest.mark.parametrize("name", OUT)
def test_names_in_a_grid_lead_nowhere(tmp_path: Path, name: str) -> None:
    quoted = repr(name) if "\n" not in name else '"evil\\n"'
    folder = tmp_path / "grids"
    folder.mkdir()
    (tmp_path / "evil.yaml").write_text("overrides: [{set: {model.layers: 1}}]\n")  # what a way out would find
    assert "name" in told(folder, GRID.format(name=quoted))
    assert "there is no profile" in told(folder, GRID.format(name="g") + f"profile: {quoted}\n")
    for field in ("data.variant", "data.name", "ssm.init", "model.name", "train.select"):
        text = GRID.format(name="g").replace("ssm.init: [lin, inv]", "optim.lr: [0.1]")
        assert field in told(folder, text + f"overrides: [{{set: {{{field}: {quoted}}}}}]\n")


@pytest.mark.parametrize("name", OUT)
def test_names_in_layouts_and_claims_lead_nowhere(tmp_path: Path, name: str) -> None:
    quoted = repr(name) if "\n" not in name else '"evil\\n"'
    (tmp_path / "g.yaml").write_text(GRID.format(name="g"))
    grid = load_grid(tmp_path / "g.yaml")
    sources = tmp_path / "sources"
    (sources / "tables").mkdir(parents=True)
    shutil.copytree(SOURCES / "published", sources / "published")
    layout = f"name: {quoted}\ngrid: g\nrows: ssm.init\ncolumns: [{{label: x}}]\n"
    (sources / "tables" / "x.yaml").write_text(layout)
    with pytest.raises(UserError, match="x.yaml:1: name"):
        write_report([grid], Store(tmp_path / "store"), tmp_path / "out", sources)
    (sources / "tables" / "x.yaml").unlink()
    (sources / "claims.yaml").write_text(f"claims: [{{id: {quoted}, text: t, source: s, table: g, kind: better, "
                                         "left: lin, right: inv, columns: all runs}]\n")
    with pytest.raises(UserError, match="claims.yaml:1: claims.0.id: it should be a name") as caught:
        write_report([grid], Store(tmp_path / "store"), tmp_path / "out", sources)
    assert str(caught.value).count("claims.yaml:") == 1  # it is a claim in all but its name
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("old", "new", "where"), [
    ("name: cifar10", "name: ../cifar10", "name"), ("  sample:", "  ../sample:", "variants"),
    ("path: [datasets/", "path: [../datasets/", "path")])
def test_names_in_cards_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str,
                                     where: str) -> None:
    shutil.copytree(cards.CARDS, tmp_path / "datasets", ignore=shutil.ignore_patterns("samples"))
    card = tmp_path / "datasets/cifar10.yaml"
    text = card.read_text()
    assert old in text
    card.write_text(text.replace(old, new))
    monkeypatch.setattr(cards, "CARDS", tmp_path / "datasets")
    cards.load.cache_clear()
    try:
        with pytest.raises(UserError, match=where):
            cards.load("cifar10")
    finally:
        cards.load.cache_clear()


@pytest.mark.parametrize("name", ["x" * 5000, "a/" + "é" * 200 + ".yaml", "a\\0b", "a\\nb", ""])
def test_what_no_file_can_be_called_is_told_where_it_stands(tmp_path: Path, name: str,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    for text in (f'extends: "{name}"\n', f'extends: ["{name}"]\n', f'blocks: [{{extends: "{name}"}}]\n'):
        assert told(tmp_path, GRID.format(name="g") + text).startswith(f"{tmp_path / 'g.yaml'}:")
    assert main(["plan", "x" * 5000]) == 2 and "cannot be read: File name too long" in capsys.readouterr().err


def test_a_module_that_raises_is_told_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name, body in (("bad_syntax", "def f(:\n"), ("bad_exit", "raise SystemExit(3)\n"), ("bad_sum", "1 / 0\n")):
        (tmp_path / f"{name}.py").write_text(body)
        (tmp_path / "g.yaml").write_text(GRID.format(name="g").replace("lin, inv", f'lin, "{name}:f"'))
        assert main(["plan", "g.yaml"]) == 2
        err = capsys.readouterr().err
        assert f"importing '{name}' raises" in err and "Traceback" not in err and "ssm.init" in err


NASTY = {"empty": b"", "deep": b"[" * 100_000, "deep and closed": b'{"a":' * 900 + b"1" + b"}" * 900,
         "long number": b'{"sha256":"x","a":' + b"9" * 100_000 + b"}", "no text": b"\xff\xfe\x00", "a list": b"[]\n",
         "no checksum": b'{"id":1}\n', "sealed nonsense": atomic.seal({"id": [], "rows": 3, "epochs": "x", "state": 7}),
         "pickle": pickle.dumps({"a": 1})}
FILES = ("config.json", "metrics.jsonl", "result.json", "provenance.json", "attempts/0001.json", "attempts/0001.beat",
         "attempts/0001.end")


@pytest.mark.parametrize("name", FILES)
def test_whatever_stands_in_a_run_s_files_there_is_no_traceback(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "store")
    folder = store.add(RUN)
    break_at(folder, 25)
    shutil.copytree(folder, tmp_path / "good")
    for what in (*NASTY, "a folder", "a link", "a pipe"):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "good", folder)
        (folder / name).unlink(missing_ok=True)
        if what == "a folder":
            (folder / name).mkdir()
        elif what == "a link":
            (tmp_path / "secret").write_text("secret")
            (folder / name).symlink_to(tmp_path / "secret")
        elif what == "a pipe":
            os.mkfifo(folder / name)
        else:
            (folder / name).write_bytes(NASTY[what])
        state = store.state(RUN.run_id)
        assert "secret" not in state.detail
        store.rows(RUN.run_id) if what != "a folder" else None
        after = run(folder, OFTEN, training())
        faulty = after.name in ("failed", "claimed") or after.reason is Reason.START
        assert after.name == "done" or (faulty and after.detail), (what, after)
        if after.name == "done":
            assert scores(store.rows(RUN.run_id)) == ROWS
        if what == "a link":
            assert (tmp_path / "secret").read_text() == "secret"


def test_links_within_a_run_s_folder_are_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.yaml").write_text(GRID.format(name="g"))
    one = load_grid(tmp_path / "g.yaml").runs[0]
    store = Store(Path("runs"))
    folder = store.add(one.config)
    (tmp_path / "elsewhere").mkdir()
    (folder / "attempts").symlink_to(tmp_path / "elsewhere")
    assert store.state(one.run_id).name == "unknown"
    assert "symbolic link" in run(folder, OFTEN, training()).detail
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "secret").write_text("secret")
    (folder / "log.txt").symlink_to(tmp_path / "secret")
    assert main(["logs", "g.yaml"]) == 0 and "secret" not in capsys.readouterr().out
