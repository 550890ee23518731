"""All kinds that the mesh brings to a cluster (contract 7.kinds)."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from mesh.api.circuit_breaker import CIRCUIT_BREAKER, parse_circuit_breaker
from mesh.api.cluster_federated_trust_domain import CLUSTER_FEDERATED_TRUST_DOMAIN
from mesh.api.cluster_spiffe_id import CLUSTER_SPIFFE_ID
from mesh.api.cluster_static_entry import CLUSTER_STATIC_ENTRY
from mesh.api.crd import Kind
from mesh.api.http_route_group import HTTP_ROUTE_GROUP, parse_http_route_group
from mesh.api.mesh_config import MESH_CONFIG
from mesh.api.mesh_config_class import MESH_CONFIG_CLASS
from mesh.api.policy import Policy
from mesh.api.rate_limit import RATE_LIMIT, parse_rate_limit
from mesh.api.tcp_route import TCP_ROUTE, parse_tcp_route
from mesh.api.traffic_split import TRAFFIC_SPLIT, parse_traffic_split
from mesh.api.traffic_target import TRAFFIC_TARGET, parse_traffic_target

MESH_KINDS: Final[tuple[Kind, ...]] = (MESH_CONFIG, MESH_CONFIG_CLASS)
POLICY_KINDS: Final[tuple[Kind, ...]] = (
    TRAFFIC_SPLIT, HTTP_ROUTE_GROUP, TCP_ROUTE, TRAFFIC_TARGET, RATE_LIMIT, CIRCUIT_BREAKER,
)  # fmt: skip
SPIRE_KINDS: Final[tuple[Kind, ...]] = (CLUSTER_SPIFFE_ID, CLUSTER_STATIC_ENTRY, CLUSTER_FEDERATED_TRUST_DOMAIN)
ALL_KINDS: Final[tuple[Kind, ...]] = MESH_KINDS + POLICY_KINDS + SPIRE_KINDS


class PolicyParser(Protocol):
    """Reads a policy of one kind; *strict* knows no field but the schema's. Raises InvalidInputError with every problem."""

    def __call__(self, manifest: Mapping[str, Any], *, strict: bool = False) -> Policy[Any]: ...


POLICY_PARSERS: Final[Mapping[str, PolicyParser]] = {
    TRAFFIC_SPLIT.kind: parse_traffic_split,
    HTTP_ROUTE_GROUP.kind: parse_http_route_group,
    TCP_ROUTE.kind: parse_tcp_route,
    TRAFFIC_TARGET.kind: parse_traffic_target,
    RATE_LIMIT.kind: parse_rate_limit,
    CIRCUIT_BREAKER.kind: parse_circuit_breaker,
}
"""The one parser of each policy kind."""
