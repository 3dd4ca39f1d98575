"""Reading YAML: numbers as people write them, every problem with its line, nothing executed."""

import time

import pytest

from suite.errors import UserError
from suite.files.yaml import load_yaml, parse_yaml


def problems(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "f.yaml")
    return [str(p) for p in caught.value.problems]


def test_scalars_mean_what_they_look_like() -> None:
    text = "{a: 1e-3, b: 1_000, c: 007, d: .5, e: 'off', f: True, g: null, h: -3, i: 1:30, j: 2022-06-23, k: 1.}"
    assert parse_yaml(text, "f").plain() == {
        "a": 0.001, "b": 1000, "c": "007", "d": 0.5, "e": "off", "f": True, "g": None, "h": -3, "i": "1:30",
        "j": "2022-06-23", "k": 1.0}


def test_every_problem_is_told_at_once_with_its_line() -> None:
    text = "a: off\nb: .nan\nc: 1\nc: 2\nd: !!python/object/apply:os.system [x]\nyes: 3\ne: 1e999\n"
    told = problems(text)
    assert [t.split(": ")[0] for t in told] == ["f.yaml:1", "f.yaml:2", "f.yaml:4", "f.yaml:5", "f.yaml:6", "f.yaml:7"]
    assert "`off` is ambiguous" in told[0] and "not a finite number" in told[1]
    assert "duplicate key 'c' (first defined on line 3)" in told[2]
    assert "!!python/object/apply:os.system is not allowed" in told[3]


@pytest.mark.parametrize(("text", "message"), [
    ("", "the file is empty"),
    ("# nothing\n", "the file is empty"),
    ("- 1\n", "must contain a mapping"),
    ("just words", "must contain a mapping"),
    ("a: [1, 2\n", "not YAML"),
    ("a: 1\n\tb: 2\n", "f.yaml:2: tab in the indentation"),
    ("a: 1\n---\nb: 2\n", "not YAML"),
    ("? [a, b]\n: 1\n", "a key must be a plain word"),
    ("a: \x00", "not YAML"),
])
def test_what_is_not_one_mapping_is_refused(text: str, message: str) -> None:
    assert message in problems(text)[0]


def test_an_alias_bomb_and_an_alias_of_itself_end_quickly() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    merged = "a0: &a0 {k: x, j: x}\n" + "".join(
        f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    started = time.process_time()
    for text in (bomb, merged, "a: [" + "1, " * 300_000 + "1]", "\n".join(f"k{i}: 1" for i in range(300_000))):
        assert "once aliases are expanded" in problems(text)[-1]
    for text in ("a: &a [*a]", "a: &a {b: [*a]}"):
        assert "the alias *a refers to itself" in problems(text)[-1]
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60))
    for text in (chain, "[" * 2000, "a: " + "[" * 500_000, "a: " + "{a: " * 500_000):  # the composer recurses in C
        assert "nested too deeply" in problems(text)[-1]
    assert time.process_time() - started < 4
    assert parse_yaml("a: &a [1]\nb: [*a, *a]\n", "f").plain()["b"] == [[1], [1]]


def test_text_that_is_no_unicode_is_refused() -> None:
    assert "not UTF-8" in problems("a: \udcff")[-1]


def test_merge_keys_give_what_the_mapping_does_not() -> None:
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", "f").plain()["b"] == {"x": 1, "y": 3}


def test_places_point_at_keys() -> None:
    node = parse_yaml("a:\n  b:\n    - 1\n    - {c: 2}\n", "f.yaml")
    assert str(node.find(("a", "b", 1, "c"))) == "f.yaml:4"
    assert str(node.find(("a", "nowhere"))) == "f.yaml:1"


def test_a_node_gives_the_value_of_a_key_or_the_default() -> None:
    node = parse_yaml("a: [1]\nb: null\nc: {d: 2}\n", "f.yaml")
    assert node.get("c")["d"].plain() == 2 and node.get("b", 7) is None
    assert node.get("z") is None and node.get("z", 7) == 7
    assert node.value["a"].get("c", 7) == 7 and node.value["a"].child(0).plain() == 1
    assert node.child("z") is None and node.value["a"].child(1) is None and node.value["a"].child("0") is None


def test_files_that_cannot_be_read_are_named(tmp_path) -> None:
    (tmp_path / "there.yaml").write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(UserError, match="no such file(.|\n)*there.yaml"):
        load_yaml(tmp_path / "not.yaml")
    with pytest.raises(UserError, match="not UTF-8"):
        load_yaml(tmp_path / "there.yaml")
    with pytest.raises(UserError, match="this is a folder"):
        load_yaml(tmp_path)
