"""Each type of error that pydantic finds in a grid, in the suite's own words."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from suite.config.run_config import field_type
from suite.files.patterns import FUNCTION, IN_WORDS, NAME, SELECT, in_words
from suite.files.validation import MESSAGES, by_place, message, model_at
from suite.files.yaml import parse_yaml
from suite.grid.grammar import Block, Exclude, GridFile, Profile, SeedRange


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    key: int


Strictly = Field(strict=True)
CASES: dict[str, tuple[Any, Any, str]] = {
    "missing": (Inner, {}, "this key is required"),
    "extra_forbidden": (Inner, {"key": 1, "kye": 2}, "this key is unknown"),
    "literal_error": (Literal["a", "b", "c"], "d", "must be 'a', 'b' or 'c'"),
    "int_type": (Annotated[int, Strictly], "x", "must be an integer"),
    "int_from_float": (int, 3.5, "must be an integer"),
    "int_parsing": (int, "x", "must be an integer"),
    "int_parsing_size": (int, "9" * 5000, "is too large"),
    "float_type": (Annotated[float, Strictly], "x", "must be a number"),
    "float_parsing": (float, "x", "must be a number"),
    "finite_number": (Annotated[float, Field(allow_inf_nan=False)], float("inf"), "must be a finite number"),
    "bool_type": (Annotated[bool, Strictly], 1, "must be true or false"),
    "bool_parsing": (bool, "perhaps", "must be true or false"),
    "string_type": (str, 3, "must be a string"),
    "string_too_short": (Annotated[str, Field(min_length=1)], "", "is too short (minimum length: 1)"),
    "string_pattern_mismatch": (Annotated[str, Field(pattern="^a+$")], "b", "must match the pattern ^a+$"),
    "list_type": (list[int], 3, "must be a list"),
    "tuple_type": (tuple[int, ...], 3, "must be a list"),
    "dict_type": (dict[str, int], 3, "must be a mapping"),
    "model_type": (Inner, 3, "must be a mapping"),
    "too_short": (Annotated[tuple[int, ...], Field(min_length=1)], [], "is too short (minimum length: 1)"),
    "greater_than": (Annotated[float, Field(gt=0)], 0, "must be greater than 0.0"),
    "greater_than_equal": (Annotated[int, Field(ge=1)], 0, "must be greater than or equal to 1"),
    "less_than": (Annotated[float, Field(lt=1)], 1, "must be less than 1.0"),
    "less_than_equal": (Annotated[int, Field(le=9)], 10, "must be less than or equal to 9"),
    "multiple_of": (Annotated[int, Field(multiple_of=2)], 3, "must be a multiple of 2"),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_type_of_error_has_its_words(kind: str) -> None:
    annotation, value, words = CASES[kind]
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    [error] = caught.value.errors()
    assert (error["type"], message(error)) == (kind, words)


def test_a_type_without_words_keeps_pydantic_s() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(set[int]).validate_python(3)
    assert message(caught.value.errors()[0]) == "Input should be a valid set"


@pytest.mark.parametrize(("field", "value", "words"), [
    ("train.epochs", "many", "must be an integer"), ("train.epochs", 3.5, "must be an integer"),
    ("optim.lr", "fast", "must be a number"), ("optim.lr", 0, "must be greater than 0.0"),
    ("ssm.train_b", 1, "must be true or false"), ("ssm.state_size", 3, "must be a multiple of 2"),
    ("model.dropout", 1.0, "must be less than 1.0"), ("train.evaluate", [], "is too short (minimum length: 1)"),
    ("data.name", "", "is too short (minimum length: 1)"), ("optim.milestones", 3, "must be a list"),
    ("ssm.init_source", 3, "must be a string"),
    ("train.select", "most val/accuracy", "must be max or min and a metric, such as max val/accuracy")])
def test_the_errors_of_fields_have_words(field: str, value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        field_type(field).validate_python(value)
    assert message(caught.value.errors()[0]) == words


@pytest.mark.parametrize("name", ["a/b", "*", "[ab]+", "-x", "", "x" * 81])
def test_a_bad_name_of_a_grid_is_told_which_letters_are_allowed(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GridFile.model_validate({"name": name})
    assert message(caught.value.errors()[0]) == \
        "must be a name of 1 to 80 letters (A to Z, a to z), digits, and _ . - after the first"


def test_words_of_patterns_fit_them() -> None:
    for pattern in IN_WORDS:
        assert in_words(pattern).startswith("be ") and re.compile(pattern)
    assert re.search(NAME, "a" * 80) and not re.search(NAME, "a" * 81)
    assert re.search(SELECT, "max val/accuracy") and re.search(FUNCTION, "my_code:make")


def places(text: str) -> dict[str, list[str]]:
    node = parse_yaml("name: g\n" + text, "g.yaml")
    with pytest.raises(ValidationError) as caught:
        GridFile.model_validate(node.plain())
    return {".".join(map(str, path)): [message(one) for one in errors]
            for path, errors in by_place(caught.value, node).items()}


def test_places_are_keys_of_the_file_and_members_of_a_union_are_not() -> None:
    assert places("seeds: [0, -1]\n") == {"seeds.1": ["must be greater than or equal to 0"]}
    assert places("seeds: {range: 0}\n") == {"seeds.range": ["must be greater than or equal to 1"]}
    assert places("seeds: {rnage: 3}\n") == {"seeds.range": ["this key is required"],
                                             "seeds.rnage": ["this key is unknown"]}
    assert places("seeds: 3\n") == {"seeds": ["must be a list", "must be a mapping"]}
    assert places("extends: 3\n") == {"extends": ["must be a string", "must be a list"]}
    assert places("exclude: [{because: x}]\n") == {"exclude.0.when": ["this key is required"]}
    assert places("seeds: {range: 2, str: 3}\n") == {"seeds.str": ["this key is unknown"]}


def test_the_keys_that_are_allowed_are_those_of_the_part() -> None:
    assert model_at(GridFile, ()) is GridFile
    assert model_at(GridFile, ("blocks", 0)) is Block and model_at(GridFile, ("seeds",)) is SeedRange
    assert model_at(GridFile, ("blocks", 1, "exclude", 0)) is Exclude
    assert model_at(GridFile, ("profiles", "expect")) is Profile  # a profile of that name is no `expect:`
