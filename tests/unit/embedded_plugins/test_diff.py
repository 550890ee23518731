"""What counts as a change, where it is, and whether it replaces the object."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.plugins.kubernetes.diff import Change, changes, contains, parse_path, same, text_of
from embedded.plugins.kubernetes.force_new import frozen_paths, replaces
from embedded.plugins.kubernetes.properties import UNKNOWN
from embedded.plugins.kubernetes.prune import pruned


def found(live: Any, new: Any, old: Any = None) -> dict[str, str]:
    return {text_of(change.path): change.kind for change in changes(live, new, live if old is None else old)}


def test_changes_are_found_where_they_are() -> None:
    live = {"spec": {"ports": [{"port": 1}, {"port": 2}], "gone": 1, "same": "x"}}
    new = {"spec": {"ports": [{"port": 1}, {"port": 3}, {"port": 4}], "same": "x", "fresh": True}}
    assert found(live, new) == {
        "spec.ports[1].port": "update",
        "spec.ports[2]": "add",
        "spec.gone": "delete",
        "spec.fresh": "add",
    }


def test_an_empty_value_that_the_server_drops_is_no_change() -> None:
    old = {"spec": {"hostNetwork": False, "args": [], "name": "n"}}
    live = {"spec": {"name": "n"}}
    assert found(live, old, old) == {}
    assert found(live, {"spec": {"hostNetwork": True, "args": [], "name": "n"}}, old) == {"spec.hostNetwork": "add"}
    assert found(live, {"spec": {"name": "n", "hostPID": False}}, old) == {"spec.hostPID": "add"}


def test_a_value_that_is_not_known_yet_is_a_change() -> None:
    assert found({"data": {"a": "1"}}, {"data": {"a": UNKNOWN, "b": UNKNOWN}}) == {"data.a": "update", "data.b": "add"}


@pytest.mark.parametrize(
    ("left", "right", "equal"), [(1, 1.0, True), (True, 1, False), ([1], [1.0], True), ({"a": 0}, {"a": False}, False)]
)
def test_equality_is_that_of_json(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right) is equal


_STEPS = st.one_of(st.integers(0, 20), st.text("ab./-_[]", min_size=1, max_size=6).filter(lambda text: "]" not in text))


@given(st.lists(_STEPS, min_size=1, max_size=5).map(tuple).filter(lambda path: isinstance(path[0], str)))
def test_paths_are_read_as_they_are_written(path: tuple[str | int, ...]) -> None:
    assert parse_path(text_of(path)) == path


def test_ignored_places_hold_what_is_below_them() -> None:
    assert contains(parse_path("spec.template"), parse_path("spec.template.spec.containers[0]"))
    assert contains(parse_path("spec.containers[*].image"), parse_path("spec.containers[1].image"))
    assert not contains(parse_path("spec.template.spec"), parse_path("spec.template"))


def kinds(api_version: str, kind: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, **rest}


@pytest.mark.parametrize(
    ("item", "path", "value", "wanted"),
    [
        (kinds("apps/v1", "Deployment"), "spec.selector.matchLabels.app", "x", True),
        (kinds("apps/v1", "Deployment"), "spec.template.spec.containers[0].image", "x", False),
        (kinds("apps/v1", "StatefulSet"), "spec.volumeClaimTemplates[0].spec", {}, True),
        (kinds("apps/v1", "StatefulSet"), "spec.replicas", 2, False),
        (kinds("batch/v1", "Job"), "spec.template.spec.containers[0].image", "x", True),
        (kinds("v1", "Pod"), "spec.containers[0].image", "x", True),
        (kinds("v1", "Pod"), "spec.containers[1]", {"name": "n", "image": "x"}, True),
        (kinds("v1", "Pod"), "spec.containers[0].name", "x", False),
        (kinds("v1", "Service"), "spec.clusterIP", "None", True),
        (kinds("v1", "Service"), "spec", {"clusterIP": "None"}, True),
        (kinds("v1", "Service"), "spec", {"ports": []}, False),
        (kinds("v1", "ConfigMap"), "data.a", "x", True),
        (kinds("v1", "Secret"), "type", "x", True),
        (kinds("v1", "Secret"), "data", {"a": "x"}, True),
        (kinds("rbac.authorization.k8s.io/v1", "RoleBinding"), "roleRef.name", "x", True),
        (kinds("example.com/v1", "Deployment"), "spec.selector", "x", False),
        (kinds("example.com/v1", "Widget"), "metadata.name", "x", True),
        (kinds("v1", "ConfigMap"), "metadata.labels.a", "x", False),
    ],
)
def test_what_replaces(item: dict[str, Any], path: str, value: Any, wanted: bool) -> None:
    frozen = frozen_paths(item, config_map_mutable=False, secret_mutable=False)
    assert replaces(Change(parse_path(path), "update", value), frozen) is wanted


def test_mutable_data_is_updated_unless_the_object_is_immutable() -> None:
    change = Change(("data", "a"), "update", "x")
    for kind in ("ConfigMap", "Secret"):
        item = kinds("v1", kind)
        assert not replaces(change, frozen_paths(item, config_map_mutable=True, secret_mutable=True))
        assert replaces(change, frozen_paths({**item, "immutable": True}, config_map_mutable=True, secret_mutable=True))


def test_pruning_finds_named_elements_wherever_they_stand() -> None:
    """An injected container in front of ours is no drift, and neither is a default."""
    inputs = {"containers": [{"name": "web", "image": "a"}], "ports": [{"port": 1}]}
    live = {
        "containers": [{"name": "sidecar"}, {"name": "web", "image": "b", "pull": "Always"}],
        "ports": [{"port": 1, "protocol": "TCP"}],
        "dnsPolicy": "Default",
    }
    assert pruned(live, inputs) == {"containers": [{"name": "web", "image": "b"}], "ports": [{"port": 1}]}


def test_a_refresh_keeps_what_the_server_dropped_and_sees_what_was_taken_away() -> None:
    inputs = {"labels": {"a": "", "b": "x"}, "hostNetwork": False}
    before = {"labels": {"a": "", "b": "x"}}
    assert pruned({"labels": {"b": "x"}}, inputs, before) == {"labels": {"b": "x"}, "hostNetwork": False}
