"""The paper's claims on the paper's numbers: every claim fits the tables, and the verdicts that can be told by hand."""

import pytest
from claim_store import claim, write
from report_store import SOURCES
from scipy import stats as scipy_stats

from suite.grid.expand import load_grid
from suite.report.claims.language import read_claims
from suite.report.claims.on_the_paper import at_seeds, published_verdicts
from suite.report.claims.outcome import counts, counts_text
from suite.report.document import make_document
from suite.report.published.papers import load_published
from suite.report.render.markdown import paper_claims
from suite.report.tables.layout_files import layout_files
from suite.store.store import Store

TABLES = ["kernels", "tying", *(f"table{name}" for name in ("2", "3a", "3b", "4", "5", "6", "9", "10", "11"))]


@pytest.fixture(scope="module")
def published():
    return load_published()


@pytest.fixture(scope="module")
def made(published):
    return {one.claim.id: one for one in published_verdicts(SOURCES / "claims.yaml", published)}


def test_every_claim_about_the_paper_is_there(made):
    stated, _ = read_claims(SOURCES / "claims.yaml")
    ours = [one.claim for one in stated if one.claim.table not in (
        "quickstart", "baselines", "first-epoch-inits", "first-epoch", "kernels-costs", "6-cost", "3b-sizes", "tying",
        "synthetic", "successors", "successors-others", "successors-epoch1")]
    ids = {claim.id for claim in ours if claim.kind != "correlation"}
    assert ids == set(made)
    assert {claim.table for claim in ours} >= {"2-left", "3a", "4", "5", "6", "11"}


def test_a_verdict_is_students_t_with_the_variance_of_the_column_and_holm(made, published):
    # Table 6, S4D 92.12 and frozen B 91.66: of six claims the one with the largest p, which Holm leaves alone.
    one = made["pathx-training-b"]
    assert list(one.by_seeds) == [2, 3]
    stds = [published.number("6", row, "Path-X").std for row in published.table("6").rows]
    for n, verdict in one.by_seeds.items():
        error = (sum(std**2 for std in stds) / len(stds) * 2 / n) ** 0.5
        p = 2 * scipy_stats.t.sf((92.12 - 91.66) / error, len(stds) * (n - 1))
        assert (verdict.p, verdict.verdict) == (pytest.approx(p), "undecided")
    assert one.by_means_alone


def test_three_seeds_support_more_than_two(made):
    assert [made["pathx-softmax-hurts"].by_seeds[n].verdict for n in (2, 3)] == ["undecided", "supported"]
    random = made["lin-random-real"].by_seeds[3]
    assert random.p < 0.05 < random.adjusted  # significant alone, not among nineteen claims


def test_where_the_printed_deviations_differ_they_are_not_pooled(made):
    both = made["speech-ssms-beat-cnns"].by_seeds[3]
    assert both.decisive.test_words.startswith("Welch's t, unpaired")
    assert both.decisive.note == "not pooled: the variances differ"


def test_tables_without_deviations_borrow_those_of_tables_7_and_8(made):
    one = made["real-poor"]
    assert {v.verdict for v in one.by_seeds.values()} == {"supported"}
    parts = one.by_seeds[3].parts
    assert [round(part.difference, 3) for part in parts] == [-5.45, -10.17, 0.066]
    assert [part.estimate.deviation for part in parts] == [
        pytest.approx(expected, abs=5e-4) for expected in (0.338, 0.254, 0.0051)]
    assert {part.estimate.df for part in parts} == {20}  # ten printed deviations of three seeds
    assert "deviation 0.34 borrowed from tables 7 and 8" in parts[0].note
    first = made["dplr-better-at-first"]  # no deviation of a first epoch is printed anywhere
    assert {v.verdict for v in first.by_seeds.values()} == {"untested"}
    assert "a standard deviation is not printed" in first.by_seeds[3].evidence
    assert made["dplr-better-throughout"].note == (
        "the paper's own numbers for one configuration differ by up to 0.78 (sCIFAR best), 1.10 (SC best)")


def test_how_many_claims_of_table_3_can_be_judged(made):
    words = {table: [one.by_seeds[3].verdict for one in made.values() if one.claim.table == table]
             for table in ("3a", "3b")}
    judged = {table: sum(word in ("supported", "contradicted") for word in each) for table, each in words.items()}
    assert judged == {"3a": 8, "3b": 3}


def test_differences_are_known_where_their_reference_is_not_printed(made):
    # Table 3a: the BIDMC number of S4D-Lin is lost, the differences from it are not.
    parts = {part.words: part.difference for part in made["lin-both-worse-than-either"].by_seeds[2].parts}
    assert parts["BIDMC, S4D-Lin random both against S4D-Lin random Im"] == pytest.approx(0.008)
    assert made["lin-scale-small"].by_seeds[2].parts[2].difference == pytest.approx(0.040)


def test_what_the_text_says_of_path_x_its_table_contradicts(made):
    one = made["lra-pathx-solved-by-inv-alone"]
    assert {v.verdict for v in one.by_seeds.values()} == {"contradicted"}
    assert "S4D-LegS not above chance on Path-X: distance from 52 % +39.95 points" in one.by_seeds[2].evidence
    table = made["lra-pathx-solved"].by_seeds[2]
    assert table.verdict == "untested"
    assert "S4D-Lin: printed as X, without a number" in table.evidence


def test_averages_count_an_x_as_chance_and_literature_as_exact(made):
    parts = made["lra-best-within-a-point"].by_seeds[2].parts
    assert [round(part.difference, 2) for part in parts] == [-1.20, -0.58, -7.70]  # from the printed averages
    assert made["lra-best-within-a-point"].by_means_alone
    average = made["lra-averages-85"]
    assert average.by_seeds[2].parts[0].difference == pytest.approx(85.50 - 85, abs=0.01)
    assert (average.by_seeds[2].verdict, average.by_means_alone) == ("untested", True)
    far = made["lra-far-above-the-transformer"]
    assert far.by_seeds[2].parts[0].difference == pytest.approx(85.50 - 53.66, abs=0.01)
    sota = made["scifar-state-of-the-art"].by_seeds[3]
    assert sota.decisive.words == "sCIFAR, S4D-LegS against FlexConv"
    assert sota.decisive.df == 2


def test_how_many_claims_the_printed_numbers_decide(made):
    found = {n: counts(each) for n, each in at_seeds(made.values()).items()}
    assert {n: (each["supported"], each["contradicted"], each["undecided"], each["untested"])
            for n, each in found.items()} == {2: (11, 3, 33, 9), 3: (18, 5, 22, 11)}


def test_where_the_printed_means_are_against_a_claim_it_is_said(made):
    one = made["speech-ssms-beat-cnns"]
    assert (one.means_alone, one.claim.source) == ("do not hold", "this suite, after table 11, where it is false")
    assert one.evidence.endswith("; by the printed means alone it is false: 16 kHz, S4-FouT against ConvNet −0.24 "
                                 "points, 16 kHz, S4-(LegS/FouT) against ConvNet −0.19 points")


def test_sizes_are_counts_and_need_no_deviation(made):
    one = made["large-s4-and-s4d-of-one-size"]
    assert {v.verdict for v in one.by_seeds.values()} == {"supported"}
    assert [part.difference for part in one.by_seeds[2].parts] == [pytest.approx(1.0)] * 3
    assert "difference +1 K, margin ±2 K, a count, the same for every seed" in one.evidence


def test_the_best_s4d_is_held_against_each_baseline(made):
    best = made["lra-best-above-other-baselines"]
    assert best.by_means_alone
    assert {part.words for part in best.by_seeds[2].parts if not part.tested} == {  # without deviations
        f"Path-X, {row} against {other}" for other in ("S4 (original)", "Transformer")
        for row in ("S4D-LegS", "S4D-Inv", "S4D-Lin")}
    several = made["lra-better-on-several"].by_seeds[2]
    assert len(several.parts) == 5 * 3 * 2


def test_claims_on_what_is_not_printed_have_no_verdict_here(tmp_path, published):
    added = claim(table="3a", left="S4D-Mine", columns="sCIFAR")  # a method of one's own in a table of the paper
    path = write(tmp_path, added, claim(id="two", table="3a", columns="sCIFAR"), claim(id="three"))
    assert [one.claim.id for one in published_verdicts(path, published)] == ["two"]


def test_markdown(made):
    text = paper_claims(list(made.values()))
    for n, each in at_seeds(made.values()).items():
        assert f"- as if n = {n}: {counts_text(each)}" in text
    assert text.count("\n|") == 2 + len(made)
    assert "| hold" in text
    assert "| do not hold" in text


@pytest.mark.parametrize("name", TABLES)
def test_every_claim_fits_the_grid_and_the_layout_of_its_table(tmp_path, published, name):
    grid = load_grid(SOURCES.parent / f"grids/{name}.yaml", "paper" if name == "kernels" else "mini")
    store = Store(tmp_path)
    layouts = layout_files(SOURCES / "tables", name)
    made = make_document(grid, name, store, store.states([run.run_id for run in grid.runs]), layouts,
                         [SOURCES / "claims.yaml"], published)
    assert made.verdicts
    assert {verdict.verdict for verdict in made.verdicts} == {"untested"}
