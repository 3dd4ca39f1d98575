"""A new study: it is written whole, overwrites nothing, and its grid, layout, claims and numbers fit together."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.errors import UserError
from suite.files import resources, study
from suite.grid.expand import load_grid
from suite.report.report import write_report
from suite.store.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A study in a folder with spaces."""
    folder = tmp_path / "a study of mine"
    assert main(["init", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def no_module_stays() -> None:
    """Each test has a folder of its own, and a module of one name."""
    sys.modules.pop("my_methods", None)


def test_its_grid_has_the_own_layer_beside_the_suite_s_methods(made: Path) -> None:
    grid = load_grid(made / "grids/mine.yaml")
    assert grid.axes == {"task": ["SC"], "method": ["S4D-Lin", "S4D-Real", "Gated"],
                         "model.args.kernel": ["3", "9", "–"]}
    assert len(grid.runs) == 12 and {run.config.data.name for run in grid.runs} == {"speech_commands"}
    shared = {run.run_id for run in load_grid(Path("suite:quickstart.yaml")).runs}
    assert sum(run.run_id in shared for run in grid.runs) == 6


def test_its_report_has_the_own_layout_claims_and_published_numbers(made: Path, tmp_path: Path) -> None:
    grid = load_grid(made / "grids/mine.yaml")
    text = write_report([grid], Store(tmp_path / "runs"), tmp_path / "out", figures=False).text
    assert "A gated convolution beside diagonal state space models" in text
    assert "S4D-Lin in the suite  20.2 ± 0.7" in text
    assert "The gated convolution over 9 steps is better than S4D-Real" in text
    assert "S4D-Lin with its imaginary part" not in text


def test_nothing_is_overwritten(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made / "my_methods.py").write_text("# mine")
    (made / "README.md").unlink()
    capsys.readouterr()
    assert main(["init", str(made)]) == 2
    shown = capsys.readouterr().err
    assert "would be overwritten: grids/mine.yaml, my_methods.py" in shown and "README" not in shown
    assert (made / "my_methods.py").read_text() == "# mine" and not (made / "README.md").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file/study")]) == 2
    assert "the study cannot be written: Not a directory" in capsys.readouterr().err


def test_its_folder_is_appended_to_the_import_path(made: Path) -> None:
    before = list(sys.path)
    load_grid(made / "grids/mine.yaml")
    assert sys.path[:len(before) + 1] == [*before, str(made)]  # before what the grids that it extends may name
    assert set(sys.path[len(before) + 1:]) <= {str(ROOT), str(ROOT / "examples")}
    assert study.folders() == (made, ROOT / "examples")
    load_grid(Path("suite:quickstart"))
    assert study.folders() == (made, ROOT / "examples") and str(resources.IN_WHEEL) not in sys.path


def test_two_studies_with_a_module_of_one_name(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert main(["init", str(other)]) == 0
    load_grid(made / "grids/mine.yaml")
    with pytest.raises(UserError, match=f"there are 2 modules called 'my_methods': {made}/my_methods.py and"):
        load_grid(other / "grids/mine.yaml")


def test_an_unknown_grid_of_the_suite(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^suite:quikstart: the suite has no grid 'quikstart'\n.*'quickstart.yaml'"):
        load_grid(Path("suite:quikstart"))
    (tmp_path / "g.yaml").write_text("name: g\nextends: suite:nothing.yaml\n")
    with pytest.raises(UserError, match=r"g.yaml:2: extends: the suite has no grid 'nothing.yaml'"):
        load_grid(tmp_path / "g.yaml")


def test_a_paper_with_two_files_is_told_with_both_places(made: Path, tmp_path: Path) -> None:
    published = made / "reports/published"
    (published / "again.yaml").write_text((published / "mine2026.yaml").read_text())
    grid = load_grid(made / "grids/mine.yaml")
    with pytest.raises(UserError, match=r"mine2026.yaml:2: id: the paper 'mine2026' has another file, .*again.yaml:2"):
        write_report([grid], Store(tmp_path / "runs"), tmp_path / "out", figures=False)
    (published / "again.yaml").write_text("id: s4d\ntitle: x\nyear: 2022\ncitation: x\n")
    with pytest.raises(UserError, match="again.yaml:1: id: the paper 's4d' has another file, .*s4d.yaml"):
        write_report([grid], Store(tmp_path / "runs"), tmp_path / "out", figures=False)


def test_a_claim_of_the_name_of_one_of_the_suite_s(made: Path, tmp_path: Path) -> None:
    path = made / "reports/claims.yaml"
    path.write_text(path.read_text().replace("id: gated-near-lin", "id: quickstart-real-sc"))
    with pytest.raises(UserError, match=r"another file has a claim 'quickstart-real-sc': .*reports/claims.yaml:\d+"):
        write_report([load_grid(made / "grids/mine.yaml")], Store(tmp_path / "runs"), tmp_path / "out", figures=False)


def test_a_cell_tells_what_several_papers_print(made: Path, tmp_path: Path) -> None:
    path = made / "reports/tables/mine.yaml"
    path.write_text(path.read_text().replace("published: mine2026/1 ", "published: 3a\nalso: [mine2026/1]\n#")
                    .replace("    - {label: As published, published: [S4D-Lin in the suite]}\n", ""))
    numbers = made / "reports/published/mine2026.yaml"
    numbers.write_text(numbers.read_text().replace("S4D-Lin in the suite:", "S4D-Lin:").replace("sc_bi", "sc_ar"))
    grid = load_grid(made / "grids/mine.yaml")
    from suite.report.document import document_of

    table, = document_of(grid, Store(tmp_path / "runs")).tables
    cell = table.cells[table.rows.index("S4D-Lin")][0]
    assert [one.table for one in cell.judged][0] == "3a" and cell.judged[-1].table == "mine2026/1"
    assert cell.judged[-1].text == "20.2 ± 0.7"
    path.write_text(path.read_text().replace("also: [mine2026/1]", "also: [mine2025/1]"))
    with pytest.raises(UserError, match="there is no published table 'mine2025/1'\n.*did you mean 'mine2026/1'"):
        document_of(grid, Store(tmp_path / "runs"))
