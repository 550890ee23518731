"""One spelling for what the API server reads as equal. tests/plugins compares the same rules with a real server."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.plugins.kubernetes.normalise import normalised
from embedded.plugins.kubernetes.properties import UNKNOWN
from embedded.plugins.kubernetes.quantities import canonical


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.01", "10m"),
        ("1024Ki", "1Mi"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1500m", "1500m"),
        ("2000m", "2"),
        ("0.5Gi", "512Mi"),
        ("1.5Gi", "1536Mi"),
        ("128974848", "128974848"),
        ("129M", "129M"),
        ("1e3", "1e3"),
        ("12E6", "12E6"),
        ("12000E6", "12e9"),
        ("100e1", "1e3"),
        ("0", "0"),
        ("0Gi", "0"),
        ("-5Mi", "-5Mi"),
        ("+1", "+1"),
        (".5", "500m"),
        ("5.", "5."),
        ("7.0", "7"),
        ("0.5Ki", "512"),
        ("512Ki", "512Ki"),
        ("1023", "1023"),
        ("1u", "1u"),
        ("1000n", "1u"),
        ("0.0000000001", "1n"),
        ("1E", "1E"),
        ("garbage", "garbage"),
        ("1Zi", "1Zi"),
        ("", ""),
    ],
)
def test_quantities(text: str, wanted: str) -> None:
    assert canonical(text) == wanted


@given(st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,3})?(n|u|m||k|M|G|Ki|Mi|Gi|e[0-6])", fullmatch=True))
def test_a_canonical_quantity_stays(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


def test_string_data_becomes_data() -> None:
    """stringData wins over data, as on the server; base64 loses its line breaks."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "data": {"a": "b2xk", "b": "a2Vl\ncA=="},
        "stringData": {"a": "new"},
    }
    assert normalised(secret)["data"] == {"a": base64.b64encode(b"new").decode(), "b": "a2Vl\ncA=="}
    assert "stringData" not in normalised(secret)
    only = {"apiVersion": "v1", "kind": "Secret", "data": {"b": "a2Vl\ncA=="}}
    assert normalised(only)["data"] == {"b": "a2VlcA=="}


def test_quantities_of_every_place_in_a_workload() -> None:
    resources = {"requests": {"cpu": 1}, "limits": {"memory": "1024Ki"}}
    container = {"name": "c", "resources": resources}
    pod = {
        "containers": [container],
        "initContainers": [container],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "0.5Gi"}}],
        "overhead": {"cpu": "0.1"},
    }
    claim = {"spec": {"resources": {"requests": {"storage": "1024Mi"}}}}
    item = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "spec": {"template": {"spec": pod}, "volumeClaimTemplates": [claim]},
    }
    spec = normalised(item)["spec"]
    wanted = {"requests": {"cpu": "1"}, "limits": {"memory": "1Mi"}}
    assert [entry["resources"] for entry in spec["template"]["spec"]["containers"]] == [wanted]
    assert [entry["resources"] for entry in spec["template"]["spec"]["initContainers"]] == [wanted]
    assert spec["template"]["spec"]["volumes"][0]["emptyDir"] == {"sizeLimit": "512Mi"}
    assert spec["template"]["spec"]["overhead"] == {"cpu": "100m"}
    assert spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"] == {"storage": "1Gi"}


def test_custom_resources_and_unknown_values_are_left_alone() -> None:
    """The server of a custom resource keeps "0.5"; what is not known yet cannot be rewritten."""
    custom: dict[str, Any] = {
        "apiVersion": "example.com/v1",
        "kind": "Pod",
        "spec": {"resources": {"limits": {"cpu": "0.5"}}},
    }
    assert normalised(custom) == custom
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": UNKNOWN}}
    assert normalised(secret) == secret


def test_what_only_the_server_writes_is_dropped() -> None:
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n", "uid": "u", "resourceVersion": "1"}}
    assert normalised(item)["metadata"] == {"name": "n"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "spec": {"preserveUnknownFields": False},
        "status": {},
    }
    assert normalised(definition) == {"apiVersion": definition["apiVersion"], "kind": definition["kind"], "spec": {}}
