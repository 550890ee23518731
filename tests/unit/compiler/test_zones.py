"""What each sidecar is told of zones (contract 6.zones)."""

from dataclasses import replace

import pytest

from mesh.compiler.assemble import Compiler
from mesh.model.sidecar_config import SidecarConfig
from mesh.model.snapshot import MeshSettings, NamespaceView, Pod, ServicePortSpec, SliceEndpoint, Snapshot
from mesh.model.topology import NO_HINTS, Hints
from tests.unit.compiler.cluster import GROUP, endpoint_slice, namespace, pod, port_of, service

HTTP = ServicePortSpec(80, 8080, "http")
OTHER = "f" * 16
ZONES = {"node-1": "a", "node-2": "b", "node-3": "a"}
A, B = Hints(("a",)), Hints(("b",))


def on(node: str, made: Pod) -> Pod:
    """The pod, on that node."""
    return replace(made, node=node)


def shop(*hints: Hints) -> NamespaceView:
    """Two pods of one group on two nodes, one of another group on a third, one not scheduled; hints for the first two."""
    first, second = on("node-1", pod("web", "10.1.0.1")), on("node-2", pod("web-2", "10.1.0.2", app="web"))
    third, later = on("node-3", pod("other", "10.1.0.3", group=OTHER)), pod("later", "", app="web")
    rows = [
        SliceEndpoint(one.addresses, one.name, hints=hint) for one, hint in zip((first, second), hints, strict=True)
    ]
    return namespace(
        first, second, third, later, service("web", "10.0.0.1", HTTP), endpoint_slice("web", "http", 8080, *rows)
    )


def configs(*views: NamespaceView, zones: dict[str, str] | None = None) -> dict[str, SidecarConfig]:
    """What the groups get."""
    by_name = {view.name: view for view in views}
    return dict(Compiler().compile(Snapshot(MeshSettings(), by_name, ZONES if zones is None else zones)).configs)


@pytest.mark.spec("6.zones")
def test_hints_come_with_their_endpoints_and_zones_with_the_groups_own_nodes() -> None:
    """A group knows the zones of the nodes that its pods run on, and of no other."""
    found = configs(shop(A, B))
    assert [(item.address, item.hints) for item in port_of(found[GROUP], "web").endpoints] == [
        ("10.1.0.1", A),
        ("10.1.0.2", B),
    ]
    assert found[GROUP].node_zones == (("node-1", "a"), ("node-2", "b"))
    assert found[OTHER].node_zones == (("node-3", "a"),)


@pytest.mark.spec("6.zones")
@pytest.mark.parametrize("hints", [(NO_HINTS, NO_HINTS), (Hints((), ("node-1",)), Hints((), ("node-2",)))])
def test_nobody_is_told_of_zones_at_which_nothing_hints(hints: tuple[Hints, Hints]) -> None:
    """So that a pod on another node, or a node in another zone, changes no configuration."""
    assert {config.node_zones for config in configs(shop(*hints)).values()} == {()}


@pytest.mark.spec("6.zones")
def test_a_node_without_a_zone_is_left_out() -> None:
    """Its pods use all endpoints."""
    assert configs(shop(A, B), zones={"node-2": "b"})[GROUP].node_zones == (("node-2", "b"),)


@pytest.mark.spec("6.zones")
def test_a_node_that_changes_its_zone_changes_the_configuration() -> None:
    """Also of namespaces in which nothing else has changed."""
    view, compiler = shop(A, B), Compiler()
    before = compiler.compile(Snapshot(MeshSettings(), {"shop": view}, ZONES)).configs[GROUP]
    after = compiler.compile(Snapshot(MeshSettings(), {"shop": view}, ZONES | {"node-1": "b"})).configs[GROUP]
    assert before.node_zones == (("node-1", "a"), ("node-2", "b"))
    assert after.node_zones == (("node-1", "b"), ("node-2", "b"))


@pytest.mark.spec("6.zones")
def test_an_endpoint_in_two_slices_is_one() -> None:
    """While Kubernetes moves it; with an identity if either slice leads to one."""
    web = pod("web", "10.1.0.1")
    view = namespace(
        web,
        service("web", "10.0.0.1", HTTP),
        endpoint_slice("web", "http", 8080, SliceEndpoint(("10.1.0.1",), "web", hints=A), suffix="x"),
        endpoint_slice("web", "http", 8080, SliceEndpoint(("10.1.0.1",), "web", hints=B), suffix="y"),
        endpoint_slice("web", "http", 8080, SliceEndpoint(("10.1.0.1",)), suffix="z"),
    )
    (endpoint,) = port_of(configs(view)[GROUP], "web").endpoints
    assert endpoint.identity == "spiffe://example.org/ns/shop/sa/web-account"
