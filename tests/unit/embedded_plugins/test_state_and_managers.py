"""The state's fields, names and field managers."""

import re
from typing import Any

import pytest

from embedded.plugins.kubernetes import check, managers, options, state
from embedded.plugins.kubernetes.cluster import Cluster
from embedded.plugins.kubernetes.properties import UNKNOWN, Secret


def test_the_state_has_the_official_fields_and_gives_back_what_it_was_made_of() -> None:
    live = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}, "metadata": {"name": "n", "namespace": "s"}}
    inputs = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
    saved = state.saved(live, inputs, {**inputs, "data": {"a": Secret("1")}}, "v1", "manager")
    assert saved["data"] == {"a": Secret("1")}
    assert saved["__inputs"]["data"] == {"a": Secret("1")}
    assert (saved["__initialApiVersion"], saved["__fieldManager"]) == ("v1", "manager")
    old_inputs, old_live = state.split(saved)
    assert old_inputs == inputs
    assert {key: value for key, value in old_live.items() if not key.startswith("__")} == live


def test_schema_extensions_change_their_spelling_at_the_border() -> None:
    """Only the seven known names: a member of somebody's own data keeps its underscores."""
    wire = {"x-kubernetes-int-or-string": True, "list": [{"x-kubernetes-validations": []}], "x_own": 1}
    kept = {"x_kubernetes_int_or_string": True, "list": [{"x_kubernetes_validations": []}], "x_own": 1}
    assert state.underscored(wire) == kept
    assert state.dashed(kept) == wire


def test_the_field_manager_is_random_kept_and_can_be_named() -> None:
    fresh = {state.field_manager({}, {}) for _ in range(20)}
    assert len(fresh) == 20
    assert all(re.fullmatch(r"pulumi-kubernetes-[0-9a-f]{8}", name) for name in fresh)
    assert state.field_manager({"__fieldManager": "kept"}, {}) == "kept"
    named = {"metadata": {"annotations": {"pulumi.com/patchFieldManager": "own"}}}
    assert state.field_manager({"__fieldManager": "kept"}, named) == "own"
    assert (
        state.field_manager({}, {}, "seed") == state.field_manager({}, {}, "seed") != state.field_manager({}, {}, "x")
    )


@pytest.mark.parametrize(("identity", "wanted"), [("ns/name", ("ns", "name")), ("name", ("", "name"))])
def test_identities(identity: str, wanted: tuple[str, str]) -> None:
    assert state.parse_identity(identity) == wanted


def entry(manager: str, operation: str, fields: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {"manager": manager, "operation": operation, "fieldsV1": fields}
    return result | ({"subresource": subresource} if subresource else {})


def test_creation_and_kubectl_are_taken_over_and_controllers_are_not() -> None:
    entries = [
        entry("pulumi-kubernetes", "Update", {"f:data": {"f:a": {}}}),
        entry("kubectl-edit", "Update", {"f:data": {"f:b": {}}}),
        entry("controller", "Update", {"f:data": {"f:c": {}}}),
        entry("kubectl", "Update", {"f:status": {}}, "status"),
    ]
    merged = managers.merged(entries, "pulumi-kubernetes-1")
    assert merged is not None
    assert merged[:2] == entries[2:]
    own = merged[2]
    assert (own["manager"], own["operation"]) == ("pulumi-kubernetes-1", "Apply")
    assert own["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
    assert managers.merged(merged, "pulumi-kubernetes-1") is None


def test_an_ignored_field_of_others_is_left_out_and_our_own_is_kept() -> None:
    live = {
        "metadata": {
            "managedFields": [
                entry("scaler", "Update", {"f:spec": {"f:replicas": {}}}),
                entry("ours", "Apply", {"f:spec": {"f:paused": {}}}),
            ]
        },
        "spec": {"replicas": 5, "paused": True},
    }
    inputs = {"spec": {"replicas": 1, "paused": False, "other": 1}}
    wanted = managers.without_ignored(inputs, live, ["spec.replicas", "spec.paused"], "ours")
    assert wanted == {"spec": {"paused": True, "other": 1}}


NOWHERE = Cluster(options.Options(namespace="default"))


def named(news: dict[str, Any], olds: dict[str, Any] | None = None, **naming: Any) -> dict[str, Any]:
    checked = check.checked(news, olds or {}, check.Naming("res", b"seed", **naming), NOWHERE)
    metadata: dict[str, Any] = checked["metadata"]
    return metadata


def test_names_are_made_from_the_seed_and_kept() -> None:
    item = {"apiVersion": "v1", "kind": "ConfigMap"}
    first = named(item)
    assert re.fullmatch(r"res-[0-9a-f]{8}", first["name"])
    assert first["annotations"] == {"pulumi.com/autonamed": "true"}
    assert first["namespace"] == "default"
    assert named(item, {**item, "metadata": {**first, "name": "older"}})["name"] == "older"
    assert named(item, proposed="engine-name")["name"] == "engine-name"
    with pytest.raises(check.CannotName):
        named(item, mode="disable")
    assert "namespace" not in named({"apiVersion": "v1", "kind": "Namespace"})
    assert named({**item, "metadata": {"name": UNKNOWN}})["name"] == UNKNOWN


@pytest.mark.parametrize(
    "token",
    [
        "kubernetes:core/v1:ConfigMapPatch",
        "kubernetes:core/v1:ConfigMapList",
        "kubernetes:helm.sh/v3:Release",
        "kubernetes:helm.sh/v4:Chart",
        "kubernetes:kustomize/v2:Directory",
        "kubernetes:yaml/v2:ConfigGroup",
    ],
)
def test_what_is_not_supported_is_refused_by_name(token: str) -> None:
    [(_, why)] = check.problems(token, {"apiVersion": "v1", "kind": "X"})
    assert token in why


def test_bad_inputs_are_named_together() -> None:
    metadata = {"generateName": "x-", "annotations": {"pulumi.com/waitFor": "nonsense"}}
    found = check.problems("kubernetes:core/v1:ConfigMap", {"metadata": metadata, "kind": "ConfigMap"})
    assert [place for place, _ in found] == ["apiVersion", "metadata.generateName", "metadata.annotations"]


def test_provider_options() -> None:
    """Known ones are understood as texts and booleans, others refused by name, all together."""
    given = {"namespace": "n", "enableConfigMapMutable": "true", "upsertExistingObjects": True, "version": "4.32.0"}
    assert options.problems(given, {}) == []
    parsed = options.parse(given, {"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"})
    assert (parsed.namespace, parsed.config_map_mutable, parsed.upsert, parsed.patch_force) == ("n", True, True, True)
    bad = {
        "renderYamlToDirectory": "x",
        "helmReleaseSettings": {"driver": "x"},
        "enableServerSideApply": "false",
        "enableSecretMutable": "yes",
        "noSuchOption": "x",
        "kubeClientSettings": {"burst": 1, "timeout": 3},
    }
    found = [name for name, _ in options.problems(bad, {})]
    assert found == [
        "enableSecretMutable",
        "helmReleaseSettings",
        "kubeClientSettings",
        "noSuchOption",
        "renderYamlToDirectory",
        "enableServerSideApply",
    ]
    assert options.problems({"renderYamlToDirectory": UNKNOWN, "alwaysRender": "false"}, {}) == []
