"""No secret lies in the state in clear, whichever way it came there, and none is printed."""

import base64
from typing import Any

import pytest

from tests.apiserver import ApiServer
from tests.plugins.stacks import Stack
from tests.plugins.test_life import config_map

pytestmark = [pytest.mark.pulumi, pytest.mark.spec("10.state-encrypted")]

CANARY = "k4n4ry-plaintext"
DRIFTED = "k4n4ry-drifted"
IMPORTED = "k4n4ry-imported"
REFUSED = "k4n4ry refused"


def spellings(*texts: str) -> list[str]:
    """A text, and its base64 at every offset of the four-character groups."""
    found = []
    for text in texts:
        found.append(text)
        for lead in range(3):
            encoded = base64.b64encode(b" " * lead + text.encode()).decode()
            found.append(encoded[4:-4] if lead else encoded[:-4])
    return found


def assert_hidden(stack: Stack, *outputs: str) -> None:
    places = {"the state": stack.raw_files(), **{f"output {i}": text for i, text in enumerate(outputs)}}
    for place, text in places.items():
        for spelling in spellings(CANARY, DRIFTED, IMPORTED, REFUSED):
            assert spelling not in text, f"{spelling} is in {place}"


def secret(space: str, name: str, text: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": space},
        "type": "Opaque",
        "data": {"token": base64.b64encode(text.encode()).decode()},
    }


def test_secrets_stay_hidden(stack: Stack, api_server: ApiServer, space: str) -> None:
    """Secret data, a secret annotation, a secret in an array, in a ConfigMap; created, drifted, imported, refused."""
    annotated = config_map(space, "annotated", plain="visible", hidden=CANARY)
    annotated["metadata"]["annotations"] = {"example.com/password": CANARY}
    container = {"name": "c", "image": "localhost/none:1", "env": [{"name": "PASSWORD", "value": CANARY}]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": space},
        "spec": {"containers": [container]},
    }
    entries: list[dict[str, Any]] = [
        {"resource": "s", "object": secret(space, "s", CANARY)},
        {
            "resource": "annotated",
            "object": annotated,
            "secrets": [["metadata", "annotations", "example.com/password"], ["data", "hidden"]],
        },
        {"resource": "p", "object": pod, "secrets": [["spec", "containers", 0, "env", 0, "value"]]},
    ]
    stack.declare(*entries)
    shown = stack.preview().ok().text
    made = stack.up().ok().text
    assert_hidden(stack, shown, made)
    live = api_server.request("GET", f"/api/v1/namespaces/{space}/configmaps/annotated")
    assert live["data"]["hidden"] == CANARY
    assert '"plain": "visible"' in stack.raw_files().replace('":"', '": "')

    drifted = {"data": {"token": base64.b64encode(DRIFTED.encode()).decode()}}
    api_server.merge(f"/api/v1/namespaces/{space}/secrets/s", drifted, "kubectl-edit")
    refreshed = stack.pulumi("refresh", "--yes", "--diff").ok().text
    assert_hidden(stack, refreshed)

    api_server.request("POST", f"/api/v1/namespaces/{space}/secrets", secret(space, "foreign", IMPORTED))
    token = "kubernetes:core/v1:Secret"
    imported = stack.pulumi(
        "import", token, "foreign", f"{space}/foreign", "--yes", "--generate-code=false", "--protect=false"
    )
    assert_hidden(stack, imported.ok().text)
    assert stack.resources()["foreign"]["outputs"]["data"] == secret(space, "foreign", IMPORTED)["data"]

    bad = {**container, "name": "b", "ports": [{"containerPort": 80, "name": REFUSED}]}
    pod["metadata"]["name"] = "bad"  # type: ignore[index]
    pod["spec"]["containers"] = [bad]  # type: ignore[index]
    stack.declare(
        *entries[:2], {"resource": "bad", "object": pod, "secrets": [["spec", "containers", 0, "ports", 0, "name"]]}
    )
    refused = stack.preview().failed("[secret]").text
    assert_hidden(stack, refused)
    stack.destroy().ok()
