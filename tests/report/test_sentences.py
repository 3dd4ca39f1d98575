"""What a reader of the kept reports is told: every number with its name and unit, the same in every format."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.grid.expand import load_grid
from suite.report.report import write_report
from suite.store.store import Store

ROOT = Path(__file__).parents[2]
KEPT = {"table3b-scifar-epoch1": ("first-epoch", None, ()), "spo2-epoch27": ("first-epochs-spo2", "paper", ()),
        "full-length": ("full-length", None, ("seed=0",))}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The kept reports as they are written now: by folder and format, with plain spaces and without markup."""
    out, found = tmp_path_factory.mktemp("kept"), {}
    for folder, (name, profile, only) in KEPT.items():
        grid = load_grid(ROOT / f"grids/{name}.yaml", profile, [], list(only))
        made = write_report([grid], Store(ROOT / "results" / folder / "store"), out / folder, figures=False)
        texts = {end: (out / folder / file).read_text() for end, file in
                 (("md", f"{name}.md"), ("tex", f"{name}.tex"), ("html", "index.html"))}
        texts["text"] = " ".join(made.text.split())
        found[folder] = {end: html.unescape(text).replace("\u00a0", " ") for end, text in texts.items()}
    return found


def test_the_offset_of_a_column_is_in_every_format(told: dict[str, dict[str, str]]) -> None:
    texts = told["table3b-scifar-epoch1"]
    sentence = ("Mean of ours − published over 14 cells of sCIFAR first: −1.99 points "
                "(95 % CI by seed −5.94 to +1.96), offset not established.")
    assert sentence in texts["html"] and sentence in texts["text"]
    for end in ("md", "tex"):  # there it is a line of the table against the paper
        line, = (line for line in texts[end].splitlines() if "mean of 14 cells, by seed" in line)
        assert "offset not established" in line


def test_the_page_says_what_its_words_mean(told: dict[str, dict[str, str]]) -> None:
    page = told["table3b-scifar-epoch1"]["html"]
    assert "12 cells compatible, 2 undecided" in page and "compatible: it contains 0" in page
    assert "<small>1 runs" not in page and "1 run</small>" in page


def test_latex_has_level_margin_and_the_name_of_what_is_no_difference(told: dict[str, dict[str, str]]) -> None:
    tex = told["table3b-scifar-epoch1"]["tex"]
    assert "(level 0.0075 at 3 seeds for 2 claims)" in tex
    assert r"margin \ensuremath{\pm}1.00 points" in tex
    assert r"Kendall \ensuremath{\tau} +0.65 {[}+0.35 to +0.83{]}" in tex


@pytest.mark.parametrize("end", ["md", "tex", "html", "text"])
def test_without_deviations_none_is_explained(told: dict[str, dict[str, str]], end: str) -> None:
    for folder in ("spo2-epoch27", "full-length"):
        assert "Each number is of one seed." in told[folder][end]
        assert "sample standard deviation" not in told[folder][end]
    assert "Validation RMSE in target units, after the epoch that heads the column." in told["spo2-epoch27"][end]
    assert "2 cells with one seed, 1 not printed, 3 without a number." in told["full-length"][end]


def test_a_published_number_has_a_sign_only_as_a_difference(told: dict[str, dict[str, str]]) -> None:
    """The paper prints S4D-Real as a difference from S4D-Inv; beside our absolute number it is one, too."""
    for end in ("md", "tex", "html"):
        assert "79.34" in told["full-length"][end] and "+79.34" not in told["full-length"][end]


@pytest.mark.parametrize(("style", "spec"), [("siunitx", r"{@{}lS[table-format=2.2]@{\,}lS["),
                                             ("plain", "{@{}lcc@{}}")])
def test_the_command_sets_numbers_as_it_is_asked(style: str, spec: str, tmp_path: Path) -> None:
    asked = ["report", str(ROOT / "grids/full-length.yaml"), "--only", "seed=0", "--no-figures", "--latex", style,
             "--store", str(ROOT / "results/full-length/store"), "--out", str(tmp_path)]
    assert main(asked) == 0
    assert spec in (tmp_path / "full-length.tex").read_text()
