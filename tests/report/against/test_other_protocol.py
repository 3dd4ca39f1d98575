"""Numbers of a table under `other_protocol` are shown and never judged; those of the other tables are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_store import fill, make_grid, sources

from suite.errors import UserError
from suite.report.report import write_report
from suite.store.store import Store

LAYOUT = """\
name: demo
published: a2020/1
also: [b2021/1]
other_protocol: [%s]
rows: method
columns:
  - {label: sCIFAR, where: {task: sCIFAR}, digits: 1}
"""
PAPER = """\
schema_version: 1
id: %s
title: A title
year: 2020
citation: %s
tables:
  '1':
    caption: a table
    split: val
    selection: null
    columns:
      sCIFAR: {task: scifar, metric: accuracy, digits: 1}
    rows:
      S4D-Lin: {cells: {sCIFAR: 40.3}}
"""


def cells(tmp: Path, other: str) -> list[dict]:
    grid = make_grid(profile="paper", data={"name": "cifar10", "variant": "original"})
    store, texts = Store(tmp / "store"), sources(tmp, LAYOUT % other)
    fill(store, grid)
    for key in ("a2020", "b2021"):
        (texts / "published" / f"{key}.yaml").write_text(PAPER % (key, f"{key}, A paper"))
    write_report([grid], store, tmp / "out", texts, figures=False)
    return [cell for cell in json.loads((tmp / "out/demo.cells.json").read_text())["cells"] if cell["row"] == "S4D-Lin"]


def test_a_number_of_another_protocol_is_shown_and_not_judged(tmp_path: Path) -> None:
    first, second = cells(tmp_path, "b2021/1")[0]["published"]
    assert first["verdict"] == "compatible" and first["interval"] is not None
    assert (second["text"], second["verdict"]) == ("40.3", "other protocol")
    assert second["reason"] == "its models have another size or training" and second["interval"] is None
    assert r"\[a2020 40.3; b2021 40.3\]" in (tmp_path / "out/demo.md").read_text()


def test_a_table_that_is_not_shown_cannot_be_of_another_protocol(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"demo.yaml:4: other_protocol.0: 'b2021/2' is neither `published` nor in"):
        cells(tmp_path, "b2021/2")
