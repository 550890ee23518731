"""Watches against a real API server, also while it is away (design 8; contract 2.recovery)."""

from typing import Any

import msgspec
import pytest

from mesh.kube import kinds, objects
from mesh.kube.client import Client
from mesh.kube.kinds import Kind
from mesh.kube.watch import Event
from tests.apiserver import ApiServer
from tests.contract.kube.follow import following, lists, state
from tests.fakes.eventually import eventually


def config_map(name: str, value: str = "1") -> dict[str, object]:
    return {"metadata": {"name": name}, "data": {"key": value}}


def data(events: list[Event[Any]], name: str) -> str:
    wire = state(events).get(name)
    return str(wire.data["key"]) if wire else ""


async def test_everything_that_happens_is_seen(client: Client, api_server: ApiServer, namespace: str) -> None:
    """What was there, what comes, changes and goes; in one list and one watch."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api_server.request("POST", path, config_map("before"))
    async with following(client, kinds.CONFIG_MAPS, namespace) as events:
        await eventually(lambda: "before" in state(events), "the list")
        api_server.request("POST", path, config_map("later"))
        await eventually(lambda: data(events, "later") == "1", "the new object")
        api_server.merge(f"{path}/later", {"data": {"key": "2"}})
        await eventually(lambda: data(events, "later") == "2", "the changed object")
        api_server.request("DELETE", f"{path}/before")
        await eventually(lambda: "before" not in state(events), "the removal")
        assert lists(events) == 1


async def test_long_lists_come_in_pages(client: Client, api_server: ApiServer, namespace: str) -> None:
    """More objects than one page has are all there."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for number in range(520):
        api_server.request("POST", path, config_map(f"row-{number}"))
    async with following(client, kinds.CONFIG_MAPS, namespace) as events:
        await eventually(lambda: len(state(events)) >= 520, "every page")


async def test_an_outage_of_the_api_server_loses_nothing(client: Client, api_server: ApiServer, namespace: str) -> None:
    """The watch finds its way back by itself, and goes on where it was."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api_server.request("POST", path, config_map("kept"))
    async with following(client, kinds.CONFIG_MAPS, namespace) as events:
        await eventually(lambda: "kept" in state(events), "the list")
        api_server.stop_api_server()
        api_server.start_api_server()
        api_server.request("POST", path, config_map("after"))
        await eventually(lambda: "after" in state(events), "what came after the outage", 30)
        assert "kept" in state(events)


async def test_pods_are_pruned_to_what_the_mesh_reads(client: Client, api_server: ApiServer, namespace: str) -> None:
    """A finished pod has no address and no group any more."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    manifest = {
        "metadata": {
            "name": "web",
            "labels": {"app": "web", "injector.nsm.nginx.com/status": "injected"},
            "annotations": {"injector.nsm.nginx.com/group": "0123456789abcdef", "other.example/x": "1"},
        },
        "spec": {
            "serviceAccountName": "web",
            "containers": [
                {"name": "app", "image": "a:1", "ports": [{"containerPort": 8080, "name": "http"}]},
                {"name": "nginx-mesh-sidecar", "image": "s:1", "ports": [{"containerPort": 8887}]},
            ],
        },
    }
    api_server.request("POST", path, manifest)
    async with following(client, kinds.PODS, namespace) as events:
        running = {
            "status": {"phase": "Running", "podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]}
        }
        api_server.merge(f"{path}/web", running, subresource="status")
        await eventually(lambda: state(events).get("web") and state(events)["web"].addresses, "the addresses")
        pod = state(events)["web"]
        assert (pod.addresses, pod.group, pod.service_account) == (("10.1.0.1", "fd00::1"), "0123456789abcdef", "web")
        assert [(port.number, port.name) for port in pod.ports] == [(8080, "http")]
        assert pod.annotations == {"injector.nsm.nginx.com/group": "0123456789abcdef"}
        api_server.merge(f"{path}/web", {"status": {"phase": "Succeeded"}}, subresource="status")
        await eventually(lambda: not state(events)["web"].addresses, "the end")
        assert state(events)["web"].group == ""


async def test_services_and_their_slices(client: Client, api_server: ApiServer, namespace: str) -> None:
    """Cluster IPs, named targets and endpoints come as the model has them; an ExternalName is no Service."""
    path = f"/api/v1/namespaces/{namespace}"
    ports = [
        {"name": "http", "port": 80, "targetPort": "web", "appProtocol": "http"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]
    api_server.request(
        "POST", f"{path}/services", {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
    )
    api_server.request(
        "POST",
        f"{path}/services",
        {"metadata": {"name": "out"}, "spec": {"type": "ExternalName", "externalName": "x.example"}},
    )
    api_server.request(
        "POST",
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        {
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "name": "web-0"}},
                {"addresses": ["10.1.0.2"], "conditions": {"ready": False, "terminating": True}},
            ],
            "ports": [{"name": "http", "port": 8080}],
        },
    )
    async with (
        following(client, kinds.SERVICES, namespace) as services,
        following(client, kinds.ENDPOINT_SLICES, namespace) as slices,
    ):
        await eventually(lambda: "web" in state(services) and "web-1" in state(slices), "both")
        assert "out" not in state(services)
        service = state(services)["web"]
        assert [(row.port, row.target, row.transport, row.app_protocol) for row in service.ports] == [
            (80, "web", "TCP", "http"),
            (53, 53, "UDP", ""),
        ]
        assert service.addresses
        assert service.selector == {"app": "web"}
        endpoints = state(slices)["web-1"].endpoints
        assert [(row.addresses, row.pod, row.ready) for row in endpoints] == [
            (("10.1.0.1",), "web-0", True),
            (("10.1.0.2",), "", False),
        ]
        assert state(slices)["web-1"].ports == (("http", "TCP", 8080),)


class WholeNode(msgspec.Struct):
    """A Node as it comes when nobody asks for its metadata alone."""

    metadata: objects.Meta
    status: dict[str, Any] | None = None


@pytest.mark.spec("6.zones")
async def test_nodes_are_their_zones(client: Client, api_server: ApiServer) -> None:
    """One without a zone does not matter; of the others nothing but metadata travels, listed or watched."""
    only_metadata: Kind[WholeNode, bool] = Kind(
        "Node", "/api/v1", "nodes", WholeNode, lambda wire: wire.status is None, metadata_only=kinds.NODES.metadata_only
    )
    async with following(client, kinds.NODES, "") as events:
        await eventually(lambda: lists(events) == 1, "a list without Nodes")
    for name, labels in (("zoned", {"topology.kubernetes.io/zone": "a"}), ("nowhere", {})):
        api_server.request("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})
    async with following(client, kinds.NODES, "") as events, following(client, only_metadata, "") as whole:
        await eventually(lambda: state(events).get("zoned") == "a" and "zoned" in state(whole), "the zone")
        assert "nowhere" not in state(events)
        assert set(state(whole).values()) == {True}
        api_server.merge("/api/v1/nodes/zoned", {"metadata": {"labels": {"topology.kubernetes.io/zone": "b"}}})
        await eventually(lambda: state(events).get("zoned") == "b" and len(whole) > 1, "the other zone")
        assert set(state(whole).values()) == {True}
    for name in ("zoned", "nowhere"):
        api_server.request("DELETE", f"/api/v1/nodes/{name}")
