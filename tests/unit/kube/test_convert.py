"""From objects as the API server has them to the model (contract 6.endpoints, 6.external-name)."""

from typing import Any

import msgspec
import pytest

from mesh.api.policy import Policy
from mesh.api.rate_limit import RATE_LIMIT
from mesh.api.tcp_route import TCP_ROUTE
from mesh.api.traffic_target import TRAFFIC_TARGET
from mesh.kube import convert, objects
from mesh.model.snapshot import ContainerPort, FaultyPolicy, Service, SliceEndpoint
from mesh.model.topology import Hints


def service(status: dict[str, Any] | None = None, **spec: Any) -> Service | None:
    """What becomes of a Service web with one port."""
    document = {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "annotations": {"config.nsm.nginx.com/retries": "2", "a": "b"},
        },
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], "clusterIPs": ["10.0.0.1"], **spec},
        "status": status or {},
    }
    return convert.service(msgspec.convert(document, objects.ServiceObject))


def endpoints(**endpoint: Any) -> tuple[SliceEndpoint, ...]:
    """The endpoints of a slice with one."""
    document = {
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"], **endpoint}],
        "ports": [{"port": 8080}],
    }
    found = convert.endpoint_slice(msgspec.convert(document, objects.EndpointSliceObject))
    assert found is not None
    return found.endpoints


@pytest.mark.spec("6.external-name")
def test_an_external_name_is_no_service() -> None:
    """Whatever else is left in it: it is a DNS record, and its calls go where the name leads."""
    assert service(type="ExternalName", externalName="db.example") is None


@pytest.mark.spec("6.external-addresses")
@pytest.mark.parametrize("type_", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_only_cluster_addresses_are_a_services_own(type_: str) -> None:
    """External addresses and balancers' can be claimed by anybody who may write a Service."""
    balancer = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    found = service(balancer, type=type_, externalIPs=["10.0.0.9"], loadBalancerIP="203.0.113.7")
    assert found is not None
    assert found.addresses == ("10.0.0.1",)


@pytest.mark.spec("6.headless")
@pytest.mark.parametrize("cluster_ips", [["None"], [""], None])
def test_a_headless_service_has_no_address(cluster_ips: list[str] | None) -> None:
    found = service(clusterIPs=cluster_ips)
    assert found is not None
    assert found.is_headless


@pytest.mark.spec("6.requests")
def test_only_the_meshs_annotations_of_a_service_are_kept() -> None:
    """A change of others is none."""
    found = service()
    assert found is not None
    assert found.annotations == {"config.nsm.nginx.com/retries": "2"}


@pytest.mark.spec("6.endpoints")
@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ({}, True),
        ({"ready": True, "serving": True, "terminating": False}, True),
        ({"ready": False, "serving": False, "terminating": False}, False),
        ({"ready": False, "serving": True, "terminating": True}, False),
        # Of a Service with publishNotReadyAddresses:
        ({"ready": True, "serving": False, "terminating": True}, True),
    ],
)
def test_the_slice_says_who_is_ready(conditions: dict[str, bool], ready: bool) -> None:
    """Also where the Service publishes addresses that are not ready: Kubernetes calls those ready."""
    assert [row.ready for row in endpoints(conditions=conditions)] == [ready]


@pytest.mark.spec("6.by-hand")
@pytest.mark.parametrize(
    ("target", "pod"),
    [
        ({"kind": "Pod", "name": "web-0"}, "web-0"),
        ({"kind": "Pod", "name": "web-0", "namespace": "shop"}, "web-0"),
        ({"kind": "Pod", "name": "web-0", "namespace": "other"}, ""),
        ({"kind": "Node", "name": "web-0"}, ""),
        (None, ""),
    ],
)
def test_which_pod_stands_behind_an_endpoint(target: dict[str, str] | None, pod: str) -> None:
    """Only one of the slice's own namespace; of any other the address tells."""
    assert [row.pod for row in endpoints(targetRef=target)] == [pod]


@pytest.mark.spec("6.zones")
@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        (None, Hints()),
        ({}, Hints()),
        ({"forZones": [{"name": "b"}, {"name": "a"}]}, Hints(("a", "b"))),
        ({"forZones": [{"name": "a"}], "forNodes": [{"name": "node-1"}]}, Hints(("a",), ("node-1",))),
    ],
)
def test_hints_of_an_endpoint(hints: dict[str, Any] | None, expected: Hints) -> None:
    """In an order of their own, so that equal hints are equal."""
    assert [row.hints for row in endpoints(hints=hints)] == [expected]


@pytest.mark.spec("6.zones")
@pytest.mark.parametrize(
    ("labels", "zone"),
    [
        (None, None),
        ({}, None),
        ({"topology.kubernetes.io/zone": "a"}, "a"),
        ({"topology.kubernetes.io/zone": ""}, None),
    ],
)
def test_the_zone_of_a_node_is_its_label(labels: dict[str, str] | None, zone: str | None) -> None:
    node = msgspec.convert({"metadata": {"name": "node-1", "labels": labels}}, objects.NodeObject)
    assert convert.zone(node) == zone


@pytest.mark.spec("6.incoming")
def test_ports_are_in_the_order_in_which_kubernetes_looks_for_a_name() -> None:
    """Containers first, then those that start before them."""
    document = {
        "metadata": {"name": "web-0", "namespace": "shop"},
        "spec": {
            "initContainers": [
                {"name": "nginx-mesh-sidecar", "ports": [{"containerPort": 8887}]},
                {"name": "helper", "ports": [{"containerPort": 9090, "name": "web"}]},
            ],
            "containers": [{"name": "web", "ports": [{"containerPort": 8080, "name": "web"}]}],
        },
    }
    found = convert.pod(msgspec.convert(document, objects.PodObject))
    assert found.ports == (ContainerPort(8080, name="web"), ContainerPort(9090, name="web"))


META = {
    "name": "slow",
    "namespace": "shop",
    "uid": "u-1",
    "generation": 4,
    "creationTimestamp": "2026-01-02T03:04:05Z",
    "annotations": {"nsm.nginx.com/limit-status": "429", "other.example/x": "1"},
}
RATE: dict[str, Any] = {"name": "slow", "rate": "10r/s", "destination": {"kind": "Pod", "name": "web"}}


def custom(spec: dict[str, Any] | None) -> objects.CustomObject:
    return msgspec.convert({"metadata": META, "spec": spec}, objects.CustomObject)


@pytest.mark.spec("7.parse")
def test_a_policy_is_read_by_its_kinds_parser() -> None:
    """With what orders and names it, and the mesh's own annotations."""
    found = convert.policy(RATE_LIMIT)(custom(RATE))
    assert isinstance(found, Policy)
    assert (found.kind, found.key, found.generation, found.uid) == ("RateLimit", "shop/slow", 4, "u-1")
    assert found.age == ("2026-01-02T03:04:05Z", "shop", "slow")
    assert found.annotations == {"nsm.nginx.com/limit-status": "429"}
    assert (found.spec.rate, found.spec.destination.namespace) == ("10r/s", "shop")


@pytest.mark.spec("7.faulty")
@pytest.mark.parametrize("spec", [RATE | {"rate": "10r/h"}, RATE | {"delay": "soon"}, {}, None, {"destination": 7}])
def test_a_policy_that_its_parser_refuses_is_kept_with_the_reasons(spec: dict[str, Any] | None) -> None:
    """Nothing is raised: one faulty object does not stop the watch of its kind."""
    found = convert.policy(RATE_LIMIT)(custom(spec))
    assert isinstance(found, FaultyPolicy)
    assert (found.kind, found.namespace, found.name, found.generation) == ("RateLimit", "shop", "slow", 4)
    assert "spec" in found.message


@pytest.mark.spec("7.faulty")
@pytest.mark.parametrize(
    ("destination", "closes"),
    [
        ({"kind": "ServiceAccount", "name": "web"}, ("shop", "web")),
        ({"kind": "ServiceAccount", "name": "web", "namespace": ""}, ("shop", "web")),
        ({"kind": "ServiceAccount", "name": "web", "namespace": "far", "port": 70000}, ("far", "web")),
        ({"kind": "ServiceAccount", "name": "web", "namespace": "No/Such"}, None),
        ({"kind": "ServiceAccount", "name": 7}, None),
        ({"kind": "ServiceAccount"}, None),
        ({"kind": "Group", "name": "web"}, None),
        ("web", None),
        (None, None),
    ],
)
def test_a_faulty_target_still_says_whom_it_closes(destination: object, closes: tuple[str, str] | None) -> None:
    """As far as its destination can be read, whatever else is wrong."""
    found = convert.policy(TRAFFIC_TARGET)(custom({"destination": destination, "sources": "everybody"}))
    assert isinstance(found, FaultyPolicy)
    assert found.closes == closes


@pytest.mark.spec("7.parse")
def test_a_tcp_route_needs_no_spec() -> None:
    """It stands for all TCP traffic."""
    assert isinstance(convert.policy(TCP_ROUTE)(custom(None)), Policy)
