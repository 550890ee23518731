"""From a cluster to what each sidecar must do (contract 3.modes, 6.incoming, 6.endpoints, 6.scope)."""

import pytest

from mesh.api.mtls import MtlsMode
from mesh.compiler.assemble import Compiler
from mesh.model.sidecar_config import Endpoint, IncomingPort, Protocol
from mesh.model.snapshot import (
    ContainerPort,
    EndpointSlice,
    MeshSettings,
    NamespaceView,
    ServicePortSpec,
    SliceEndpoint,
    Snapshot,
)
from tests.unit.compiler.cluster import compiled, config, endpoint_slice, namespace, pod, port_of, service

HTTP = ServicePortSpec(80, 8080, "http")
WEB = pod("web", "10.1.0.1")
WEB_ID = "spiffe://example.org/ns/shop/sa/web-account"
MODE = "config.nsm.nginx.com/mtls-mode"


@pytest.mark.spec("6.endpoints")
def test_ready_endpoints_with_identity_and_pod() -> None:
    """An injected pod behind a Service is named with the identity that it must prove."""
    view = namespace(WEB, service("web", "10.0.0.1", HTTP), endpoint_slice("web", "http", 8080, WEB))
    found = port_of(config(view), "web")
    assert (found.namespace, found.protocol, found.lb_method, found.addresses) == (
        "shop",
        Protocol.HTTP,
        "least_time",
        ("10.0.0.1",),
    )
    assert found.endpoints == (Endpoint("10.1.0.1", 8080, WEB_ID, "shop/web"),)


@pytest.mark.spec("6.endpoints")
@pytest.mark.parametrize(
    ("endpoint", "served"),
    [
        (SliceEndpoint(("10.1.0.1",), "web"), True),
        (SliceEndpoint(("10.1.0.1",), "web", ready=False), False),
        (SliceEndpoint(("10.1.0.9",), "not-seen-yet"), False),
        (SliceEndpoint(("192.0.2.1",)), True),
    ],
)
def test_which_endpoints_are_served(endpoint: SliceEndpoint, served: bool) -> None:
    """Ready ones, not those that end; one whose pod is not known yet waits, because it may be injected."""
    view = namespace(WEB, service("web", "10.0.0.1", HTTP), endpoint_slice("web", "http", 8080, endpoint))
    assert bool(port_of(config(view), "web").endpoints) == served


@pytest.mark.spec("6.endpoints")
def test_pods_without_a_sidecar_or_with_mtls_off_speak_plaintext() -> None:
    """They have no identity to prove."""
    off = pod("off", "10.1.0.2", group="f" * 16, annotations={MODE: "off"})
    plain = pod("plain", "10.1.0.3", group="")
    view = namespace(
        WEB, off, plain, service("web", "10.0.0.1", HTTP), endpoint_slice("web", "http", 8080, WEB, off, plain)
    )
    endpoints = port_of(config(view), "web").endpoints
    assert [(item.address, item.identity) for item in endpoints] == [
        ("10.1.0.1", WEB_ID),
        ("10.1.0.2", ""),
        ("10.1.0.3", ""),
    ]


@pytest.mark.spec("3.modes")
def test_strict_callers_never_see_a_plaintext_endpoint() -> None:
    """Where one pod of a Service proves an identity and another does not, a strict caller uses the first alone."""
    plain = pod("plain", "10.1.0.3", group="", app="web")
    strict = pod("strict", "10.1.0.4", group="f" * 16, annotations={MODE: "strict"})
    view = namespace(
        WEB, plain, strict, service("web", "10.0.0.1", HTTP), endpoint_slice("web", "http", 8080, WEB, plain)
    )
    assert [item.address for item in port_of(config(view), "web").endpoints] == ["10.1.0.1", "10.1.0.3"]
    assert [item.address for item in port_of(config(view, group="f" * 16), "web").endpoints] == ["10.1.0.1"]


@pytest.mark.spec("6.endpoints")
def test_bare_addresses_of_injected_pods_get_their_identity() -> None:
    """An EndpointSlice written by hand cannot lead a caller past mTLS, across namespaces, too."""
    bare = SliceEndpoint(("10.1.0.1",))
    other = namespace(
        service("alias", "10.0.0.7", HTTP, namespace="other"),
        endpoint_slice("alias", "http", 8080, bare, namespace="other"),
        name="other",
    )
    found = port_of(config(namespace(WEB), other), "alias")
    assert found.endpoints == (Endpoint("10.1.0.1", 8080, WEB_ID, "shop/web"),)


@pytest.mark.spec("6.endpoints")
def test_named_target_ports_may_differ_by_pod() -> None:
    """Each slice has its own number for the name."""
    second = pod("second", "10.1.0.2", app="web")
    view = namespace(
        WEB,
        second,
        service("web", "10.0.0.1", ServicePortSpec(80, "web", "http")),
        endpoint_slice("web", "http", 8080, WEB, suffix="a"),
        endpoint_slice("web", "http", 9090, second, suffix="b"),
    )
    assert [item.port for item in port_of(config(view), "web").endpoints] == [8080, 9090]


@pytest.mark.spec("6.endpoints")
def test_several_ports_with_one_target() -> None:
    """Two ports of a Service lead to one port of the pod, each with its own endpoints."""
    slice_ = EndpointSlice(
        "shop",
        "web-x",
        "web",
        (("http", "TCP", 8080), ("http-alt", "TCP", 8080)),
        (SliceEndpoint(("10.1.0.1",), "web"),),
    )
    view = namespace(WEB, service("web", "10.0.0.1", HTTP, ServicePortSpec(81, 8080, "http-alt")), slice_)
    compiled_config = config(view)
    assert port_of(compiled_config, "web", 80).endpoints == port_of(compiled_config, "web", 81).endpoints != ()
    assert compiled_config.incoming == (IncomingPort(8080, Protocol.HTTP),)


@pytest.mark.spec("6.pods")
def test_both_addresses_of_a_pod_are_in_the_table_and_plaintext_pods_are_not() -> None:
    """Only who must prove an identity is listed."""
    view = namespace(
        pod("web", "10.1.0.1 fd00::1"),
        pod("plain", "10.1.0.2", group=""),
        pod("off", "10.1.0.3", annotations={MODE: "off"}, group="f" * 16),
    )
    assert [item.address for item in config(view).pods] == ["10.1.0.1", "fd00::1"]


@pytest.mark.spec("6.pods")
def test_a_reused_address_belongs_to_the_pod_that_lives() -> None:
    """A pod that ends no longer answers for an address that another one has got, in whatever namespace."""
    old = pod("old", "10.1.0.1", terminating=True, created="2026-01-02T00:00:00Z")
    young = pod("young", "10.1.0.1", namespace="other", group="f" * 16)
    pods = config(namespace(old), namespace(young, name="other")).pods
    assert [item.pod for item in pods] == ["other/young"]


@pytest.mark.spec("6.incoming")
def test_incoming_ports_come_from_services_then_from_the_pod() -> None:
    """The Service's protocol wins over the container port's name; a declared port of neither is tcp; UDP is left out."""
    web = pod(
        "web",
        "10.1.0.1",
        ContainerPort(8080, name="tcp-odd"),
        ContainerPort(9000, name="grpc"),
        ContainerPort(80),
        ContainerPort(7000, name="raw"),
        ContainerPort(53, "UDP", "dns"),
    )
    named = ServicePortSpec(90, "grpc", "grpc-api")
    udp = ServicePortSpec(53, 53, "dns", "UDP")
    assert config(namespace(web, service("web", "10.0.0.1", HTTP, named, udp))).incoming == (
        IncomingPort(80, Protocol.HTTP),
        IncomingPort(7000, Protocol.TCP),
        IncomingPort(8080, Protocol.HTTP),
        IncomingPort(9000, Protocol.GRPC),
    )


@pytest.mark.spec("6.incoming")
def test_incoming_ports_are_known_before_the_pod_is_ready() -> None:
    """A selector is enough; no EndpointSlice need list the pod."""
    assert config(namespace(pod("web", ""), service("web", "10.0.0.1", HTTP))).incoming == (
        IncomingPort(8080, Protocol.HTTP),
    )


@pytest.mark.spec("6.incoming")
def test_two_services_on_one_pod() -> None:
    """Each Service gives its ports."""
    view = namespace(
        WEB, service("web", "10.0.0.1", HTTP), service("admin", "10.0.0.2", ServicePortSpec(9, 9090, "grpc"), app="web")
    )
    assert config(view).incoming == (IncomingPort(8080, Protocol.HTTP), IncomingPort(9090, Protocol.GRPC))


@pytest.mark.spec("6.incoming")
def test_services_that_disagree_make_the_port_tcp_and_are_told() -> None:
    """Both Services get an event that names the port and what each says."""
    other = service("other", "10.0.0.2", ServicePortSpec(9, 8080, "grpc"), app="web")
    compilation = compiled(namespace(WEB, service("web", "10.0.0.1", HTTP), other))
    (found,) = compilation.configs.values()
    assert found.incoming == (IncomingPort(8080, Protocol.TCP),)
    assert [(item.name, item.reason) for item in compilation.findings] == [
        ("other", "ProtocolConflict"),
        ("web", "ProtocolConflict"),
    ]
    assert "8080" in compilation.findings[0].message
    assert "other: grpc, web: http" in compilation.findings[0].message


@pytest.mark.spec("3.modes")
@pytest.mark.parametrize(
    ("global_mode", "own", "expected"),
    [
        ("permissive", None, "permissive"),
        ("permissive", "off", "off"),
        ("permissive", "Strict", "strict"),
        ("off", "strict", "strict"),
        ("strict", "off", "strict"),
        ("permissive", "nonsense", "permissive"),
    ],
)
def test_effective_mode(global_mode: str, own: str | None, expected: str) -> None:
    """The pod's own mode, unless the mesh is strict."""
    web = pod("web", "10.1.0.1", annotations={} if own is None else {MODE: own})
    compilation = compiled(namespace(web), settings=MeshSettings(mtls_mode=MtlsMode(global_mode)))
    (found,) = compilation.configs.values()
    assert found.mtls_mode is MtlsMode(expected)
    assert bool(compilation.findings) == (own == "nonsense")


@pytest.mark.spec("5.annotations")
@pytest.mark.parametrize(("own", "expected"), [(None, 1 << 20), ("0", 0), ("64k", 65536), ("x", 1 << 20)])
def test_body_size_per_pod(own: str | None, expected: int) -> None:
    """The pod's own limit in bytes, else the global one."""
    key = "config.nsm.nginx.com/client-max-body-size"
    web = pod("web", "10.1.0.1", annotations={} if own is None else {key: own})
    assert config(namespace(web)).client_max_body_size == expected


@pytest.mark.spec("6.scope")
def test_scope_is_the_mesh_unless_the_namespace_says_otherwise() -> None:
    """Callers know the Services of namespaces in the mesh; egress-scope narrows that; their own is always there."""
    web = service("web", "10.0.0.1", HTTP)
    cart = service("cart", "10.0.0.2", HTTP, namespace="cart")
    outside = NamespaceView("outside", services=(service("legacy", "10.0.0.3", HTTP, namespace="outside"),))
    bare = NamespaceView(
        "bare",
        pods=(pod("one", "10.1.0.9", namespace="bare", group="e" * 16),),
        services=(service("one", "10.0.0.4", HTTP, namespace="bare"),),
    )
    cart_view = namespace(cart, name="cart")
    everything = config(namespace(WEB, web), cart_view, outside, bare)
    assert [item.service for item in everything.services] == ["one", "cart", "web"]
    assert [item.pod for item in everything.pods] == ["shop/web", "bare/one"]
    narrow = config(
        namespace(WEB, web, annotations={"config.nsm.nginx.com/egress-scope": "cart, nowhere"}),
        cart_view,
        outside,
        bare,
    )
    assert [item.service for item in narrow.services] == ["cart", "web"]
    star = config(namespace(WEB, web, annotations={"config.nsm.nginx.com/egress-scope": "*"}), cart_view, outside, bare)
    assert star.services == everything.services


@pytest.mark.spec("6.settings")
def test_global_settings_reach_every_group() -> None:
    """Log level, log format, access control and transparency are the same for all."""
    settings = MeshSettings(trust_domain="corp.example", transparent=True)
    found = config(namespace(WEB), settings=settings)
    assert (
        found.trust_domain,
        found.error_log_level,
        found.log_format,
        found.access_control_mode,
        found.transparent,
    ) == (
        "corp.example",
        "warn",
        "default",
        "allow",
        True,
    )
    assert found.pods[0].identity == "spiffe://corp.example/ns/shop/sa/web-account"


def test_unchanged_namespaces_are_not_compiled_again() -> None:
    """A change elsewhere leaves the very same values in place."""
    compiler = Compiler()
    shop = namespace(WEB, service("web", "10.0.0.1", HTTP))
    first = compiler.compile(Snapshot(MeshSettings(), {"shop": shop}))
    second = compiler.compile(Snapshot(MeshSettings(), {"shop": shop, "outside": NamespaceView("outside")}))
    (before,), (after,) = first.configs.values(), second.configs.values()
    assert before.services is after.services
