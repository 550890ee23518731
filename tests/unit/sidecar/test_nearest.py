"""Which endpoints a sidecar uses when EndpointSlices hint at places (contract 6.zones)."""

import pytest

from mesh.model.sidecar_config import Endpoint
from mesh.model.topology import Hints
from mesh.sidecar.nearest import nearest

A, B, AB = Hints(("a",)), Hints(("b",)), Hints(("a", "b"))
NODE_1, NODE_2 = Hints(("a",), ("node-1",)), Hints(("a",), ("node-2",))
NO = Hints()


def endpoints(*hints: Hints) -> tuple[Endpoint, ...]:
    """One endpoint for each, at port 1, 2 and so on."""
    return tuple(Endpoint("10.0.0.1", number, hints=row) for number, row in enumerate(hints, 1))


@pytest.mark.spec("6.zones")
@pytest.mark.parametrize(
    ("hints", "node", "zone", "used"),
    [
        ((A, B, AB), "node-1", "a", [1, 3]),
        ((A, B, AB), "node-1", "b", [2, 3]),
        # None for this zone, one without a hint, a node of no zone, a pod whose node is not known:
        ((A, B, AB), "node-1", "c", [1, 2, 3]),
        ((A, B, NO), "node-1", "a", [1, 2, 3]),
        ((A, B, AB), "node-1", "", [1, 2, 3]),
        ((A, B), "", "", [1, 2]),
        # The node goes before the zone, and the zone before everything:
        ((NODE_1, NODE_2, NODE_1), "node-1", "a", [1, 3]),
        ((NODE_1, NODE_2, NODE_1), "node-1", "", [1, 3]),
        ((NODE_1, NODE_2), "node-3", "a", [1, 2]),
        ((NODE_1, Hints(("b",), ("node-2",))), "node-3", "b", [2]),
        ((NODE_1, A), "node-1", "a", [1, 2]),
        ((NODE_1, NO), "node-1", "a", [1, 2]),
        ((), "node-1", "a", []),
    ],
)
def test_the_rule_of_kube_proxy(hints: tuple[Hints, ...], node: str, zone: str, used: list[int]) -> None:
    """Hints count when all have them and one is for here; the callers of no place are left without endpoints."""
    assert [endpoint.port for endpoint in nearest(endpoints(*hints), node, zone)] == used


@pytest.mark.spec("6.zones")
def test_without_hints_nothing_is_made_anew() -> None:
    """Most Services have none."""
    rows = endpoints(NO, NO)
    assert nearest(rows, "node-1", "a") is rows
