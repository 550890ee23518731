"""TrafficSplit: a root Service's traffic divided over backend Services by weight (contract 7.split)."""

from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.conditions import PolicyStatus
from mesh.api.schema import member


@dataclass(frozen=True, slots=True)
class Backend:
    """A Service that takes a share; shares are weights, no percentages."""

    service: str = member("Name of a Service in the split's namespace.")
    weight: int = member("Its share, relative to the other weights; 0 means no traffic.", minimum=0)


@dataclass(frozen=True, slots=True)
class MatchReference:
    """A route group of the split's namespace."""

    kind: str = member("HTTPRouteGroup.")
    name: str = member("Name of the group.")
    api_group: str | None = member("specs.smi-spec.io.", default=None)


@dataclass(frozen=True, slots=True)
class TrafficSplitSpec:
    """Traffic to ``service`` that fits ``matches`` (or all of it, without any) goes to ``backends``."""

    service: str = member("The root Service, whose traffic is divided.")
    backends: tuple[Backend, ...] = member("The Services that take the traffic.")
    matches: tuple[MatchReference, ...] = member("Route groups; traffic that fits none goes to the root.", default=())


TRAFFIC_SPLIT = crd.Kind(
    group=names.GROUP_SPLIT,
    kind="TrafficSplit",
    plural="trafficsplits",
    short_names=("ts",),
    description="Divides a Service's traffic over other Services.",
    versions=(
        crd.Version(
            "v1alpha3",
            TrafficSplitSpec,
            PolicyStatus,
            spec_required=False,
            columns=(("Service", "string", ".spec.service"),),
        ),
    ),
)
