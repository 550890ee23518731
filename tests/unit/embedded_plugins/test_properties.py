"""Property values survive the wire; secrets keep their marks and never reach a message."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.plugins.kubernetes.properties import (
    UNKNOWN,
    Secret,
    Unknown,
    from_struct,
    has_unknown,
    marked,
    revealed,
    to_struct,
)
from embedded.plugins.kubernetes.refusal import without_secrets

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=8)
    | st.just(UNKNOWN)
    | st.builds(Secret, st.text(max_size=8))
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), _VALUES, max_size=4))
def test_values_survive_the_wire(members: dict[str, Any]) -> None:
    assert from_struct(to_struct(members)) == members


def test_whole_numbers_are_integers() -> None:
    """Kubernetes refuses 80.0 for a port, and every number of a Struct is a double."""
    received = from_struct(to_struct({"port": 80.0, "weight": 0.5}))
    assert received == {"port": 80, "weight": 0.5}
    assert isinstance(received["port"], int)


def test_each_of_the_seven_sentinels_is_unknown() -> None:
    sentinels = ("1c4a061d-8072-4f0a-a4cb-0ff528b18fe7", "dd056dcd-154b-4c76-9bd3-c8f88648b5ff")
    for sentinel in sentinels:
        received = from_struct(to_struct({"a": [{"b": sentinel}]}))
        assert has_unknown(received)
        assert received["a"][0]["b"] == Unknown(sentinel)


def test_nulls_are_not_given() -> None:
    assert revealed({"a": None, "b": Secret({"c": None, "d": 1})}) == {"b": {"d": 1}}


@pytest.mark.parametrize(
    ("outputs", "inputs", "wanted"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": Secret(1)}}, {"a": {"b": Secret(1), "c": 2}}),
        ({"a": [1, 2]}, {"a": [Secret(1)]}, {"a": Secret([1, 2])}),
        ({"a": {"b": 1}}, {"a": Secret({"b": 1})}, {"a": Secret({"b": 1})}),
        ({"a": 1}, {"gone": Secret(1)}, {"a": 1}),
        (
            {"kind": "Secret", "data": {"k": "djE="}, "metadata": {"annotations": {"p": "x"}}},
            {"metadata": {"annotations": {"p": Secret("x")}}},
            {"kind": "Secret", "data": Secret({"k": "djE="}), "metadata": {"annotations": {"p": Secret("x")}}},
        ),
    ],
)
def test_marks_follow_the_inputs(outputs: Any, inputs: Any, wanted: Any) -> None:
    """Objects member by member; anything else becomes secret as a whole; the data of a Secret always is."""
    assert marked(outputs, inputs) == wanted


def test_messages_hold_no_secret() -> None:
    given_inputs = {"spec": {"a": Secret("hunter22"), "b": [Secret({"c": "hunter2"})]}, "name": "visible"}
    assert without_secrets('"hunter22" and hunter2, visible', [given_inputs]) == '"[secret]" and [secret], visible'
