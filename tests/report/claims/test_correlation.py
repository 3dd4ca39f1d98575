"""Whether rows rank as published, on runs that do: which numbers may be held against each other, and which are."""

import pytest
from claim_store import claim, write
from report_store import Shelf, make_grid

from suite.files.yaml import Node, Where
from suite.report.against.verdict import judged_table
from suite.report.claims.judge import judge
from suite.report.claims.language import load_claims
from suite.report.claims.numbers import RunNumbers
from suite.report.published.papers import load_published
from suite.report.tables.layout import Layout, Placed
from suite.report.tables.results import read_results

PRINTED = {"S4D-Lin": 85.12, "S4D-Lin ×0.01": 77.85, "S4D-Lin ×100": 77.21, "S4D-Lin random Im": 84.70,
           "S4D-Lin random Re": 84.39}  # table 3a, sequential CIFAR, where all but the first are differences
LAYOUT = {"name": "demo", "published": "3a", "rows": {"axis": "method", "groups": [{"base": "S4D-Lin"}]}}


def ranks(folder, variant, left_out="", **column):
    """The verdict where each method is a tenth of a point above what is printed, but for one that has not run."""
    grid = make_grid(list(PRINTED), ["sCIFAR"], profile="paper", data={"name": "cifar10", "variant": variant})
    shelf = Shelf(folder)
    for run in grid.runs:
        if run.labels["method"] != left_out:
            shelf.put(run, "done", [PRINTED[run.labels["method"]] / 100 + 0.001 * run.config.seed] * 4)
    results, published = read_results(grid, shelf, shelf.states([run.run_id for run in grid.runs])), load_published()
    layout = Layout.model_validate(LAYOUT | {"columns": [{"label": "sCIFAR", **column}]})
    tables = [judged_table(Placed(layout, Node({}, Where("demo.yaml"))), grid, results, published)]
    asked = claim(kind="correlation", left=None, right=None, columns=column.get("label", "sCIFAR"))
    made, = judge(load_claims(write(folder, asked), grid, tables), RunNumbers(grid, tables, results, published))
    return made


def test_rows_rank_by_the_numbers_that_their_cells_are_held_against(tmp_path):
    made = ranks(tmp_path, "original")
    assert (made.parts[0].difference, made.parts[0].note) == (1, "5 rows")
    named = ranks(tmp_path, "original", label="mine", published="sCIFAR")
    assert named.parts[0].difference == 1
    other = ranks(tmp_path, "original", metric="test/accuracy")
    assert other.evidence == ("not comparable with published numbers: the paper's number is of the split val, this one "
                              "of test")


@pytest.mark.parametrize("left_out", ["", "S4D-Lin"])  # without the base no cell has a number, yet the runs have
def test_what_is_not_comparable_is_not_ranked(tmp_path, left_out):
    assert ranks(tmp_path, "original", left_out).parts[0].difference == 1
    made = ranks(tmp_path, "sample", left_out)
    assert made.verdict == "untested"
    assert made.evidence.startswith("not comparable with published numbers: data variant sample: 7,000 images")
