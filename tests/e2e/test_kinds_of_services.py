"""Every kind of Service on a real cluster, with identities and a policy (contract 6.external-name, 6.by-hand, 6.headless, 6.endpoints)."""

from collections.abc import Iterator
from typing import Any

import pytest

from mesh.api import names
from samples.kubectl import KubectlError
from tests.e2e.apps import App
from tests.e2e.eventually import eventually
from tests.e2e.mesh_under_test import MeshUnderTest, address, bodies

HTTP, TCP = 8080, 9000


@pytest.fixture(scope="module")
def place(mesh: MeshUnderTest) -> Iterator[str]:
    """A strict server behind Services of every kind, a caller that may call it, and one that may not."""
    name = "e2e-kinds-of-services"
    strict = {names.ANNOTATION_MTLS_MODE: "strict"}
    mesh.create(
        name,
        App("server", mesh.image, (HTTP,), {"plain": (80, HTTP)}, tcp_ports=(TCP,), annotations=strict),
        App("caller", mesh.image, (HTTP,), annotations=strict),
        App("intruder", mesh.image, (HTTP,)),
    )
    server = mesh.pod(name, "server")
    mesh.kubectl.apply(
        service(name, "alias", type="ExternalName", externalName=f"plain.{name}.svc.cluster.local"),
        service(name, "by-hand", ports=[port(80, HTTP)]),
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "by-hand-1", "namespace": name, "labels": {"kubernetes.io/service-name": "by-hand"}},
            "addressType": "IPv4",
            "ports": [{"name": "http-80", "port": HTTP, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address(server)], "conditions": {"ready": True}}],
        },
        service(name, "named", selector={"app": "server"}, ports=[port(80, f"http-{HTTP}")]),
        service(name, "several", selector={"app": "server"}, ports=[port(80, HTTP), port(81, HTTP), port(82, HTTP)]),
        service(name, "headless", selector={"app": "server"}, clusterIP="None", ports=[port(HTTP, HTTP)]),
        {
            "apiVersion": "access.smi-spec.io/v1alpha2",
            "kind": "TrafficTarget",
            "metadata": {"name": "server", "namespace": name},
            "spec": {
                "destination": {"kind": "ServiceAccount", "name": "server", "namespace": name},
                "sources": [{"kind": "ServiceAccount", "name": "caller", "namespace": name}],
            },
        },
    )
    mesh.wait_synced()
    yield name
    mesh.kubectl.run("delete", "namespace", name, "--wait=false")


def service(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def port(number: int, target: int | str) -> dict[str, Any]:
    return {"name": f"http-{number}", "port": number, "targetPort": target}


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("alias", marks=pytest.mark.spec("6.external-name")),
        pytest.param("by-hand", marks=pytest.mark.spec("6.by-hand")),
        pytest.param("named", marks=pytest.mark.spec("6.endpoints")),
        pytest.param("several", marks=pytest.mark.spec("6.endpoints")),
        pytest.param("several:81", marks=pytest.mark.spec("6.endpoints")),
        pytest.param("several:82", marks=pytest.mark.spec("6.endpoints")),
        pytest.param(f"headless:{HTTP}", marks=pytest.mark.spec("6.headless")),
    ],
)
@pytest.mark.spec("3.mtls", "7.access")
def test_calls_by_each_kind_of_service(mesh: MeshUnderTest, place: str, host: str) -> None:
    """Between strict pods, so by mutual TLS alone: the server learns who calls, and the policy lets nobody else in."""

    def answers() -> list[dict[str, Any]]:
        # DNS and slices come a moment after their objects.
        return mesh.call(place, "caller", *[f"http://{host}/"] * 3)

    eventually(lambda: all(answer["status"] == 200 for answer in answers()), 30, f"calls to {host}")
    for body in bodies(answers()):
        assert body["server"] == "server"
        assert body["headers"]["X-Mesh-Peer-Identity"] == f"spiffe://example.org/ns/{place}/sa/caller"
    refused = mesh.call(place, "intruder", *[f"http://{host}/"] * 3)
    assert [answer["status"] for answer in refused] == [403] * 3, refused


@pytest.mark.spec("7.split", "7.parse")
def test_a_split_that_gives_nobody_anything_is_refused(mesh: MeshUnderTest, place: str) -> None:
    """By the webhook, before it counts: which field, what was got, what it takes."""
    split = {
        "apiVersion": "split.smi-spec.io/v1alpha3",
        "kind": "TrafficSplit",
        "metadata": {"name": "nobody", "namespace": place},
        "spec": {"service": "plain", "backends": [{"service": name, "weight": 0} for name in ("plain", "named")]},
    }
    with pytest.raises(KubectlError) as refusal:
        mesh.kubectl.apply(split)
    assert "spec.backends" in str(refusal.value)
    assert "weight" in str(refusal.value)
    assert mesh.kubectl.get("trafficsplits", "-n", place)["items"] == []


@pytest.mark.spec("5.object-annotations")
def test_a_wrong_annotation_is_refused_where_it_is_written(mesh: MeshUnderTest, place: str) -> None:
    """On a Service, on a Namespace, in a pod's template by its pods; the words name annotation, value and what it takes."""
    wrong = {
        ("service", "plain", names.ANNOTATION_RETRIES): "1e3",
        ("namespace", place, names.ANNOTATION_EGRESS_SCOPE): "80,,81",
        ("service", "plain", names.ANNOTATION_LB_METHOD): "fair",
    }
    for (kind, name, annotation), value in wrong.items():
        with pytest.raises(KubectlError) as refusal:
            mesh.kubectl.run("-n", place, "annotate", kind, name, f"{annotation}={value}")
        assert f"annotation {annotation}: got " in str(refusal.value)
        assert f'"{value}", takes ' in str(refusal.value)
