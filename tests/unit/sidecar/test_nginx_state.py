"""The document that NGINX reads (docs/reference/nginx-state.md)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.api.mtls import MtlsMode
from mesh.model.sidecar_config import Endpoint, IncomingPort, PodAddress, Protocol, ServicePort, SidecarConfig
from mesh.model.topology import Hints
from mesh.sidecar import nginx_state

CART = "spiffe://example.org/ns/shop/sa/cart"
SAMPLE = SidecarConfig(
    trust_domain="example.org",
    mtls_mode=MtlsMode.STRICT,
    client_max_body_size=1048576,
    error_log_level="warn",
    log_format="json",
    access_control_mode="allow",
    incoming=(IncomingPort(8080, Protocol.HTTP), IncomingPort(53, Protocol.UDP)),
    services=(
        ServicePort(
            "shop",
            "cart",
            80,
            Protocol.HTTP,
            "least_time",
            ("10.96.12.1", "fd00::1"),
            (Endpoint("10.244.0.7", 8080, CART, "shop/cart-1"), Endpoint("10.244.0.9", 8080)),
            request_timeout_ms=1500,
            retries=2,
        ),
        ServicePort("kube-system", "dns", 53, Protocol.UDP, "random", ("10.96.0.10",)),
        ServicePort("kube-system", "dns", 53, Protocol.TCP, "random two", ("10.96.0.10",)),
    ),
    pods=(
        PodAddress("10.244.0.7", CART, ((8080, Protocol.HTTP), (8080, Protocol.UDP)), "shop/cart-1"),
        PodAddress("10.244.0.8", CART, ((53, Protocol.UDP),), "shop/silent-1"),
    ),
)
GOLDEN = """\
mesh|1|4.17
trust_domain|example.org
mode|strict
set|client_max_body_size|1048576
set|error_log_level|warn
set|log_format|json
set|transparent|0
set|server_first_ms|50
incoming|8080|http
identity|0|spiffe://example.org/ns/shop/sa/cart
upstream|0|shop/cart|80|http|least_time
request|0|1500|2|idempotent
endpoint|0|10.244.0.7|8080|0|shop/cart-1
endpoint|0|10.244.0.9|8080|-|-
route|10.96.12.1|80|0
route|fd00::1|80|0
upstream|1|kube-system/dns|53|tcp|random two
route|10.96.0.10|53|1
pod|10.244.0.7|8080|http|0|shop/cart-1
injected|10.244.0.8
end|20
"""


def test_golden() -> None:
    """One of everything; UDP is left out, and its Service's TCP twin keeps the address."""
    assert nginx_state.render(SAMPLE, "4.17") == GOLDEN.replace("|", "\t")


@pytest.mark.spec("6.requests")
@pytest.mark.parametrize(
    ("timeout", "retries", "non_idempotent", "line"),
    [
        (0, 0, False, None),
        (500, 0, False, ["request", "0", "500", "0", "idempotent"]),
        (0, 10, True, ["request", "0", "0", "10", "any"]),
    ],
)
def test_time_outs_and_retries_follow_their_upstream(
    timeout: int, retries: int, non_idempotent: bool, line: list[str] | None
) -> None:
    """One line for an upstream that has any, none for the others."""
    service = ServicePort(
        "shop", "cart", 80, Protocol.HTTP, "random", (), (Endpoint("10.0.0.1", 1),), timeout, retries, non_idempotent
    )
    config = SidecarConfig("example.org", MtlsMode.OFF, 0, "warn", "default", "allow", services=(service,))
    lines = [text.split("\t") for text in nginx_state.render(config, "1.1").splitlines()]
    place = [fields[0] for fields in lines].index("upstream") + 1
    assert [fields for fields in lines if fields[0] == "request"] == ([line] if line else [])
    assert line is None or lines[place] == line


@pytest.mark.spec("5.probes")
def test_ports_of_grpc_probes_are_marked() -> None:
    """A declared one keeps its protocol; another is declared by its probe."""
    ports = (IncomingPort(80, Protocol.HTTP), IncomingPort(90, Protocol.GRPC), IncomingPort(100, Protocol.TCP))
    config = SidecarConfig("example.org", MtlsMode.STRICT, 0, "warn", "default", "allow", incoming=ports)
    lines = [text.split("\t") for text in nginx_state.render(config, "1.1", "", {90, 100, 110}).splitlines()]
    assert [fields[1:] for fields in lines if fields[0] == "incoming"] == [
        ["80", "http"],
        ["90", "grpc", "health"],
        ["100", "tcp", "health"],
        ["110", "grpc", "health"],
    ]


@pytest.mark.spec("6.zones")
@pytest.mark.parametrize(("node", "ports"), [("", [1, 2]), ("node-1", [1]), ("node-2", [2]), ("node-3", [1, 2])])
def test_endpoints_are_those_for_the_zone_of_the_node(node: str, ports: list[int]) -> None:
    """Of a Service without hints all are used, wherever the pod runs."""
    hinted = (Endpoint("10.0.0.1", 1, hints=Hints(("a",))), Endpoint("10.0.0.1", 2, hints=Hints(("b",))))
    plain = (Endpoint("10.0.0.1", 3), Endpoint("10.0.0.1", 4))
    services = tuple(
        ServicePort("shop", name, 80, Protocol.HTTP, "random", (), endpoints)
        for name, endpoints in (("near", hinted), ("plain", plain))
    )
    zones = (("node-1", "a"), ("node-2", "b"))
    config = SidecarConfig(
        "example.org", MtlsMode.OFF, 0, "warn", "default", "allow", services=services, node_zones=zones
    )
    lines = [text.split("\t") for text in nginx_state.render(config, "1.1", node).splitlines()]
    assert [int(fields[3]) for fields in lines if fields[0] == "endpoint"] == [*ports, 3, 4]


def test_the_initial_document() -> None:
    """No routes, not ready, the mode of the injection."""
    text = nginx_state.render_initial("example.org", MtlsMode.PERMISSIVE)
    assert text == "mesh\t1\t-\ntrust_domain\texample.org\nmode\tpermissive\nend\t3\n"


def test_the_revision_is_read_back() -> None:
    """And rubbish has none."""
    assert nginx_state.revision_of(nginx_state.render(SAMPLE, "4.17")) == "4.17"
    assert [nginx_state.revision_of(text) for text in ("", "mesh\t2\t4.17\n", "x")] == ["", "", ""]


PROTOCOLS = st.sampled_from(list(Protocol))
PORTS = st.integers(1, 5)
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1"])
IDENTITIES = st.sampled_from(["", CART, CART + "2"])
ENDPOINTS = st.lists(st.builds(Endpoint, ADDRESSES, PORTS, IDENTITIES), max_size=3).map(tuple)
SERVICES = st.builds(
    ServicePort,
    st.just("ns"),
    st.sampled_from("ab"),
    PORTS,
    PROTOCOLS,
    st.just("random"),
    st.lists(ADDRESSES, max_size=2).map(tuple),
    ENDPOINTS,
)
POD_PORTS = st.lists(st.tuples(PORTS, PROTOCOLS), max_size=3).map(tuple)
PODS = st.lists(
    st.builds(PodAddress, ADDRESSES, st.just(CART), POD_PORTS), max_size=3, unique_by=lambda pod: pod.address
)


@given(st.lists(SERVICES, max_size=5), PODS)
def test_every_document_obeys_the_format(services: list[ServicePort], pods: list[PodAddress]) -> None:
    """Numbers are introduced before use and count from 0; places occur once; the last line counts the others."""
    config = SidecarConfig("example.org", MtlsMode.OFF, 0, "warn", "default", "allow", (), tuple(services), tuple(pods))
    lines = [line.split("\t") for line in nginx_state.render(config, "1.1").removesuffix("\n").split("\n")]
    assert lines[-1] == ["end", str(len(lines) - 1)]
    counts = {"identity": 0, "upstream": 0}
    places: dict[str, list[tuple[str, str]]] = {"route": [], "pod": []}
    for kind, *fields in lines:
        if kind in counts:
            assert fields[0] == str(counts[kind])
            counts[kind] += 1
        if kind == "endpoint":
            assert int(fields[0]) == counts["upstream"] - 1
            assert fields[3] == "-" or int(fields[3]) < counts["identity"]
        if kind in places:
            places[kind].append((fields[0], fields[1]))
        if kind == "route":
            assert int(fields[2]) < counts["upstream"]
        assert "udp" not in fields
    assert all(len(found) == len(set(found)) for found in places.values())
