"""Results that are kept: frozen, refused to whoever writes, checked cell by cell; and those that the repository has."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from big_store import EPOCHS, write_grids, write_runs
from places import tree

from suite.cli.main import main
from suite.errors import UserError
from suite.files import atomic
from suite.grid.expand import load_grid
from suite.job import job
from suite.job.order import Order
from suite.report import frozen
from suite.store import attempt
from suite.store.folder import MANIFEST, OUTCOMES, check_writable, encode_rows
from suite.store.store import Store

KEPT = sorted(path.parent for path in (Path(__file__).parents[2] / "results").glob(f"*/{MANIFEST}"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("frozen")
    paths = write_grids(tmp / "grids", 80, 1)
    write_runs(tmp / "runs", paths)
    assert main(["freeze", str(paths[0]), "--store", str(tmp / "runs"), "--out", str(tmp / "kept")]) == 0
    return tmp


@pytest.fixture
def kept(made, tmp_path):
    """A copy of the kept results that a test may spoil."""
    shutil.copytree(made, tmp_path / "all")
    return tmp_path / "all/kept"


def test_what_is_kept_is_small_and_tells_no_place(kept):
    files = [path for path in kept.rglob("*") if path.is_file()]
    names = {path.name for path in files if path.parent.parent.name == "store"}
    assert names == {"config.json", "result.json", "provenance.json"}
    assert not any(b'"host"' in path.read_bytes() or b'"command"' in path.read_bytes() for path in files)
    assert sorted(path.name for path in (kept / "report").iterdir()) == [
        "big00.cells.json", "big00.md", "big00.tex", "index.html", "index.json"]


def test_outcomes_by_example_are_kept_if_there_are_any(made, tmp_path):
    store = Store(shutil.copytree(made / "runs", tmp_path / "runs"))
    run_id = load_grid(made / "grids/big00.yaml").runs[0].run_id
    (store.folder(run_id) / OUTCOMES).write_bytes(b"what became of each")
    assert main(["freeze", str(made / "grids/big00.yaml"), "--store", str(store.root), "--out",
                 str(tmp_path / "kept")]) == 0
    found = list((tmp_path / "kept/store").glob(f"*/{OUTCOMES}"))
    assert [path.parent.name for path in found] == [run_id] and found[0].read_bytes() == b"what became of each"
    assert main(["report", "--check", str(tmp_path / "kept")]) == 0


@pytest.mark.parametrize("ending", [("partial", "budget", "stopped after epoch 1 of 2, as asked"), ("cancelled",),
                                    ("partial", "interrupted", "stopped"), ("failed", "timeout", "took more than 5 s")])
def test_runs_that_were_stopped_are_kept_with_the_epochs_that_they_have(ending, made, tmp_path, capsys):
    store = Store(shutil.copytree(made / "runs", tmp_path / "runs"))
    path, run = made / "grids/big00.yaml", load_grid(made / "grids/big00.yaml").runs[0]
    folder, rows = store.folder(run.run_id), store.rows(run.run_id)
    (folder / "result.json").unlink()
    (folder / "metrics.jsonl").write_bytes(encode_rows(rows[:1]))
    owner = attempt.claim(folder)
    assert owner is not None
    asked = ["freeze", str(path), "--only", f"method={run.labels['method']}", "--only", f"task={run.labels['task']}",
             "--store", str(store.root), "--out", str(tmp_path / "kept")]
    main(asked)
    assert run.run_id not in Store(tmp_path / "kept/store").run_ids()  # somebody has it
    shutil.rmtree(tmp_path / "kept", ignore_errors=True)
    owner.end(*ending)
    capsys.readouterr()
    assert main(asked) == 0
    assert "1 of them stopped early" in capsys.readouterr().out
    kept = Store(tmp_path / "kept/store")
    assert sorted(p.name for p in kept.folder(run.run_id).iterdir()) == [
        "config.json", "metrics.jsonl", "provenance.json"]
    state = kept.state(run.run_id)
    assert (state.name, state.epochs, kept.rows(run.run_id)) == ("partial", 1, rows[:1])
    assert main(["report", "--check", str(tmp_path / "kept")]) == 0


def test_an_untouched_report_is_what_the_store_gives(kept, capsys):
    before = tree(kept)
    assert main(["report", "--check", str(kept)]) == 0
    assert "the report matches the store" in capsys.readouterr().out
    assert tree(kept) == before


def test_a_changed_result_is_named_by_its_cells(kept, capsys):
    run = load_grid(kept.parent / "grids/big00.yaml").runs[0]
    path = kept / "store" / run.run_id / "result.json"
    result = atomic.read_sealed(path)
    for row in result["rows"]:
        row["val/accuracy"] += 0.001
    path.write_bytes(atomic.seal(result))
    assert main(["report", "--check", str(kept)]) == 1
    told = capsys.readouterr().out
    cells = [line for line in told.splitlines() if ": cell " in line]
    assert len(cells) == 1
    assert f"cell big00, {run.labels['method']}, {run.labels['task']}: mean" in cells[0]
    assert "values" in cells[0]
    assert "to rewrite it: report" in told


def test_the_command_that_it_names_writes_the_report_of_the_same_runs(made, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid, runs = made / "grids/big00.yaml", str(made / "runs")
    labels = load_grid(grid).runs[0].labels
    asked = ["--profile", "paper", "--set", f"train.epochs={EPOCHS}", "--only", f"method={labels['method']}",
             "--only", "seed=0"]
    assert main(["freeze", str(grid), *asked, "--store", runs, "--out", "kept here"]) == 0
    (tmp_path / "kept here/report/big00.md").write_text("edited")
    capsys.readouterr()
    assert main(["report", "--check", "kept here"]) == 1
    words = shlex.split(capsys.readouterr().out.rpartition("to rewrite it: ")[2])
    assert words[2:len(asked) + 2] == asked
    assert main(words) == 0
    assert main(["report", "--check", "kept here"]) == 0


def test_a_changed_report_is_told(kept, capsys):
    path = kept / "report/big00.cells.json"
    content = json.loads(path.read_bytes())
    content["cells"][3]["mean"] += 1e-6
    content["cells"] = content["cells"][:-1]
    path.write_text(json.dumps(content))
    (kept / "report/big00.tex").unlink()
    assert main(["report", "--check", str(kept)]) == 1
    told = capsys.readouterr().out
    assert told.count(": cell ") == 2
    assert "only the store gives it" in told
    assert "big00.tex is missing" in told


def test_an_edited_file_is_told_and_a_new_wording_is_not(kept, capsys):
    (kept / "report/big00.md").write_text("edited")
    path = kept / "report/big00.cells.json"
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps(content | {"text": "in other words", "warnings": ["a warning"]}))
    assert main(["report", "--check", str(kept)]) == 1
    assert capsys.readouterr().out.splitlines()[:-2] == ["big00.md is not as the report wrote it"]


def test_what_is_said_against_the_paper_must_be_the_same_too(tmp_path, capsys):
    [folder] = [folder for folder in KEPT if folder.name == "table3b-scifar-epoch1"]
    shutil.copytree(folder, tmp_path / "kept")
    manifest = json.loads((folder / MANIFEST).read_bytes())
    grids = [str((folder / grid).resolve()) for grid in manifest["grids"]]
    (tmp_path / "kept" / MANIFEST).write_text(json.dumps(manifest | {"grids": grids}))
    path = tmp_path / "kept/report/first-epoch.cells.json"
    content = json.loads(path.read_bytes())
    first, second, *_ = (cell for cell in content["cells"] if cell["published"][0]["verdict"] == "undecided")
    first["published"][0]["verdict"] = "match"
    first["published"][0]["remark"] = "in other words"
    value = second["published"][0]["value"]
    second["published"][0]["value"] = value + 20
    path.write_text(json.dumps(content))
    assert main(["report", "--check", str(tmp_path / "kept")]) == 1
    assert [line.partition("sCIFAR first: ")[2] for line in capsys.readouterr().out.splitlines()[:-2]] == [
        "published verdict 'match', now 'undecided'", f"published value {value + 20}, now {value}"]


def test_a_report_that_lacks_its_record(kept, capsys):
    (kept / "report/index.json").unlink()
    assert main(["report", "--check", str(kept)]) == 2
    assert "is not what a report wrote" in capsys.readouterr().err


def test_the_last_places_of_numbers_do_not_count():
    assert frozen.same({"a": [1.0, None, "x"]}, {"a": [1.0 + 1e-15, None, "x"]})
    assert not frozen.same([1.0], [1.001])
    assert not frozen.same([1.0], [1.0, 2.0])
    assert not frozen.same(1.0, None)


def test_nothing_writes_to_a_frozen_store(kept, capsys):
    store, grid = Store(kept / "store"), load_grid(kept.parent / "grids/big00.yaml")
    before = tree(kept / "store")
    with pytest.raises(UserError, match="frozen"):
        store.add(grid.runs[0].config)
    with pytest.raises(UserError, match="frozen"):
        check_writable(store.root)
    ended = job.run(store.folder(grid.runs[0].run_id), Order())
    assert (ended.name, "frozen" in ended.detail) == ("failed", True)
    where = [str(kept.parent / "grids/big00.yaml"), "--store", str(store.root)]
    assert main(["run", *where, "--set", "train.epochs=3", "--only", "seed=0", "--out", str(kept / "new")]) == 2
    assert main(["merge", str(kept.parent / "runs"), str(store.root)]) == 2
    assert capsys.readouterr().err.count("this store is frozen") == 2
    assert tree(kept / "store") == before


def test_all_done_a_run_only_reports(kept, capsys):
    before = tree(kept / "store")
    where = [str(kept.parent / "grids/big00.yaml"), "--store", str(kept / "store")]
    assert main(["run", *where, "--out", str(kept.parent / "again")]) == 0
    assert (kept.parent / "again/big00.md").is_file()
    assert tree(kept / "store") == before


@pytest.mark.parametrize(("content", "words"), [
    (None, "there are no frozen results"), ("{", "is not JSON"), ("[]", "must have"), ('{"grids": "x"}', "must have"),
    ('{"grids": ["../grids/gone.yaml"], "profile": null, "set": [], "only": []}', "gone.yaml")])
def test_a_bad_manifest(kept, capsys, content, words):
    (kept / MANIFEST).unlink()
    if content is not None:
        (kept / MANIFEST).write_text(content)
    assert main(["report", "--check", str(kept)]) == 2
    assert words in capsys.readouterr().err


def test_bad_places(made, tmp_path, capsys):
    grid = str(made / "grids/big00.yaml")
    assert main(["freeze", grid, "--store", str(made / "runs"), "--out", str(made / "kept")]) == 2
    assert main(["freeze", grid, "--store", str(tmp_path / "none"), "--out", str(tmp_path / "new")]) == 2
    assert main(["report"]) == 2
    told = capsys.readouterr().err
    for words in ("there are frozen runs already", "name another folder with --out", "none of these runs is finished",
                  "no grid was given"):
        assert words in told


@pytest.mark.parametrize("folder", KEPT, ids=[path.name for path in KEPT])
def test_the_kept_reports_of_the_repository(folder):
    assert frozen.check(folder).differences == []
    runs = len(list(folder.glob("store/*/result.json"))) + len(list(folder.glob("store/*/metrics.jsonl")))
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 200_000 + 6_000 * runs
    assert not list(folder.rglob("*.pt"))


def test_kept_runs_can_be_added_to_and_kept_again(tmp_path):
    """Results grow by a seed: kept runs are merged into a store, which has no attempts of theirs, and frozen again."""
    [kept] = [folder for folder in KEPT if folder.name == "table3b-scifar-epoch1"]
    assert main(["merge", str(kept), str(tmp_path / "runs")]) == 0
    grid = str(Path(__file__).parents[2] / "grids/first-epoch.yaml")
    assert main(["freeze", grid, "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "again")]) == 0
    before, after = ({path.parent.name: path.read_bytes() for path in (folder / "store").glob("*/metrics.jsonl")}
                     for folder in (kept, tmp_path / "again"))
    assert before and before == after


def test_there_is_a_kept_example():
    assert KEPT


def test_the_first_column_of_table_3b_is_ranked_beside_the_papers():
    """Its table has a name of its own: published numbers are found by the table that its layout names."""
    path = next(folder for folder in KEPT if folder.name == "table3b-scifar-epoch1") / "report/first-epoch.cells.json"
    [ranks] = [claim for claim in json.loads(path.read_bytes())["claims"] if claim["id"] == "ranks-first-epoch"]
    assert ranks["evidence"].startswith("Kendall τ")
