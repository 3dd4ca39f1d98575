"""The published numbers: they agree with each other where the paper prints them twice, and are found by their place."""

import pytest

from suite.errors import UserError
from suite.report.published.number import CHANCE
from suite.report.published.papers import FOLDER, load_published

PUBLISHED = load_published()
TABLES = {name: table for name, table in PUBLISHED.file.tables.items() if "/" not in name}  # of the S4D paper
NUMBERS = [PUBLISHED.number(name, row, column) for name, table in TABLES.items() for row in table.rows
           for column in table.columns]


@pytest.mark.parametrize(("one", "other"), [("2-left", "7"), ("2-right", "8")])
def test_table_2_without_and_with_deviations(one, other):
    assert set(TABLES[one].rows) == set(TABLES[other].rows)
    for row in TABLES[one].rows:
        for column in TABLES[one].columns:
            bare, full = PUBLISHED.number(one, row, column), PUBLISHED.number(other, row, column)
            assert bare.mean == full.mean
            assert bare.std == full.std is not None  # table 2 borrows the deviation


@pytest.mark.parametrize(("other", "columns"), [
    ("9", {"sCIFAR": "sCIFAR"}), ("10", {"HR": "HR", "RR": "RR", "SpO2": "SpO2"}), ("11", {"SC (Bi.)": "16 kHz"})])
def test_table_4_stands_in_tables_9_10_and_11(other, columns):
    for row in TABLES["4"].rows:
        for here, there in columns.items():
            one, two = PUBLISHED.number("4", row, here), PUBLISHED.number(other, row, there)
            assert (one.mean, one.std) == (two.mean, two.std)


def test_averages_over_long_range_arena_count_a_failure_as_50():
    tasks = [column for column in TABLES["5"].columns if column != "Avg"]
    assert (len(tasks), CHANCE) == (6, 50.0)
    for row in TABLES["5"].rows:
        numbers = [PUBLISHED.number("5", row, task) for task in tasks]
        mean = sum(CHANCE if n.failed else n.mean for n in numbers) / 6
        assert mean == pytest.approx(PUBLISHED.number("5", row, "Avg").mean, abs=0.00501)
    assert [n.row for n in NUMBERS if n.failed] == ["S4-FouT", "S4D-Lin", "Transformer"]


def test_every_number_stands_in_the_range_of_its_metric():
    assert {n.metric for n in NUMBERS} >= {"accuracy", "rmse"}
    for n in NUMBERS:
        absolute = PUBLISHED.absolute(n)
        if absolute is not None and n.metric == "accuracy":
            assert 0 < absolute <= 100, n
        elif absolute is not None and n.metric == "rmse":
            assert 0 < absolute < 20, n
        if n.std is not None:
            assert 0 < n.std < (2 if n.metric == "accuracy" else 0.1), n


def test_what_is_not_printed_has_a_reason():
    assert {(n.table, n.row, n.column, n.flag) for n in NUMBERS if n.mean is None and not n.failed} == {
        ("3a", "S4D-Lin", "BIDMC", "missing"), ("3a", "S4D-Random", "BIDMC", "missing"),
        ("10", "coRNN", "SpO2", "absent"), ("10", "LSTM", "SpO2", "absent")}
    lost = {(n.table, n.row, n.column) for n in NUMBERS if n.flag == "missing" and n.mean is not None}
    assert lost == {("4", "S4D-LegS", "SC (AR)"), ("4", "S4D-Inv", "SC (AR)"), ("5", "S4D-LegS", "ListOps"),
                    ("5", "S4-FouT", "Image"), ("5", "S4-FouT", "Pathfinder")}
    for place in lost:
        assert PUBLISHED.number(*place).std is None


def test_the_count_of_tables_rows_and_numbers():
    assert {name: (len(table.rows), len(table.columns)) for name, table in TABLES.items()} == {
        "2-left": (4, 3), "2-right": (6, 3), "3a": (16, 3), "3b": (14, 5), "4": (5, 6), "5": (7, 7), "6": (7, 1),
        "7": (4, 3), "8": (6, 3), "9": (14, 1), "10": (15, 3), "11": (10, 3)}
    assert {name: len(table.rows) for name, table in PUBLISHED.file.configurations.items()} == {"1": 3, "12": 9}


def test_literature_is_told_apart_and_cites_or_says_that_nothing_is_cited():
    rows = [(name, label, row) for name, table in TABLES.items() for label, row in table.rows.items()]
    assert {name for name, _, row in rows if row.source == "literature"} == {"5", "9", "10"}
    assert all(row.citation or row.citation_flag for _, _, row in rows if row.source == "literature")
    assert not any(row.citation for _, _, row in rows if row.source == "paper")


def test_differences_name_their_reference():
    number = PUBLISHED.number("3a", "S4D-Inv ×100", "SC")
    assert (number.mean, number.delta_of, number.assumed) == (-52.31, "S4D-Inv", False)
    assert PUBLISHED.absolute(number) == pytest.approx(37.96)
    assert PUBLISHED.absolute(PUBLISHED.number("3a", "S4D-Lin ×100", "BIDMC")) is None  # its reference is lost
    assumed = {n.row for n in NUMBERS if n.assumed}
    assert assumed == {"S4D-Inv2", "S4D-Quad", "S4D-Random", "S4D-Real"}


def means(*place: str) -> list[float | None]:
    return [n.mean for n in PUBLISHED.same(PUBLISHED.number(*place))]


def test_one_configuration_printed_several_times():
    """S4D-Inv has five values on each task; two of them only if table 2, left, was run with ZOH (AMB-15)."""
    assert means("2-left", "B trained, Vandermonde", "sCIFAR") == [85.37, 85.20, 84.79, 84.59, 85.02]
    assert means("7", "B trained, Vandermonde", "SC") == [90.34, 89.52, 90.27, 89.69, 89.93]
    assert means("3a", "S4D-Inv", "BIDMC") == [0.114, 0.1274, 0.1193, 0.1132]
    assert means("3b", "trainable, S4D-Inv", "sCIFAR best") == [84.59, 85.37, 85.20, 84.79]
    assert means("3b", "trainable, S4D-Inv", "sCIFAR first") == [53.42]
    assert means("8", "ZOH, exp", "sCIFAR") == [85.02, 85.37]
    assert means("3a", "S4D-Lin", "SC") == [90.66, 89.56]
    assert means("11", "S4D-Inv", "8 kHz") == [91.80]
    assert means("4", "S4-LegS", "sCIFAR") == [91.80]


def test_a_place_that_the_paper_does_not_have():
    assert PUBLISHED.find("3a", "Mine", "sCIFAR") is None
    with pytest.raises(UserError, match="x.yaml:3: table 3a of the paper has no row 'S4D-Linn'\n    did you mean"):
        PUBLISHED.number("3a", "S4D-Linn", "sCIFAR", "x.yaml:3")
    with pytest.raises(UserError, match="no column 'SC35'"):
        PUBLISHED.number("3a", "S4D-Lin", "SC35")
    with pytest.raises(UserError, match="no table '3'"):
        PUBLISHED.number("3", "S4D-Lin", "SC")


def changed(tmp_path, old: str, new: str) -> None:
    text = (FOLDER / "s4d.yaml").read_text()
    assert old in text
    (tmp_path / "s4d.yaml").write_text(text.replace(old, new, 1))
    load_published(tmp_path)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("SC: 89.80, BIDMC", "SD: 89.80, BIDMC", r"s4d.yaml:\d+: tables.2-left.rows.*'SD' is not a column of table 2-left"),
    ("sCIFAR: 85.04, SC: 89.80", "sCIFAR: 85.04, sCIFAR: 85.40, SC: 89.80", r"s4d.yaml:\d+: duplicate key 'sCIFAR'"),
    ("    rows:\n      \"B frozen, softmax\": {", "    rows:\n      \"B frozen, softmax\": {via: elsewhere, ",
     "a number quoted by another paper needs both `reading: secondary` and `via`"),
    ("flag: suspicious", "flag: odd", "it should be 'missing', 'absent', 'ocr', 'suspicious' or 'unsigned'"),
    ("{flag: missing}", "{}", "a cell without a mean needs `flag: missing`"),
    ("delta_of: S4D-Lin,", "delta_of: S4D-Lim,", "table 3a has no row 'S4D-Lim'"),
    ("std: 0.22", "std: -0.22", "it should be greater than or equal to 0"),
    ('copies: ["2-left"', 'copies: ["2-lift"', "no row None in a table '2-lift'"),
    ("schema_version: 1", "schema_version: 2", "schema_version: it should be 1"),
    ("structure: DPLR", "form: DPLR", "'form' is missing, or is not a column of table 1"),
])
def test_a_file_that_does_not_fit_together(tmp_path, old, new, message):
    with pytest.raises(UserError, match=message):
        changed(tmp_path, old, new)


def test_every_cell_of_the_s4d_paper_is_given():
    assert all(set(row.cells) == set(table.columns) for table in TABLES.values() for row in table.rows.values())


def test_a_standard_error_becomes_a_deviation_and_is_shown_as_printed():
    number = PUBLISHED.number("lru/3", "LRU", "sCIFAR")
    assert (number.mean, number.std) == (89.0, pytest.approx(0.1 * 3**0.5))
    assert number.text == "89.0 ± 0.1 (standard error)" and PUBLISHED.least_seeds("lru/3") == 3


def test_a_number_that_another_paper_quotes_says_so():
    number = PUBLISHED.number("b2s6/3", "Mamba (S6)", "Retrieval")
    assert number.mean == 72.14 and "quoted in 2505.09022 table 3; its own paper was not read" in number.note
    assert PUBLISHED.number("lion/7", "Mamba", "Retrieval").mean == pytest.approx(90.24, abs=0.1)


def test_a_cell_that_is_not_given_and_a_split_that_is_not_stated():
    number = PUBLISHED.number("dfout/1", "S4D-Lin, dt to 0.1", "Text")
    assert (number.mean, number.flag) == (None, "absent")
    assert PUBLISHED.number("dfout/2", "S4D-DFouT", "sCIFAR").split is None and PUBLISHED.least_seeds("dfout/2") == 3
    assert PUBLISHED.number("liquid-s4/3", "Liquid-S4", "sCIFAR").split == "val"
