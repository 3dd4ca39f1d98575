"""The figures of a table, and `why`, on table 3a with results that are made up: what is drawn, not how it looks."""

from pathlib import Path

import numpy as np
import pytest
from report_store import fill, make_grid, sources, write_done

from suite.cli.main import main
from suite.files import atomic
from suite.grid.expand import load_grid
from suite.report.document import document_of
from suite.report.figures import means, scatter
from suite.report.figures.plot import COLOURS, look
from suite.report.render import drawing
from suite.store.store import Store

GRID = Path(__file__).parents[3] / "grids/table3a.yaml"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Every run of SC finished, S4D-Inv ×100 three points below S4D-Inv, the others as good; nothing else has run."""
    store, grid = Store(tmp_path_factory.mktemp("figures") / "runs"), load_grid(GRID)
    for run in grid.runs:
        if run.config.task == "sc_ar":
            top = 0.9 + 0.001 * run.config.seed - 0.03 * (run.labels["method"] == "S4D-Inv ×100")
            write_done(store, run, list(np.linspace(0.5, top, run.config.train.epochs)))
            (store.root / run.run_id / "log.txt").write_text("a line\n")
    return store, grid, document_of(grid, store)


def test_which_figures_there_are(place):
    _, _, document = place
    assert [one.path for one in drawing.drawings(document)] == [
        "figures/table3a-curves", "figures/table3a-means", "figures/table3a-published"]
    empty = document_of(make_grid(), Store(Path("nowhere")))
    assert drawing.drawings(empty) == []


def test_means_show_differences_from_the_base_row(place):
    table, = place[2].tables
    assert [table.heads[j].label for j in means.columns(table)] == ["SC"]
    axes, = means.figure(table).axes
    assert "differences from the base row" in means.words(table)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:2] == ["S4D-Lin (base)", "S4D-Lin ×0.01"]
    bars = {names[round(bar.get_y() + bar.get_height() / 2)]: bar.get_width() for bar in axes.patches}
    assert bars["S4D-Inv ×100"] == pytest.approx(-3)
    assert not [name for name in bars if name.endswith("(base)")]
    assert axes.get_xlabel() == "validation accuracy,\ndifference (points)"
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row on top


def test_published_against_ours(place):
    table, = place[2].tables
    shown = scatter.points(table)
    assert list(shown) == ["validation accuracy, difference (points)"]  # two absolute numbers are too few for a panel
    point = next(p for p in shown["validation accuracy, difference (points)"] if p.published == -52.31)
    assert (point.ours, point.comparable) == (pytest.approx(-3), True)
    axes, = scatter.figure(table).axes
    assert axes.get_xlim() == axes.get_ylim()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("published", "ours")


def test_series_stay_apart():
    assert len({tuple(look(i).values()) for i in range(28)}) == 28
    channel = np.array([[int(colour[i:i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS], dtype=float)
    # Viénot's projection of what a deuteranope sees: no two colours of the first six become the same
    seen = channel @ np.array([[0.625, 0.375, 0], [0.7, 0.3, 0], [0, 0.3, 0.7]]).T
    apart = [np.abs(seen[i] - seen[j]).max() for i in range(6) for j in range(i)]
    assert min(apart) > 20


def test_why_leads_from_a_cell_to_everything(place, capsys):
    store, grid, _ = place
    assert main(["why", str(GRID), "S4D-Inv ×100", "SC", "--store", str(store.root)]) == 0
    told = capsys.readouterr().out
    runs = [run for run in grid.runs if run.labels == {"task": "SC", "method": "S4D-Inv ×100"}]
    for words in (*(run.run_id for run in runs), "log.txt", "ssm.imag_scale = 100.0 (there: 1.0)",
                  "table 3a, S4D-Inv ×100, SC: −3.00 ± 0.00", "differs from the row S4D-Inv in: ssm.imag_scale = 100.0",
                  "paper, table 3a: −52.31 (S4D-Inv ×100, SC)", "verdict: off"):
        assert words in told, words
    assert "S4D-Lin, SC" not in told


def test_why_of_what_cannot_be_read(place, tmp_path, capsys):
    grid = place[1]
    run = next(run for run in grid.runs if run.labels == {"task": "SC", "method": "S4D-Lin"})
    write_done(Store(tmp_path), run, [0.5] * run.config.train.epochs)
    path = tmp_path / run.run_id / "result.json"
    path.write_bytes(atomic.seal(atomic.read_sealed(path) | {"schema": 2}))
    assert main(["why", str(GRID), "S4D-Lin", "SC", "--store", str(tmp_path)]) == 0
    assert "has schema version 2" in capsys.readouterr().out


def test_why_of_a_metric_that_is_not_a_number_everywhere(place, tmp_path, capsys):
    run = next(run for run in place[1].runs if run.labels == {"task": "SC", "method": "S4D-Lin"})
    write_done(Store(tmp_path), run, [0.3, 0.5, *[0.4] * (run.config.train.epochs - 2)])
    path = tmp_path / run.run_id / "result.json"
    result = atomic.read_sealed(path)
    for epoch, value in ((3, None), (4, "NaN")):  # as JSON writers have it
        result["rows"][epoch - 1]["val/accuracy"] = value
    path.write_bytes(atomic.seal(result))
    assert main(["why", str(GRID), run.run_id, "--store", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "best val/accuracy 0.5000 in epoch 2, last 0.4000" in told
    assert "val/accuracy is not a number in epoch 3: the run counts as diverged" in told


LAYOUT = "name: {}\ngrid: demo\nrows: {{axis: method{}}}\ncolumns:\n"


@pytest.fixture
def drawn(tmp_path):
    """The document on S4D-Lin, S4D-Inv and S4D-Real with these layouts."""
    def made(**layouts):
        grid, store = make_grid(), Store(tmp_path / "store")
        fill(store, grid)
        for name, layout in layouts.items():
            folder = sources(tmp_path, layout, name=name)
        return document_of(grid, store, folder)
    return made


def test_a_panel_of_curves_is_named_by_what_its_columns_share(drawn):
    columns = "".join(f"- {{where: {{task: SC}}, label: SC {told}}}\n" for told in (
        "first, epoch: first", "best", "last, epoch: last, metric: val/loss"))
    panels = drawn(demo=LAYOUT.format("demo", "") + columns).panels
    assert [(panel.title, panel.metric) for panel in panels] == [
        ("SC", "validation accuracy (%)"), ("SC", "validation loss")]


def test_curves_of_the_same_runs_are_in_the_unit_of_their_own_column(drawn):
    one = LAYOUT.format("one", "") + "- {label: a, where: {task: SC}}\n"
    two = LAYOUT.format("two", "") + "- {label: b, where: {task: SC, method: S4D-Lin}, scale: raw}\n"
    percent, fraction = drawn(one=one, two=two).panels
    assert (percent.metric, fraction.metric) == ("validation accuracy (%)", "validation accuracy (fraction)")
    curves = {line.label: line.mean for line in percent.lines}
    assert fraction.lines[0].mean == pytest.approx(curves["S4D-Lin"] / 100)


def test_blocks_without_a_base_row_are_drawn_beside_differences(drawn):
    blocks = ", groups: [{rows: [S4D-Inv]}, {rows: [S4D-Lin, S4D-Real], base: S4D-Lin}]"
    table, = drawn(demo=LAYOUT.format("demo", blocks) + "- {label: SC, where: {task: SC}}\n").tables
    differences, absolute = means.figure(table).axes
    names = [label.get_text() for label in differences.get_yticklabels()]
    assert names == ["S4D-Inv", "S4D-Lin (base)", "S4D-Real"]
    assert [(names[round(bar.get_y() + bar.get_height() / 2)], bar.get_width()) for bar in differences.patches] == [
        ("S4D-Real", pytest.approx(-10))]
    dots = {names[int(line.get_ydata()[0])]: line.get_xdata()[0] for line in absolute.lines if line.get_marker() == "o"}
    assert dots == {"S4D-Inv": pytest.approx(32.5), "S4D-Lin (base)": pytest.approx(30.5)}
    assert absolute.get_xlabel() == "validation accuracy (%)"
