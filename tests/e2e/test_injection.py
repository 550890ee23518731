"""What may be created, and what is refused, by the webhook and by meshctl (contract 5)."""

import json
from typing import Any

import pytest

from mesh.api import names
from samples.kubectl import KubectlError
from tests.e2e.apps import App, namespace_object
from tests.e2e.mesh_under_test import MeshUnderTest, bodies


def pod_object(mesh: MeshUnderTest, namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "app", "image": mesh.image, "args": ["server", "--port", "8080"], **spec.pop("container", {})}
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": spec.pop("labels", {}),
        "annotations": spec.pop("annotations", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": [container],
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            **spec,
        },
    }


@pytest.mark.spec("5.refused")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"container": {"ports": [{"containerPort": 80, "protocol": "SCTP"}]}}, "SCTP"),
        ({"annotations": {names.ANNOTATION_IGNORE_INCOMING_PORTS: "80,none"}}, "ports from 1 to 65535"),
        ({"annotations": {names.ANNOTATION_MTLS_MODE: "maybe"}}, "off, permissive, strict"),
        ({"hostNetwork": True}, "hostNetwork"),
    ],
    ids=["SCTP", "ports", "mode", "host network"],
)
def test_what_cannot_work_is_refused_with_the_reason(
    mesh: MeshUnderTest, namespace: str, change: dict[str, Any], reason: str
) -> None:
    mesh.kubectl.apply(namespace_object(namespace, injected=True))
    with pytest.raises(KubectlError, match=reason):
        mesh.kubectl.apply(pod_object(mesh, namespace, "refused", **change))


@pytest.mark.spec("5.labels")
def test_the_pods_label_wins(mesh: MeshUnderTest, namespace: str, outside: str) -> None:
    mesh.kubectl.apply(namespace_object(namespace, injected=True), namespace_object(outside, injected=False))
    for place, value in ((namespace, names.AUTO_INJECT_DISABLED), (outside, names.AUTO_INJECT_ENABLED)):
        mesh.kubectl.apply(pod_object(mesh, place, "own-will", labels={names.LABEL_AUTO_INJECT: value}))
    assert not has_sidecar(mesh, namespace, "own-will")
    assert has_sidecar(mesh, outside, "own-will")


def has_sidecar(mesh: MeshUnderTest, namespace: str, name: str) -> bool:
    pod = mesh.kubectl.get("pod", name, "-n", namespace)
    return any(row["name"] == names.SIDECAR for row in pod["spec"].get("initContainers") or [])


@pytest.mark.spec("5.manual")
def test_a_manually_injected_workload_is_a_member(mesh: MeshUnderTest, namespace: str, outside: str) -> None:
    """`meshctl inject` in a namespace without the label gives the same member of the mesh as the webhook does."""
    mesh.create(namespace, App("web", mesh.image, (8080,), {"web": (80, 8080)}))
    mesh.kubectl.apply(namespace_object(outside, injected=False))
    caller = App("caller", mesh.image, (8080,))
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": caller.objects(outside)})
    result = mesh.meshctl("inject", given=manifest)
    assert result.returncode == 0, result.stderr
    mesh.kubectl.run("apply", "-f", "-", given=result.stdout)
    mesh.kubectl.rollout(outside, "deployment/caller", 90)
    [body] = bodies(mesh.call(outside, "caller", f"http://web.{namespace}/"))
    assert body["headers"]["X-Mesh-Peer-Identity"] == f"spiffe://example.org/ns/{outside}/sa/caller"
