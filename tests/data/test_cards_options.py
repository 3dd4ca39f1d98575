"""The options of cards, found by their lines, are those that the cards have."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from suite.data import cards
from suite.files.yaml import Node, Where
from suite.grid.checks import value_problems


def test_the_lines_of_the_cards_name_every_option_and_no_other_word() -> None:
    read = {option for name in cards.names() for variant in cards.load(name).variants.values()
            for option in variant.options}
    assert cards.written_options() == read and {"pool", "train_count", "decimate", "max_length"} <= read


def test_a_card_in_another_form_is_read_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = yaml.safe_load((cards.CARDS / "delay.yaml").read_text())
    (tmp_path / "delay.yaml").write_text(yaml.safe_dump(card, default_flow_style=True))
    monkeypatch.setattr(cards, "CARDS", tmp_path)
    monkeypatch.setattr(cards, "load", cards.load.__wrapped__)
    assert "delay" not in cards.written_options()
    assert not list(value_problems("data.delay", Node(2, Where("g.yaml", 3))))


def test_an_unknown_option_is_named_with_those_that_there_are() -> None:
    problem, = value_problems("data.pol", Node(2, Where("g.yaml", 3)))
    assert str(problem).startswith("g.yaml:3: data.pol: unknown field 'data.pol'")
    assert "did you mean 'data.pool'" in problem.fix
    assert not list(value_problems("data.pool", Node(2, Where("g.yaml", 3))))
