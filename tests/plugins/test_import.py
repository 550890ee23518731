"""Taking in objects that were made by others, and giving them back."""

from typing import Any

import pytest

from tests.apiserver import ApiServer
from tests.plugins.stacks import Stack
from tests.plugins.test_life import config_map, deployment

pytestmark = pytest.mark.pulumi


def test_objects_are_imported_by_the_command_line_and_by_the_program(
    stack: Stack, api_server: ApiServer, space: str
) -> None:
    """Nothing in the cluster changes, the state equals the live object, and the next up finds no change."""
    web, settings = deployment(space), config_map(space, mode="a")
    api_server.request("POST", f"/apis/apps/v1/namespaces/{space}/deployments?fieldManager=kubectl-create", web)
    api_server.request("POST", f"/api/v1/namespaces/{space}/configmaps", settings)
    path = f"/apis/apps/v1/namespaces/{space}/deployments/web"
    stack.pulumi(
        "import",
        "kubernetes:apps/v1:Deployment",
        "web",
        f"{space}/web",
        "--yes",
        "--generate-code=false",
        "--protect=false",
    ).ok()
    entry = stack.resources()["web"]
    live = api_server.request("GET", path)
    assert {key: value for key, value in entry["outputs"].items() if not key.startswith("__")} == live
    assert entry["inputs"]["spec"] == live["spec"]
    stack.declare(
        {"resource": "web", "object": {**web, "spec": live["spec"]}},
        {"resource": "settings", "object": settings, "options": {"import": f"{space}/settings"}},
    )
    stack.up().ok()
    stack.up("--expect-no-changes").ok()
    assert api_server.request("GET", path)["metadata"]["uid"] == live["metadata"]["uid"]
    stack.declare(
        {"resource": "web", "object": deployment(space, mode="two")}, {"resource": "settings", "object": settings}
    )
    stack.up().ok()
    changed: Any = api_server.request("GET", path)
    assert changed["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "MODE", "value": "two"}]
    stack.destroy().ok()


def test_an_object_that_exists_is_not_taken_over_in_silence(stack: Stack, api_server: ApiServer, space: str) -> None:
    """As the official 4.32: AlreadyExists with the ways out, unless upsertExistingObjects is set."""
    path = f"/api/v1/namespaces/{space}/configmaps"
    api_server.request("POST", path, config_map(space, theirs="yes"))
    stack.declare({"resource": "settings", "object": config_map(space, ours="yes")})
    stack.up().failed("already exists", f"pulumi import kubernetes:core/v1:ConfigMap NAME {space}/settings")
    assert api_server.request("GET", f"{path}/settings")["data"] == {"theirs": "yes"}
    stack.configure(upsertExistingObjects="true")
    stack.up().ok()
    assert api_server.request("GET", f"{path}/settings")["data"] == {"theirs": "yes", "ours": "yes"}
    stack.destroy().ok()


def test_names_are_made_kept_and_renewed(stack: Stack, api_server: ApiServer, space: str) -> None:
    """Autonaming: name-<8 hex>, kept by updates, a new one first on replacement; generateName is refused."""
    unnamed: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": space},
        "data": {"a": "1"},
    }
    stack.declare({"resource": "auto", "object": unnamed})
    stack.up().ok()
    first = stack.resources()["auto"]["outputs"]["metadata"]["name"]
    assert first.startswith("auto-")
    assert len(first) == len("auto-") + 8
    stack.up("--expect-no-changes").ok()
    stack.declare({"resource": "auto", "object": {**unnamed, "data": {"a": "2"}}})
    shown = stack.up().ok().text
    assert shown.index("auto creating replacement") < shown.index("auto deleting original")
    second = stack.resources()["auto"]["outputs"]["metadata"]["name"]
    assert second != first
    assert not api_server.exists(f"/api/v1/namespaces/{space}/configmaps/{first}")
    stack.declare(
        {"resource": "auto", "object": {**unnamed, "metadata": {"namespace": space, "generateName": "auto-"}}}
    )
    stack.preview().failed("generateName")
    stack.destroy().ok()
