"""TrafficTarget: which service accounts may call which, on which routes (contract 7.access)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mesh.api import crd, names
from mesh.api.conditions import STATE_COLUMNS, WIDE_STATE_COLUMNS, PolicyStatus
from mesh.api.dns_names import is_label, is_subdomain, namespace_problems, subdomain_problems
from mesh.api.errors import Problem, quote
from mesh.api.policy import Policy, parse_policy
from mesh.api.schema import member

ROUTE_KINDS: Final = ("HTTPRouteGroup", "TCPRoute")
_ACCOUNT: Final = "ServiceAccount"


def _subject_kind_problems(place: str, kind: str) -> Iterator[Problem]:
    if kind != _ACCOUNT:
        yield Problem(place, quote(kind), _ACCOUNT, "only service accounts are identities of the mesh")


def _port_problems(place: str, port: int) -> Iterator[Problem]:
    if not 0 < port <= 65535:
        yield Problem(place, quote(port), "a port from 1 to 65535", "leave it out for every port")


def _rule_kind_problems(place: str, kind: str) -> Iterator[Problem]:
    if kind not in ROUTE_KINDS:
        yield Problem(place, quote(kind), " or ".join(ROUTE_KINDS))


@dataclass(frozen=True, slots=True)
class Subject:
    """A service account; without a namespace it is the policy's own."""

    kind: str = member("ServiceAccount.", check=_subject_kind_problems)
    name: str = member("Name of the service account.", check=subdomain_problems)
    namespace: str = member("Its namespace.", default="", check=namespace_problems)
    port: int | None = member("TCP port; only a destination's is used.", default=None, check=_port_problems)


@dataclass(frozen=True, slots=True)
class Rule:
    """Traffic that is allowed."""

    kind: str = member("HTTPRouteGroup or TCPRoute.", check=_rule_kind_problems)
    name: str = member("Name of the route object.", check=subdomain_problems)
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
            "v1alpha2",
            TrafficTargetSpec,
            PolicyStatus,
            columns=(
                ("Destination", "string", ".spec.destination.name"),
                ("Port", "integer", ".spec.destination.port"),
                *STATE_COLUMNS,
            ),
            wide=WIDE_STATE_COLUMNS,
        ),
    ),
)


def parse_traffic_target(manifest: Mapping[str, Any], *, strict: bool = False) -> Policy[TrafficTargetSpec]:
    """Read a TrafficTarget; every subject of the result has its namespace. Raises InvalidInputError with every problem."""
    policy: Policy[TrafficTargetSpec] = parse_policy(TRAFFIC_TARGET, manifest, strict=strict)
    spec = policy.spec
    destination = _at_home(spec.destination, policy.namespace)
    sources = tuple(_at_home(source, policy.namespace) for source in spec.sources)
    return replace(policy, spec=replace(spec, destination=destination, sources=sources))


def named_account(spec: object, namespace: str) -> tuple[str, str] | None:
    """Namespace and name of the service account that a TrafficTarget wants closed, also where nothing else of it can be read.

    None where that cannot be read either. *namespace* is the object's own (contract 7.faulty).
    """
    destination = spec.get("destination") if isinstance(spec, Mapping) else None
    if not isinstance(destination, Mapping) or destination.get("kind") != _ACCOUNT:
        return None
    name, place = destination.get("name"), destination.get("namespace") or namespace
    if not (isinstance(name, str) and isinstance(place, str) and is_subdomain(name) and is_label(place)):
        return None
    return place, name


def _at_home(subject: Subject, namespace: str) -> Subject:
    return subject if subject.namespace else replace(subject, namespace=namespace)
