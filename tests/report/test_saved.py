"""What a report is made of beside runs and sources: when the cards of its data, or code, change, it is made again."""

import pytest
from own_cards import own_cards
from report_store import make_grid, sources, write_done

from suite.report import saved
from suite.report.report import write_report
from suite.store.store import Store

LAYOUT = "name: demo\nrows: method\ncolumns: [{label: SC, chance: 0.5}]\n"


@pytest.fixture
def place(tmp_path):
    grid, store = make_grid(["S4D-Lin"], ["SC"]), Store(tmp_path / "store")
    for run in grid.runs:
        write_done(store, run, [0.6] * 4)
    return [grid], store, tmp_path / "out", sources(tmp_path, LAYOUT), False


def test_a_changed_card_changes_the_report(place, tmp_path, monkeypatch):
    with own_cards(tmp_path, monkeypatch) as mine:
        assert "60.00 ± 0.00" in write_report(*place).text
        mine.change("bidmc", "sample", lambda fields: fields.update(about="Data of others."))
        written = (tmp_path / "out/index.json").stat().st_mtime_ns
        write_report(*place)
        assert (tmp_path / "out/index.json").stat().st_mtime_ns == written  # this grid's data are not those
        mine.change("cifar10", "sample", lambda fields: fields["counts"].update(val=20))
        assert "X (n=3)" in write_report(*place).text


def test_changed_code_outside_the_report_makes_it_again(place, tmp_path, monkeypatch):
    code = tmp_path / "suite"
    (code / "report").mkdir(parents=True)
    monkeypatch.setattr(saved, "CODE", code)
    found = []
    for content in ("old", "old", "new"):
        (code / "plan.py").write_text(content)
        saved._code.cache_clear()
        write_report(*place)
        found.append((tmp_path / "out/demo.cells.json").stat().st_mtime_ns)
    saved._code.cache_clear()
    assert found[0] == found[1] < found[2]
