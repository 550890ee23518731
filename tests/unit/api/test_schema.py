"""One declaration makes the schema and the parser, and they agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest

from mesh.api import schema
from mesh.api.errors import InvalidInputError
from mesh.api.schema import IntOrString, member


class Colour(StrEnum):
    RED = "red"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Inner:
    text: str = member("A text.", pattern="^a+$", takes="one a or more")
    secret: str | None = member("A secret.", default=None, secret=True, min_length=3)


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner = member("A structure.")
    max_size: int = member("A number.", default=5, minimum=1, maximum=9)
    ratio: float = member("A ratio.", default=0.5, minimum=0, maximum=1)
    colour: Colour = member("A choice.", default=Colour.RED)
    flags: tuple[bool, ...] = member("A list.", default=())
    inners: tuple[Inner, ...] = member("Structures.", default=(), map_key="text")
    labels: Mapping[str, str] | None = member("A map.", default=None, atomic=True)
    either: IntOrString | None = member("A number or a word.", name="eitherOr", default=None)


def problems_of(value: object, *, strict: bool = False) -> list[str]:
    try:
        schema.parse(Outer, value, "spec", strict=strict)
    except InvalidInputError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_what_is_given_is_typed_and_what_is_left_out_has_its_default() -> None:
    value = {
        "inner": {"text": "aa"},
        "ratio": 1,
        "colour": "off",
        "flags": [True],
        "inners": [{"text": "a"}],
        "labels": {"a": "b"},
        "eitherOr": "nodelay",
        "unknown": 1,
    }
    assert schema.parse(Outer, value, "") == Outer(
        inner=Inner(text="aa"),
        ratio=1.0,
        colour=Colour.OFF,
        flags=(True,),
        inners=(Inner(text="a"),),
        labels={"a": "b"},
        either="nodelay",
    )


def test_every_problem_is_told_at_once_with_its_place_value_and_what_is_taken() -> None:
    value = {
        "inner": {"text": "b", "secret": "x"},
        "maxSize": 10,
        "ratio": -0.1,
        "colour": "blue",
        "flags": [1],
        "inners": [{"text": "a"}, {}],
        "labels": {"a": 1},
        "eitherOr": [],
    }
    assert problems_of(value) == [
        'spec.inner.text: got "b", takes one a or more',
        "spec.inner.secret: got [secret], takes a string that is not empty",
        "spec.maxSize: got 10, takes a whole number from 1 to 9",
        "spec.ratio: got -0.1, takes a number from 0 to 1",
        'spec.colour: got "blue", takes one of red, off',
        "spec.flags[0]: got 1, takes true or false",
        "spec.inners[1].text: got nothing, takes one a or more",
        "spec.labels.a: got 1, takes a string",
        "spec.eitherOr: got [], takes a whole number or a string",
    ]


@pytest.mark.parametrize(("value", "shown"), [(None, "None"), ([], "[]"), ("text", '"text"'), (5, "5")])
def test_a_structure_must_be_an_object(value: object, shown: str) -> None:
    assert problems_of(value) == [f"spec: got {shown}, takes an object"]


def test_true_is_no_number_and_a_number_is_no_text() -> None:
    assert problems_of({"inner": {"text": 5}, "maxSize": True}) == [
        "spec.inner.text: got 5, takes one a or more",
        "spec.maxSize: got True, takes a whole number from 1 to 9",
    ]


def test_a_last_newline_does_not_slip_through_a_pattern() -> None:
    """Python's ``$`` would let it, Go's does not."""
    assert problems_of({"inner": {"text": "a\n"}}) != []


def test_a_misspelt_key_is_refused_with_the_one_that_was_meant() -> None:
    found = problems_of({"inner": {"text": "a", "txet": "a"}, "maxsize": 3, "zzz": 1}, strict=True)
    assert found == [
        "spec.maxsize: got an unknown key, takes inner, maxSize, ratio, colour, flags, inners, labels, eitherOr; did you mean maxSize?",
        "spec.zzz: got an unknown key, takes inner, maxSize, ratio, colour, flags, inners, labels, eitherOr",
        "spec.inner.txet: got an unknown key, takes text, secret; did you mean text?",
    ]


def test_the_schema_says_what_the_parser_does() -> None:
    inner = {
        "type": "object",
        "required": ["text"],
        "properties": {
            "text": {"type": "string", "description": "A text.", "pattern": "^a+$"},
            "secret": {"type": "string", "description": "A secret.", "minLength": 3},
        },
    }
    expected: dict[str, Any] = {
        "type": "object",
        "description": "Wanted.",
        "required": ["inner"],
        "properties": {
            "inner": inner | {"description": "A structure."},
            "maxSize": {"type": "integer", "description": "A number.", "minimum": 1, "maximum": 9},
            "ratio": {"type": "number", "description": "A ratio.", "minimum": 0, "maximum": 1},
            "colour": {"type": "string", "description": "A choice.", "enum": ["red", "off"]},
            "flags": {"type": "array", "description": "A list.", "items": {"type": "boolean"}},
            "inners": {
                "type": "array",
                "description": "Structures.",
                "items": inner,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["text"],
            },
            "labels": {
                "type": "object",
                "description": "A map.",
                "additionalProperties": {"type": "string"},
                "x-kubernetes-map-type": "atomic",
            },
            "eitherOr": {
                "description": "A number or a word.",
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "x-kubernetes-int-or-string": True,
            },
        },
    }
    assert schema.open_api(Outer, "Wanted.") == expected


@pytest.mark.parametrize(
    ("word", "expected"), [("mtlss", "mtls"), ("namespce", "namespace"), ("MTLS", "mtls"), ("quite-other", "")]
)
def test_the_closest_name_is_offered_only_when_it_is_close(word: str, expected: str) -> None:
    assert schema.closest(word, ["mtls", "namespace", "registry"]) == expected
