"""What a report writes for programs: read and written again it has the same bytes, and nothing is lost."""

import json
from pathlib import Path

import pytest

from suite.report.records import IndexRecord, Manifest, ReportRecord, read_record, to_bytes

RESULTS = Path(__file__).parents[2] / "results"
KEPT = {**dict.fromkeys(RESULTS.glob("*/report/*.cells.json"), ReportRecord),
        **dict.fromkeys(RESULTS.glob("*/report/index.json"), IndexRecord),
        **dict.fromkeys(RESULTS.glob("*/frozen.json"), Manifest)}
FULL = {"fingerprint": "f", "grid": "g", "profile": "paper",
        "cells": [{"table": "t", "row": "r", "column": "c", "values": {"0": 1.5}, "epoch": 3,
                   "published": [{"table": "t", "row": "r", "column": "c", "new": 1}], "new": [1, {"a": None}]}],
        "claims": [{"id": "one", "comparisons": [{"words": "a against b", "n": [3, 2], "new": 2}], "new": 3}],
        "warnings": [], "files": {"g.md": "digest"}, "text": "a report", "new": {"of": "a newer release"}}


def part_of(inner, outer):
    """Whether all that `inner` holds stands in `outer`, too."""
    if isinstance(inner, dict):
        return all(key in outer and part_of(value, outer[key]) for key, value in inner.items())
    if isinstance(inner, list):
        return len(inner) == len(outer) and all(map(part_of, inner, outer))
    return inner == outer


def test_there_are_kept_files_of_each_kind():
    assert set(KEPT.values()) == {ReportRecord, IndexRecord, Manifest}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_a_kept_file_is_written_again_byte_for_byte(path):
    content = path.read_bytes()
    assert to_bytes(read_record(KEPT[path], content)) == content


def test_keys_of_a_newer_release_are_ignored_and_kept():
    record = read_record(ReportRecord, json.dumps(FULL).encode())
    assert (record.cells[0].epoch, record.claims[0].comparisons[0].n) == (3, [3, 2])
    assert part_of(FULL, json.loads(to_bytes(record)))


def test_keys_that_an_older_release_did_not_write_have_a_default():
    cell = read_record(ReportRecord, json.dumps(FULL).encode()).cells[0]
    assert (cell.mean, cell.n, cell.run_ids, cell.base) == (None, 0, (), "")


@pytest.mark.parametrize("change", [{"files": ["g.md"]}, {"files": None}, {"text": None}, {"cells": [{"table": "t"}]},
                                    {"cells": [FULL["cells"][0] | {"mean": "large"}]}])
def test_what_is_no_such_record_is_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        read_record(ReportRecord, json.dumps(FULL | change).encode())


def test_a_number_that_json_does_not_have_is_not_written():
    record = read_record(ReportRecord, json.dumps(FULL | {"new": float("nan")}).encode())
    with pytest.raises(ValueError, match="JSON compliant"):
        to_bytes(record)
