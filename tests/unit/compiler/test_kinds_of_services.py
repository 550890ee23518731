"""Every kind of Service that Kubernetes has: where its calls may go (contract 6.headless, 6.dual-stack, 6.by-hand)."""

from dataclasses import replace

import pytest

from mesh.api.mtls import MtlsMode
from mesh.model.sidecar_config import Endpoint, IncomingPort, PodAddress, Protocol
from mesh.model.snapshot import ContainerPort, EndpointSlice, MeshSettings, Service, ServicePortSpec, SliceEndpoint
from tests.unit.compiler.cluster import compiled, config, endpoint_slice, namespace, pod, port_of, service

HTTP = ServicePortSpec(80, 8080, "http")
WEB = pod("web", "10.1.0.1")
PLAIN = pod("plain", "10.1.0.3", group="")
WEB_ID = "spiffe://example.org/ns/shop/sa/web-account"
STRICT = MeshSettings(mtls_mode=MtlsMode.STRICT)


@pytest.mark.spec("6.headless")
def test_headless_services_are_reached_by_pod_address() -> None:
    """The pod's address says who must answer, and the headless Service's port what is spoken at its target."""
    found = config(namespace(WEB, PLAIN, service("web", "", HTTP)))
    assert found.services == ()
    assert found.pods == (PodAddress("10.1.0.1", WEB_ID, ((8080, Protocol.HTTP),), "shop/web"),)


@pytest.mark.spec("6.headless")
def test_named_targets_of_a_headless_service_differ_by_pod() -> None:
    """Each pod is called at the number that it gives the name, over both of its addresses."""
    first = pod("first", "10.1.0.1", ContainerPort(8080, name="web"), app="web")
    second = pod("second", "10.1.0.2 fd00::2", ContainerPort(9090, name="web"), app="web", group="f" * 16)
    found = config(namespace(first, second, service("web", "", ServicePortSpec(80, "web", "http"))))
    assert {item.address: item.ports for item in found.pods} == {
        "10.1.0.1": ((8080, Protocol.HTTP),),
        "10.1.0.2": ((9090, Protocol.HTTP),),
        "fd00::2": ((9090, Protocol.HTTP),),
    }
    assert found.incoming == (IncomingPort(8080, Protocol.HTTP),)


@pytest.mark.spec("6.dual-stack")
def test_each_family_of_a_dual_stack_service_leads_to_its_own_addresses() -> None:
    """A pod is one endpoint of each family; one that has a single address is not called by callers of the other."""
    both = pod("both", "10.1.0.1 fd00::1", app="web")
    six = pod("six", "fd00::2", app="web")
    view = namespace(
        both,
        six,
        service("web", "fd01::1 10.0.0.1", HTTP),
        endpoint_slice("web", "http", 8080, SliceEndpoint(("10.1.0.1",), "both"), suffix="v4"),
        endpoint_slice(
            "web", "http", 8080, SliceEndpoint(("fd00::1",), "both"), SliceEndpoint(("fd00::2",), "six"), suffix="v6"
        ),
    )
    assert [(port.addresses, [item.address for item in port.endpoints]) for port in config(view).services] == [
        (("10.0.0.1",), ["10.1.0.1"]),
        (("fd01::1",), ["fd00::1", "fd00::2"]),
    ]


@pytest.mark.spec("6.dual-stack")
def test_a_single_family_is_enough() -> None:
    """IPv6 alone is routed and identified as IPv4 is."""
    six = pod("web", "fd00::1")
    view = namespace(six, service("web", "fd01::1", HTTP), endpoint_slice("web", "http", 8080, six))
    found = config(view)
    assert port_of(found, "web").endpoints == (Endpoint("fd00::1", 8080, WEB_ID, "shop/web"),)
    assert found.pods == (PodAddress("fd00::1", WEB_ID, ((8080, Protocol.HTTP),), "shop/web"),)


def selectorless(
    *endpoints: SliceEndpoint, spec: ServicePortSpec = HTTP, address: str = "10.0.0.7"
) -> list[Service | EndpointSlice]:
    """Service db without a selector, and a slice that somebody wrote."""
    return [
        replace(service("db", address, spec), selector={}),
        endpoint_slice("db", spec.name, 8080, *endpoints),
    ]


@pytest.mark.spec("6.by-hand")
@pytest.mark.parametrize(("settings", "reached"), [(MeshSettings(), True), (STRICT, False)])
def test_an_address_outside_the_cluster(settings: MeshSettings, reached: bool) -> None:
    """Plaintext where the mode lets it, else an endpoint that is not there; the route stays and refuses."""
    view = namespace(WEB, *selectorless(SliceEndpoint(("192.0.2.1",))))
    port = port_of(config(view, settings=settings), "db")
    assert port.addresses == ("10.0.0.7",)
    assert port.endpoints == ((Endpoint("192.0.2.1", 8080),) if reached else ())


@pytest.mark.spec("6.by-hand")
@pytest.mark.parametrize("said", ["", "plain"])
def test_an_injected_pods_address_demands_its_identity_whatever_the_slice_says(said: str) -> None:
    """A slice that names no pod, or another one that speaks plaintext, cannot lead a caller past mTLS."""
    view = namespace(WEB, PLAIN, *selectorless(SliceEndpoint(("10.1.0.1",), said)))
    assert port_of(config(view), "db").endpoints == (Endpoint("10.1.0.1", 8080, WEB_ID, "shop/web"),)


@pytest.mark.spec("6.by-hand")
def test_the_pod_that_a_service_without_selector_names_speaks_its_protocol() -> None:
    """Else the caller would speak HTTP to a port that its sidecar takes for tcp."""
    view = namespace(WEB, *selectorless(SliceEndpoint(("10.1.0.1",))))
    found = config(view)
    assert found.incoming == (IncomingPort(8080, Protocol.HTTP),)
    assert found.pods[0].ports == ((8080, Protocol.HTTP),)
    assert config(namespace(WEB, *selectorless(SliceEndpoint(("10.1.0.2",))))).incoming == ()


@pytest.mark.spec("6.incoming")
def test_a_service_with_and_one_without_selector_can_disagree() -> None:
    """Both are told, as two Services with selectors are."""
    by_hand = selectorless(SliceEndpoint(("10.1.0.1",)), spec=ServicePortSpec(5432, 8080, "tcp"))
    compilation = compiled(namespace(WEB, service("web", "10.0.0.1", HTTP), *by_hand))
    (found,) = compilation.configs.values()
    assert found.incoming == (IncomingPort(8080, Protocol.TCP),)
    assert [(item.name, item.reason) for item in compilation.findings] == [
        ("db", "ProtocolConflict"),
        ("web", "ProtocolConflict"),
    ]


@pytest.mark.spec("6.incoming")
def test_udp_beside_tcp_on_one_port_is_no_disagreement() -> None:
    """DNS is the example: the same number twice, and only the TCP one is proxied."""
    specs = (ServicePortSpec(53, 53, "dns-tcp"), ServicePortSpec(53, 53, "dns", "UDP"))
    compilation = compiled(namespace(WEB, service("web", "10.0.0.1", *specs)))
    (found,) = compilation.configs.values()
    assert found.incoming == (IncomingPort(53, Protocol.TCP),)
    assert [(port.port, port.protocol) for port in found.services] == [(53, Protocol.TCP)]
    assert compilation.findings == ()


@pytest.mark.spec("6.protocol")
@pytest.mark.parametrize(("counts", "expected"), [(True, Protocol.GRPC), (False, Protocol.HTTP)])
def test_app_protocol_can_be_turned_off(counts: bool, expected: Protocol) -> None:
    """For callers and for the pods themselves."""
    spec = ServicePortSpec(80, 8080, "web", app_protocol="grpc")
    view = namespace(WEB, service("web", "10.0.0.1", spec))
    found = config(view, settings=MeshSettings(app_protocol=counts))
    assert port_of(found, "web").protocol is expected
    assert found.incoming == (IncomingPort(8080, expected),)
