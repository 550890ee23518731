"""The life of a stack with the real engine and a real API server: everything that the facts page calls checked."""

from typing import Any

import pytest

from tests.apiserver import ApiServer
from tests.plugins.stacks import Stack
from tests.plugins.workloads import Workloads

pytestmark = [pytest.mark.pulumi, pytest.mark.spec("10.plugins")]


def config_map(space: str, name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": space, "name": name}, "data": data}


def deployment(
    space: str, name: str = "web", *, labels: dict[str, str] | None = None, mode: str = "one"
) -> dict[str, Any]:
    labels = labels or {"app": name}
    container = {
        "name": "web",
        "image": "localhost/none:1",
        "resources": {"requests": {"cpu": "0.01", "memory": "1024Ki"}},
        "env": [{"name": "MODE", "value": mode}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": space, "name": name}, "spec": spec}


def test_first_up_no_change_refresh_and_destroy(stack: Stack, api_server: ApiServer, space: str) -> None:
    """Quantities in another spelling are no change, and a refresh of an untouched cluster finds none."""
    path = f"/apis/apps/v1/namespaces/{space}/deployments/web"
    stack.declare(
        {"resource": "web", "object": deployment(space)},
        {"resource": "settings", "object": config_map(space, mode="a")},
    )
    stack.up().ok()
    requests = api_server.request("GET", path)["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    assert requests == {"cpu": "10m", "memory": "1Mi"}
    stack.up("--expect-no-changes").ok()
    stack.refresh("--expect-no-changes").ok()
    stack.up("--expect-no-changes").ok()
    stack.destroy().ok()
    assert not api_server.exists(path)


def test_a_changed_variable_updates_and_a_changed_selector_replaces(stack: Stack, space: str) -> None:
    """Nested detailed diff, applied by a saved plan; delete before replace, because the name stays."""
    stack.declare({"resource": "web", "object": deployment(space)})
    stack.up().ok()
    stack.declare({"resource": "web", "object": deployment(space, mode="two")})
    shown = stack.preview("--save-plan", "plan.json").ok().text
    assert '~ value: "one" => "two"' in shown
    assert "~ 1 to update" in shown
    stack.up("--plan", "plan.json").ok()
    stack.declare({"resource": "web", "object": deployment(space, mode="two", labels={"app": "other"})})
    shown = stack.preview().ok().text
    assert "+-1 to replace" in shown
    shown = stack.up().ok().text
    assert shown.index("web deleting original") < shown.index("web creating replacement")
    assert stack.resources()["web"]["outputs"]["spec"]["selector"] == {"matchLabels": {"app": "other"}}
    stack.destroy().ok()


def test_data_of_config_maps_replaces_unless_mutable(stack: Stack, api_server: ApiServer, space: str) -> None:
    """As the official provider: replaced by default, updated in place with enableConfigMapMutable, never when immutable."""
    path = f"/api/v1/namespaces/{space}/configmaps/settings"
    stack.declare({"resource": "settings", "object": config_map(space, mode="one")})
    stack.up().ok()
    first = api_server.request("GET", path)["metadata"]["uid"]
    stack.declare({"resource": "settings", "object": config_map(space, mode="two")})
    assert "+-1 replaced" in stack.up().ok().text
    second = api_server.request("GET", path)
    assert (second["metadata"]["uid"] != first, second["data"]) == (True, {"mode": "two"})
    stack.configure(enableConfigMapMutable="true")
    stack.declare({"resource": "settings", "object": config_map(space, mode="three")})
    assert "~ 1 updated" in stack.up().ok().text
    third = api_server.request("GET", path)
    assert (third["metadata"]["uid"], third["data"]) == (second["metadata"]["uid"], {"mode": "three"})
    stack.declare({"resource": "settings", "object": {**config_map(space, mode="three"), "immutable": True}})
    stack.up().ok()
    stack.declare({"resource": "settings", "object": {**config_map(space, mode="four"), "immutable": True}})
    assert "+-1 replaced" in stack.up().ok().text
    stack.destroy().ok()


def test_edits_by_kubectl_are_found_by_refresh_and_repaired(stack: Stack, api_server: ApiServer, space: str) -> None:
    """A plain preview sees nothing, refresh does, up repairs; a deleted object is made again."""
    settings, web = (
        f"/api/v1/namespaces/{space}/configmaps/settings",
        f"/apis/apps/v1/namespaces/{space}/deployments/web",
    )
    other = f"/api/v1/namespaces/{space}/configmaps/other"
    stack.configure(enableConfigMapMutable="true")
    stack.declare(
        {"resource": "web", "object": deployment(space)},
        {"resource": "settings", "object": config_map(space, mode="a", keep="k")},
        {"resource": "other", "object": config_map(space, "other", mode="a")},
    )
    stack.up().ok()
    api_server.merge(settings, {"data": {"mode": "edited", "added": "by hand"}}, "kubectl-edit")
    api_server.merge(web, {"spec": {"replicas": 3}}, "kubectl-patch")
    api_server.request("DELETE", other)
    stack.preview("--expect-no-changes").ok()
    stack.refresh().ok()
    shown = stack.preview().ok().text
    assert '~ mode: "edited" => "a"' in shown
    assert "~ replicas: 3 => 1" in shown
    assert "+ 1 to create" in shown
    stack.up().ok()
    assert api_server.request("GET", settings)["data"] == {"mode": "a", "keep": "k"}
    assert api_server.request("GET", web)["spec"]["replicas"] == 1
    assert api_server.exists(other)
    stack.up("--expect-no-changes").ok()
    stack.destroy().ok()


def test_a_field_of_another_manager_is_a_conflict_unless_forced(
    stack: Stack, api_server: ApiServer, space: str
) -> None:
    """Nothing is overwritten that a controller owns; patchForce takes it."""
    path = f"/api/v1/namespaces/{space}/configmaps/settings"
    stack.configure(enableConfigMapMutable="true")
    stack.declare({"resource": "settings", "object": config_map(space, mode="a")})
    stack.up().ok()
    api_server.merge(path, {"data": {"mode": "theirs"}}, "some-controller")
    stack.declare({"resource": "settings", "object": config_map(space, mode="b")})
    stack.up().failed("some-controller", "pulumi.com/patchForce")
    assert api_server.request("GET", path)["data"] == {"mode": "theirs"}
    forced = config_map(space, mode="b")
    forced["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
    stack.declare({"resource": "settings", "object": forced})
    stack.up().ok()
    live = api_server.request("GET", path)
    assert live["data"] == {"mode": "b"}
    managers = {(entry["manager"], entry["operation"]) for entry in live["metadata"]["managedFields"]}
    own = stack.resources()["settings"]["outputs"]["__fieldManager"]
    assert own.startswith("pulumi-kubernetes-")
    assert (own, "Apply") in managers
    assert ("pulumi-kubernetes", "Update") not in managers
    stack.destroy().ok()


def test_what_a_controller_adds_is_no_drift(stack: Stack, api_server: ApiServer, space: str) -> None:
    """caBundle, status, labels and list elements of others stay through refresh and update, and are never shown."""
    path = f"/apis/apps/v1/namespaces/{space}/deployments/web"
    hook: dict[str, Any] = {
        "name": "a.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
    }
    hook["clientConfig"] = {"service": {"namespace": space, "name": "none"}}
    webhook: dict[str, Any] = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": f"{space}-hooks"},
        "webhooks": [hook],
    }
    stack.declare({"resource": "web", "object": deployment(space)}, {"resource": "hooks", "object": webhook})
    stack.up().ok()
    hooks = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{space}-hooks"
    bundle: dict[str, Any] = {"name": "a.example.com", "clientConfig": {"caBundle": "TFMwdExTMUNSVWRKVGc9PQ=="}}
    query = "?fieldManager=nginx-mesh&force=true"
    body = {"apiVersion": webhook["apiVersion"], "kind": webhook["kind"], "webhooks": [bundle]}
    api_server.request("PATCH", hooks + query, body, "application/apply-patch+yaml")
    sidecar = {"name": "injected", "image": "localhost/sidecar:1"}
    template = {"metadata": {"labels": {"theirs": "yes"}}, "spec": {"containers": [sidecar]}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": template}}
    api_server.request("PATCH", path + query, body, "application/apply-patch+yaml")
    stack.refresh().ok()
    stack.up("--expect-no-changes").ok()
    stack.declare(
        {"resource": "web", "object": deployment(space, mode="two")}, {"resource": "hooks", "object": webhook}
    )
    stack.up().ok()
    pod = api_server.request("GET", path)["spec"]["template"]
    assert {container["name"] for container in pod["spec"]["containers"]} == {"web", "injected"}
    assert pod["metadata"]["labels"] == {"app": "web", "theirs": "yes"}
    assert (
        api_server.request("GET", hooks)["webhooks"][0]["clientConfig"]["caBundle"]
        == bundle["clientConfig"]["caBundle"]
    )
    stack.destroy().ok()


def test_state_has_the_official_fields(stack: Stack, api_server: ApiServer, space: str) -> None:
    """Live object, __inputs, __initialApiVersion and __fieldManager; inputs are normalised before they reach the state."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": space},
        "stringData": {"k": "v"},
    }
    unplaced = deployment(space, "placed")
    stack.declare({"resource": "secret", "object": secret}, {"resource": "web", "object": unplaced})
    stack.up().ok()
    found = stack.resources()
    assert found["secret"]["inputs"] == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": space},
        "data": {"k": "dg=="},
    }
    web = found["web"]
    assert web["id"] == f"{space}/placed"
    assert web["inputs"]["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] == {
        "cpu": "10m",
        "memory": "1Mi",
    }
    outputs = dict(web["outputs"])
    assert outputs.pop("__inputs") == web["inputs"]
    assert outputs.pop("__initialApiVersion") == "apps/v1"
    assert outputs.pop("__fieldManager").startswith("pulumi-kubernetes-")
    live = api_server.request("GET", f"/apis/apps/v1/namespaces/{space}/deployments/placed")
    assert outputs == live
    stack.destroy().ok()


def test_a_bad_object_is_refused_in_the_preview(stack: Stack, space: str) -> None:
    """The server's dry run judges creates and updates before anything changes; unknown members are no silent loss."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": space}}
    good, bad = ({**service, "spec": {"ports": [{"port": port}]}} for port in (80, 800000))
    stack.declare({"resource": "s", "object": bad})
    stack.preview().failed("800000", "must be between 1 and 65535")
    stack.declare({"resource": "s", "object": good})
    stack.up().ok()
    stack.declare({"resource": "s", "object": bad})
    stack.preview().failed("800000")
    odd: dict[str, Any] = {
        **config_map(space, "odd"),
        "metadata": {"name": "odd", "namespace": space, "lables": {"a": "b"}},
    }
    stack.declare({"resource": "s", "object": good}, {"resource": "odd", "object": odd})
    stack.preview().failed("lables")
    stack.destroy().ok()


def test_a_failed_rollout_keeps_the_object_and_the_reasons(
    stack: Stack, api_server: ApiServer, workloads: Workloads, space: str
) -> None:
    """The state holds the object with the pods' reasons; the next up repairs it."""
    workloads.hold.add("stuck")
    pod = {
        "metadata": {"name": "stuck-pod", "namespace": space, "labels": {"app": "stuck"}},
        "spec": {"containers": [{"name": "web", "image": "localhost/none:1"}]},
    }
    workloads.hold.add("stuck-pod")
    api_server.request("POST", f"/api/v1/namespaces/{space}/pods", pod)
    waiting = {"waiting": {"reason": "ErrImageNeverPull", "message": "no such image"}}
    status = {
        "containerStatuses": [
            {"name": "web", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}
        ]
    }
    api_server.merge(f"/api/v1/namespaces/{space}/pods/stuck-pod", {"status": status}, subresource="status")
    stack.declare({"resource": "web", "object": deployment(space, "stuck"), "options": {"timeout": "2s"}})
    stack.up().failed("not ready after 2 s", "ErrImageNeverPull: no such image")
    exported = stack.export()["deployment"]["resources"]
    [entry] = [item for item in exported if item["type"].endswith(":Deployment")]
    assert entry["id"] == f"{space}/stuck"
    assert any("ErrImageNeverPull" in reason for reason in entry["initErrors"])
    workloads.release("stuck")
    assert "~ 1 updated" in stack.up().ok().text
    stack.up("--expect-no-changes").ok()
    stack.destroy().ok()


def test_refresh_tells_what_is_not_ready(stack: Stack, api_server: ApiServer, workloads: Workloads, space: str) -> None:
    stack.declare({"resource": "web", "object": deployment(space, "shaky")})
    stack.up().ok()
    workloads.hold.add("shaky")
    path = f"/apis/apps/v1/namespaces/{space}/deployments/shaky"
    api_server.merge(path, {"status": {"availableReplicas": 0, "readyReplicas": 0}}, "workloads", subresource="status")
    child = stack.start("refresh", "--yes", "--skip-preview")
    text, _ = child.communicate(timeout=60)
    assert "0 are available" in text
    workloads.release("shaky")
    stack.up().ok()
    stack.destroy().ok()
