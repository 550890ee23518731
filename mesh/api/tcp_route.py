"""TCPRoute: stands for all TCP traffic of a TrafficTarget; it has no criteria of its own (contract 7.routes)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mesh.api import crd, names
from mesh.api.conditions import STATE_COLUMNS, WIDE_STATE_COLUMNS, PolicyStatus
from mesh.api.policy import Policy, parse_policy


@dataclass(frozen=True, slots=True)
class TcpRouteSpec:
    """Empty by contract; a TCPRoute without a spec is valid, too."""


TCP_ROUTE = crd.Kind(
    group=names.GROUP_SPECS,
    kind="TCPRoute",
    plural="tcproutes",
    short_names=("tr",),
    description="Describes TCP traffic.",
    versions=(
        crd.Version(
            "v1alpha3", TcpRouteSpec, PolicyStatus, spec_required=False, columns=STATE_COLUMNS, wide=WIDE_STATE_COLUMNS
        ),
    ),
)


def parse_tcp_route(manifest: Mapping[str, Any], *, strict: bool = False) -> Policy[TcpRouteSpec]:
    """Read a TCPRoute. Raises InvalidInputError with every problem."""
    return parse_policy(TCP_ROUTE, manifest, strict=strict)
