"""Deltas of random configurations (design 7, contract 4.deltas)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.api.errors import InvalidInputError
from mesh.model import codec, delta
from mesh.model.codec import Decoded, Revision
from mesh.model.edits import apply_edits, edits_between
from mesh.model.sidecar_config import SidecarConfig
from tests.property import strategies
from tests.property.test_codec import json_values

# Each is made of several whole configurations, which take their time to draw.
EXAMPLES = 40


def decoded(config: SidecarConfig, counter: int) -> Decoded:
    return Decoded(config, Revision(1, counter), codec.digest(codec.canonical(config)))


@st.composite
def successors(draw: st.DrawFn, before: SidecarConfig) -> SidecarConfig:
    """What a configuration may become: rows come, go, change and move; settings change."""
    services = list(before.services)
    for number, service in enumerate(services):
        if draw(st.booleans()):
            endpoints = list(service.endpoints) + draw(st.lists(strategies.endpoints, max_size=2))
            services[number] = replace(
                service, endpoints=tuple(draw(st.permutations(endpoints))[: draw(st.integers(0, 5))])
            )
    services += draw(st.lists(strategies.service_ports, max_size=1))
    pods = [*before.pods, *draw(st.lists(strategies.pod_addresses, max_size=1))]
    other = draw(st.just(before) | strategies.sidecar_configs)
    return replace(
        other,
        services=tuple(draw(st.permutations(services))[: draw(st.integers(0, 5))])
        if draw(st.booleans())
        else tuple(services),
        pods=tuple(draw(st.permutations(pods))[: draw(st.integers(0, 5))]),
    )


@pytest.mark.spec("4.deltas")
@settings(max_examples=EXAMPLES)
@given(st.data(), strategies.sidecar_configs)
def test_applying_deltas_gives_what_the_snapshot_gives(data: st.DataObject, config: SidecarConfig) -> None:
    """A sidecar that took every change and one that reads the last snapshot have the same configuration and digest."""
    has = now = decoded(config, 0)
    for counter in range(1, data.draw(st.integers(1, 4)) + 1):
        before, now = now, decoded(data.draw(successors(now.config)), counter)
        message = delta.encode(before, now)
        has = delta.decode(has, message.headers, message.payload)
        assert has == now
    (snapshot,) = codec.encode(now.config, now.revision)
    assert codec.decode(snapshot.headers, snapshot.payload) == has


@pytest.mark.spec("4.deltas")
@settings(max_examples=EXAMPLES)
@given(strategies.sidecar_configs, strategies.sidecar_configs, strategies.sidecar_configs)
def test_a_delta_that_does_not_fit_is_refused(
    first: SidecarConfig, second: SidecarConfig, third: SidecarConfig
) -> None:
    """What was made for another base is never applied, even when somebody says that it fits."""
    base, other, now = decoded(first, 1), decoded(second, 1), decoded(third, 2)
    message = delta.encode(base, now)
    if other.digest == base.digest:
        return
    with pytest.raises(InvalidInputError):
        delta.decode(other, message.headers, message.payload)
    try:
        taken = delta.decode(other, message.headers | {"Mesh-Base": other.digest}, message.payload)
    except InvalidInputError:
        return
    assert taken == now


@pytest.mark.spec("4.deltas")
@settings(max_examples=EXAMPLES)
@given(strategies.sidecar_configs, strategies.sidecar_configs, st.data())
def test_any_delta_is_read_or_refused(first: SidecarConfig, second: SidecarConfig, data: st.DataObject) -> None:
    """Whatever stands in a delta's fields, the outcome is the sender's configuration, or InvalidInputError."""
    base, now = decoded(first, 1), decoded(second, 2)
    message = delta.encode(base, now)
    text = codec.inflate(message.headers.get("Mesh-Encoding", ""), message.payload)
    document = codec.load_json(text)
    document[data.draw(st.sampled_from(["own", "endpoints", "services", "pods", "identities", "hints"]))] = data.draw(
        json_values
    )
    headers = {key: value for key, value in message.headers.items() if key != "Mesh-Encoding"}
    try:
        assert delta.decode(base, headers, codec.canonical_json(document)).config == now.config
    except InvalidInputError:
        pass


@given(st.lists(st.integers(0, 9), max_size=12), st.lists(st.integers(0, 9), max_size=12))
def test_edits_make_the_second_list_of_the_first(before: list[int], after: list[int]) -> None:
    """Also with repeated rows and other orders."""
    assert list(apply_edits("rows", before, edits_between(before, after))) == after


@given(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)))
def test_edits_of_ordered_rows_name_only_what_differs(before: set[int], after: set[int]) -> None:
    """Rows that stay are not sent again."""
    edits = edits_between(sorted(before), sorted(after))
    assert [row for edit in edits for row in edit.rows] == sorted(after - before)
    assert sum(edit.removed for edit in edits) == len(before - after)
