"""The whole report: the files that it writes, that an unchanged one is only printed, and bad places and names."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from own_cards import own_cards
from report_store import fill, make_grid, rows_of, sources, write_done, write_partial

from suite.errors import UserError
from suite.report import saved
from suite.report.places import file_stem
from suite.report.report import write_report
from suite.store.folder import encode_rows
from suite.store.store import Store

FILES = ["demo.md", "demo.tex", "figures/demo-curves.png", "figures/demo-curves.svg",
         "figures/demo-means.png", "figures/demo-means.svg", "demo.cells.json", "index.html"]
CLAIMS = """\
claims:
  - {id: real, text: Real is worse than Lin., source: paper section 5.2, table: demo, kind: worse,
     left: S4D-Real, right: S4D-Lin, rows: SC}
"""


@pytest.fixture
def place(tmp_path):
    """A grid, a full store, an output folder and the sources of a report."""
    store = Store(tmp_path / "store")
    grid = make_grid()
    fill(store, grid)
    return grid, store, tmp_path / "out", sources(tmp_path, claims=CLAIMS)


@pytest.fixture
def drawn():
    """Asked for by the tests that need the real figures."""


@pytest.fixture(autouse=True)
def quick_figures(request, monkeypatch):
    """Drawing takes most of a report's time: the tests that do not ask for `drawn` go without."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("suite.report.render.drawing.Drawing.files", lambda self: {
            f"{self.path}{end}": b"a figure" for end in (".png", ".svg")})


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_files_of_a_report(place, drawn):
    grid, store, out, folder = place
    made = write_report([grid], store, out, folder)
    assert made.paths == [out / name for name in FILES]
    assert names(out) == sorted([*FILES, "index.json"])
    assert made.text.endswith("\n".join(f"  {path}" for path in made.paths))
    assert "supported  Real is worse than Lin. difference " in made.text
    assert (out / "figures/demo-curves.png").read_bytes().startswith(b"\x89PNG")


def test_cells_for_programs(place):
    grid, store, out, folder = place
    write_report([grid], store, out, folder)
    content = json.loads((out / "demo.cells.json").read_text())
    assert len(content["cells"]) == 6
    cell = next(c for c in content["cells"] if (c["row"], c["column"]) == ("SC", "S4D-Real"))
    assert {key: cell[key] for key in ("table", "n", "state", "reason", "unit", "metric", "epoch", "text")} == {
        "table": "demo", "n": 3, "state": "complete", "reason": "", "unit": "%", "metric": "val/accuracy",
        "epoch": "best", "text": "20.50 ± 0.50 (n=3)"}
    assert cell["mean"] == pytest.approx(20.5)
    assert cell["std"] == pytest.approx(0.5)
    assert cell["run_ids"] == [run.run_id for run in grid.runs if run.labels == {"task": "SC", "method": "S4D-Real"}]
    assert content["claims"][0]["verdict"] == "supported"


def test_an_unchanged_report_is_printed_and_not_made_again(place):
    grid, store, out, folder = place
    first = write_report([grid], store, out, folder)
    before = {path: path.stat().st_mtime_ns for path in first.paths}
    assert write_report([grid], Store(store.root), out, folder) == first
    assert {path: path.stat().st_mtime_ns for path in first.paths} == before


def test_an_unchanged_report_needs_no_heavy_package(place):
    grid, store, out, folder = place
    write_report([grid], store, out, folder)
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
from pathlib import Path
from report_store import make_grid
from suite.report.report import write_report
from suite.store.store import Store
write_report([make_grid()], Store(Path({str(store.root)!r})), Path({str(out)!r}), Path({str(folder)!r}))
print([name for name in ("torch", "pandas", "numpy", "scipy", "matplotlib", "jinja2") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n"


def change_result(grid, store, out, folder):
    write_done(store, grid.runs[0], [0.9] * 4)


def lose_result(grid, store, out, folder):
    (store.root / grid.runs[0].run_id / "result.json").unlink()


def write_layout(grid, store, out, folder):
    (folder / "tables/demo.yaml").write_text("name: demo\nrows: task\ncaption: Turned\n"
                                             "columns:\n- {label: S4D-Real, where: {method: S4D-Real}}\n"
                                             "- {label: S4D-Lin, where: {method: S4D-Lin}}\n")


def change_claims(grid, store, out, folder):
    (folder / "claims.yaml").write_text(CLAIMS.replace("worse", "better"))


def change_template(grid, store, out, folder):
    path = folder / "templates/index.html.j2"
    path.write_text(path.read_text().replace(">Claims</h2>", ">Verdicts</h2>"))


def edit_output(grid, store, out, folder):
    (out / "demo.md").write_text("edited")


def remove_output(grid, store, out, folder):
    (out / "figures/demo-curves.svg").unlink()


def break_record(grid, store, out, folder):
    (out / "demo.cells.json").write_text('{"fingerprint": ')


@pytest.mark.parametrize("change", [change_result, lose_result, write_layout, change_claims, change_template,
                                    edit_output, remove_output, break_record])
def test_a_change_makes_the_report_again(place, change):
    grid, store, out, folder = place
    first = write_report([grid], store, out, folder)
    before = {path: path.read_bytes() for path in first.paths}
    change(grid, store, out, folder)
    write_report([grid], Store(store.root), out, folder)
    after = {path: path.read_bytes() for path in first.paths}
    if change in (edit_output, remove_output, break_record):
        assert after == before
    else:
        assert after != before


@pytest.fixture
def small(tmp_path):
    """The arguments of a report on three finished runs."""
    grid, store = make_grid(["S4D-Lin"], ["SC"]), Store(tmp_path / "store")
    for run in grid.runs:
        write_done(store, run, [0.6] * 4)
    layout = "name: demo\nrows: method\ncolumns: [{label: SC, chance: 0.5}]\n"
    return [grid], store, tmp_path / "out", sources(tmp_path, layout), False


def test_a_changed_card_changes_the_report(small, tmp_path, monkeypatch):
    with own_cards(tmp_path, monkeypatch) as mine:
        assert "60.00 ± 0.00" in write_report(*small).text
        mine.change("bidmc", "sample", lambda fields: fields.update(about="Data of others."))
        written = (tmp_path / "out/index.json").stat().st_mtime_ns
        write_report(*small)
        assert (tmp_path / "out/index.json").stat().st_mtime_ns == written  # this grid's data are not those
        mine.change("cifar10", "sample", lambda fields: fields["counts"].update(val=20))
        assert "X (n=3)" in write_report(*small).text


def test_changed_code_outside_the_report_makes_it_again(small, tmp_path, monkeypatch):
    code = tmp_path / "suite"
    (code / "report").mkdir(parents=True)
    monkeypatch.setattr(saved, "CODE", code)
    found = []
    for content in ("old", "old", "new"):
        (code / "plan.py").write_text(content)
        saved._code.cache_clear()
        write_report(*small)
        found.append((tmp_path / "out/demo.cells.json").stat().st_mtime_ns)
    saved._code.cache_clear()
    assert found[0] == found[1] < found[2]


def test_the_same_inputs_give_the_same_bytes(place, tmp_path, drawn):
    grid, store, out, folder = place
    first, second = (write_report([grid], store, tmp_path / name, folder) for name in ("a", "b"))
    assert [p.read_bytes() for p in first.paths] == [p.read_bytes() for p in second.paths]


def test_nothing_has_run_yet(tmp_path):
    grid = make_grid()
    made = write_report([grid], Store(tmp_path / "none"), tmp_path / "out", sources(tmp_path, claims=CLAIMS))
    assert made.text.count("not run") >= 6
    assert "untested" in made.text
    assert names(tmp_path / "out") == ["demo.cells.json", "demo.md", "demo.tex", "index.html", "index.json"]
    assert "Learning curves" not in (tmp_path / "out/index.html").read_text()


def test_a_part_of_a_grid(tmp_path):
    grid = make_grid()
    part = replace(grid, runs=tuple(run for run in grid.runs if run.labels["task"] == "SC"))
    store = Store(tmp_path / "store")
    fill(store, part)
    layout = ("name: demo\nrows: method\ncolumns:\n- {label: CIFAR, where: {task: sCIFAR}}\n"
              "- {label: SC, where: {task: SC}}\n")
    claims = CLAIMS.replace("rows: SC", "columns: SC")
    made = write_report([part], store, tmp_path / "out", sources(tmp_path, layout, claims))
    assert made.text.count("not selected") == 3
    assert "CIFAR:" not in made.text
    assert "Data: cifar10, variant sample." in " ".join(made.text.split())


def test_all_runs_failed(tmp_path):
    store, grid = Store(tmp_path / "store"), make_grid()
    for run in grid.runs:
        attempts = store.root / run.run_id / "attempts"
        attempts.mkdir(parents=True)
        (attempts / "0001.json").write_text("{")
    made = write_report([grid], store, tmp_path / "out", sources(tmp_path))
    assert made.text.count("0/3 unreadable") == 6


def test_a_report_over_a_store_that_is_being_written_to(place):
    grid, store, out, folder = place
    stop = threading.Event()

    def writer():
        step = 0
        while not stop.is_set():
            run = grid.runs[step % len(grid.runs)]
            write_done(store, run, [0.1 + 0.001 * (step % 100)] * 4)
            (store.root / run.run_id / "metrics.jsonl").write_bytes(encode_rows(rows_of([0.1] * (step % 4))) + b'{"epo')
            step += 1

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        for _ in range(3):
            made = write_report([grid], Store(store.root), out, folder)
            assert made.text.count("(n=3)") == 6
    finally:
        stop.set()
        thread.join()
    last = write_report([grid], Store(store.root), out, folder)
    assert write_report([grid], Store(store.root), out, folder) == last


def test_conditions_that_a_column_mixes(tmp_path):
    store, grid = Store(tmp_path / "store"), make_grid(tasks=["SC"])
    base = {"device": "a cpu", "threads": 1, "kernel_backend": "fast", "torch": "2.13.0", "cpu": "a"}
    fill(store, grid, {"environment": base, "mixed": [], "code": "abc"})
    write_done(store, grid.runs[0], [0.3] * 4, {"environment": base | {"threads": 2, "torch": "2.12.0", "cpu": "b"},
                                                "mixed": ["threads: 1, then 2"], "code": "abc + patches/1.patch"})
    layout = "name: demo\nrows: method\ncolumns: [{label: SC, where: {task: SC}}]\n"
    text = write_report([grid], store, tmp_path / "out", sources(tmp_path, layout)).text
    warned = " ".join(text.split()).split("warning: ")[1:]
    assert warned[0].startswith("SC: the runs of this column differ in code: 2 versions.")
    assert warned[1].startswith("SC: the runs of this column differ in threads: 1; 2.")
    assert warned[2].startswith("SC: the runs of this column differ in torch: 2.12.0; 2.13.0.")
    assert warned[3].startswith(f"Run {grid.runs[0].run_id} changed on its way, threads: 1, then 2.")
    assert len(warned) == 4
    assert "abc + patches/1.patch" in (tmp_path / "out/index.html").read_text()


def test_partial_runs_in_the_stores_own_format(tmp_path):
    store, grid = Store(tmp_path / "store"), make_grid(tasks=["SC"], seeds=1)
    write_partial(store, grid.runs[0], [0.3, 0.4])
    assert "40.00 at epoch 2 of 4, n=1" in write_report([grid], store, tmp_path / "out", sources(tmp_path)).text


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", ".hidden", "a/b", "a b", "ü", "", "..", "x" * 300])
def test_a_report_stays_in_its_folder(tmp_path, name):
    grid = make_grid(["a"], ["t"], seeds=1, name=name)
    write_report([grid], Store(tmp_path / "store"), tmp_path / "deep/out", sources(tmp_path))
    assert {path.parts[0] for path in (p.relative_to(tmp_path) for p in tmp_path.rglob("*"))} == {"deep", "sources"}
    assert len(names(tmp_path / "deep/out")) == 5
    assert names(tmp_path / "deep") == [f"out/{file}" for file in names(tmp_path / "deep/out")]


def test_different_names_have_different_files():
    tricky = ["a b", "a/b", "a-b", "a..b", "..a-b", "-a-b", "", ".", "-"]
    assert len({file_stem(name) for name in tricky}) == len(tricky)
    assert file_stem("table3a") == "table3a"


def test_a_link_out_of_the_folder_is_refused(place, tmp_path):
    grid, store, out, folder = place
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    (out / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads out of it"):
        write_report([grid], store, out, folder)
    assert names(tmp_path / "elsewhere") == []


def test_a_folder_that_cannot_be_written(place, tmp_path):
    grid, store, out, folder = place
    out.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="must be a folder"):
        write_report([grid], store, out, folder)


def test_two_grids_of_one_name(place):
    grid, store, out, folder = place
    with pytest.raises(UserError, match="two of the grids are named 'demo'"):
        write_report([grid, grid], store, out, folder)


def test_two_grids_two_reports(place):
    grid, store, out, folder = place
    (folder / "tables/demo.yaml").write_text("rows: method\nname: demo\ncolumns: [{label: SC, where: {task: SC}}]\n")
    (folder / "claims.yaml").write_text(CLAIMS.replace("rows: SC", "columns: SC"))
    other = replace(grid, name="other")
    made = write_report([grid, other], store, out, folder)
    assert (out / "other.md").exists()
    assert made.text.count("A grid for tests") == 2 + 2


def test_several_tables_of_one_grid(place):
    grid, store, out, folder = place
    (folder / "claims.yaml").unlink()
    for name, task in (("first", "SC"), ("second", "sCIFAR")):
        (folder / f"tables/{name}.yaml").write_text(f"name: {name}\ngrid: demo\nrows: method\n"
                                                    f"columns: [{{label: a, where: {{task: {task}}}}}]\n")
    write_report([grid], store, out, folder)
    tex = (out / "demo.tex").read_text()
    assert [r"\label{tab:first}" in tex, r"\label{tab:second}" in tex] == [True, True]
    assert {cell["table"] for cell in json.loads((out / "demo.cells.json").read_text())["cells"]} == {"first", "second"}
