"""Which endpoints of a Service port a sidecar uses, by where its pod runs (contract 6.zones). Pure.

The rule is that of kube-proxy, so that the mesh leads traffic where Kubernetes meant it to go: hints count only if
every endpoint has them and one is for this place; else all endpoints are used, since half-written hints, or none for
this place, would leave callers with few endpoints or none.
"""

from mesh.model.sidecar_config import Endpoint

Endpoints = tuple[Endpoint, ...]


def nearest(endpoints: Endpoints, node: str, zone: str) -> Endpoints:
    """Give the endpoints for *node*, else those for *zone*, else all; an empty name is that of no place."""
    if node and all(endpoint.hints.nodes for endpoint in endpoints):
        same_node = tuple(endpoint for endpoint in endpoints if node in endpoint.hints.nodes)
        if same_node:
            return same_node
    if zone and all(endpoint.hints.zones for endpoint in endpoints):
        same_zone = tuple(endpoint for endpoint in endpoints if zone in endpoint.hints.zones)
        if same_zone:
            return same_zone
    return endpoints
