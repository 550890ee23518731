"""TCPRoute: stands for all TCP traffic of a TrafficTarget; it has no criteria of its own (contract 7.routes)."""

from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.conditions import PolicyStatus


@dataclass(frozen=True, slots=True)
class TcpRouteSpec:
    """Empty by contract; a TCPRoute without a spec is valid, too."""


TCP_ROUTE = crd.Kind(
    group=names.GROUP_SPECS,
    kind="TCPRoute",
    plural="tcproutes",
    short_names=("tr",),
    description="Describes TCP traffic.",
    versions=(crd.Version("v1alpha3", TcpRouteSpec, PolicyStatus, spec_required=False),),
)
