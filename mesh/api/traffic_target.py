"""TrafficTarget: which service accounts may call which, on which routes (contract 7.access)."""

from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.conditions import PolicyStatus
from mesh.api.schema import member


@dataclass(frozen=True, slots=True)
class Subject:
    """A service account; without a namespace it is the policy's own."""

    kind: str = member("ServiceAccount.")
    name: str = member("Name of the service account.")
    namespace: str | None = member("Its namespace.", default=None)
    port: int | None = member("TCP port; only a destination's is used.", default=None)


@dataclass(frozen=True, slots=True)
class Rule:
    """Traffic that is allowed."""

    kind: str = member("HTTPRouteGroup or TCPRoute.")
    name: str = member("Name of the route object.")
    matches: tuple[str, ...] = member("Names of the group's matches; none means all of them.", default=())


@dataclass(frozen=True, slots=True)
class TrafficTargetSpec:
    """Without ``sources`` nobody is allowed; without ``rules`` everything is."""

    destination: Subject = member("Who is called.")
    sources: tuple[Subject, ...] = member("Who may call.", default=())
    rules: tuple[Rule, ...] = member("On which routes.", default=())


TRAFFIC_TARGET = crd.Kind(
    group=names.GROUP_ACCESS,
    kind="TrafficTarget",
    plural="traffictargets",
    short_names=("tt",),
    description="Allows service accounts to call another on given routes.",
    versions=(
        crd.Version(
            "v1alpha2", TrafficTargetSpec, PolicyStatus, columns=(("Destination", "string", ".spec.destination.name"),)
        ),
    ),
)
