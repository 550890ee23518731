"""Policies from anywhere: read or refused, never a crash; what was read can be written and read again (contract 7.parse)."""

import dataclasses
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.admission.validate import judge
from mesh.admission.verdict import Verdict
from mesh.api import schema
from mesh.api.errors import InvalidInputError
from mesh.api.kinds import POLICY_PARSERS
from mesh.api.policy import Policy
from tests.unit.admission.test_validate import FULL
from tests.unit.api.policies import ALL

WORDS = st.sampled_from(
    [
        "",
        "*",
        "shop",
        "reviews",
        "beta",
        "HTTPRouteGroup",
        "Service",
        "10r/s",
        "nodelay",
        "a/b",
        "(",
        "\ud800",
        "\0",
        "é",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-1, 2) | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a manifest."""
    found = [path] if path else []
    rows = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in rows:
        found += places(value, (*path, key))
    return found


@st.composite
def mutants(draw: st.DrawFn) -> dict[str, Any]:
    """A good policy with up to three members that are something else, or not there."""
    manifest: dict[str, Any] = deepcopy(draw(st.sampled_from(ALL)))
    for _ in range(draw(st.integers(0, 3))):
        *parents, last = draw(st.sampled_from(places(manifest)))
        node: Any = manifest
        for key in parents:
            node = node[key]
        if isinstance(node, dict) and draw(st.booleans()):
            del node[last]
        else:
            node[last] = draw(VALUES)
    return manifest


def written(spec: Any) -> Any:
    """A spec as its manifest would have it."""
    if dataclasses.is_dataclass(spec):
        rows = ((one.name, getattr(spec, one.attribute)) for one in schema.members(type(spec)))
        return {name: written(value) for name, value in rows if value is not None}
    if isinstance(spec, tuple):
        return [written(item) for item in spec]
    return dict(spec) if isinstance(spec, Mapping) else spec


@pytest.mark.spec("7.parse")
@given(mutants())
def test_what_was_read_is_read_the_same_again(manifest: dict[str, Any]) -> None:
    """Defaults are filled in once: reading the result changes nothing more."""
    parse = POLICY_PARSERS.get(str(manifest.get("kind")))
    if parse is None:
        return
    try:
        policy = parse(manifest)
    except InvalidInputError:
        return
    assert isinstance(policy, Policy)
    version = "specs.smi.nginx.com/v1alpha2" if policy.kind == "RateLimit" else manifest["apiVersion"]
    again = parse(manifest | {"apiVersion": version, "spec": written(policy.spec)})
    assert again == policy


@pytest.mark.spec("7.webhook")
@given(st.sampled_from(["CREATE", "UPDATE", "DELETE"]), st.sampled_from(sorted(POLICY_PARSERS)), mutants(), mutants())
def test_every_question_gets_a_verdict(
    operation: str, kind: str, manifest: dict[str, Any], old: dict[str, Any]
) -> None:
    """Whatever stands in the objects."""
    assert isinstance(judge(operation, kind, manifest, old, FULL), Verdict)


@pytest.mark.spec("7.parse")
@given(st.sampled_from(sorted(POLICY_PARSERS)), st.dictionaries(WORDS, VALUES, max_size=4))
def test_any_object_is_refused_with_its_faults(kind: str, value: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        POLICY_PARSERS[kind](value)
