"""All policies of a cluster as what they come to for callers and for the called (contract 7)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mesh.api.circuit_breaker import CIRCUIT_BREAKER
from mesh.api.http_route_group import HTTP_ROUTE_GROUP
from mesh.api.rate_limit import RATE_LIMIT
from mesh.api.traffic_split import TRAFFIC_SPLIT
from mesh.api.traffic_target import TRAFFIC_TARGET
from mesh.compiler.access import compile_access
from mesh.compiler.book import Place, PolicyBook, Remarks
from mesh.compiler.breakers import compile_breakers
from mesh.compiler.limits import compile_limits
from mesh.compiler.outcome import PolicyKey
from mesh.compiler.services import ServiceTable
from mesh.compiler.splits import compile_splits
from mesh.model.policy import Breaker, Limit, Split, Target
from mesh.model.sidecar_config import PodAddress, ServicePort


@dataclass(frozen=True, slots=True)
class CallerDirections:
    """What callers do: the splits of a Service's port, the circuit of a Service.

    ``headless`` are the headless Services that have some, or get a share of one, and must therefore be known to callers.
    """

    splits: Mapping[tuple[Place, int], tuple[Split, ...]] = field(default_factory=dict)
    breakers: Mapping[Place, Breaker] = field(default_factory=dict)
    headless: frozenset[Place] = frozenset()

    def direct(self, port: ServicePort) -> ServicePort:
        """Give *port* its splits and its circuit."""
        place = (port.namespace, port.service)
        splits, breaker = self.splits.get((place, port.port), ()), self.breakers.get(place)
        return replace(port, splits=splits, breaker=breaker) if splits or breaker else port

    def direct_pods(self, pods: Iterable[PodAddress], headless: Iterable[ServicePort]) -> tuple[PodAddress, ...]:
        """Say of *pods* for which of the *headless* Services a call of theirs counts."""
        places: dict[str, set[tuple[int, str, int]]] = {}
        for port in headless:
            if port.splits or port.breaker:
                for endpoint in port.endpoints:
                    row = (endpoint.port, f"{port.namespace}/{port.service}", port.port)
                    places.setdefault(endpoint.address, set()).add(row)
        return tuple(
            replace(pod, headless=tuple(sorted(places[pod.address]))) if pod.address in places else pod for pod in pods
        )


@dataclass(frozen=True, slots=True)
class Directions:
    """What policies come to: for callers, for the pods of a service account, for the pods of a group."""

    callers: CallerDirections = CallerDirections()
    targets: Mapping[Place, tuple[Target, ...]] = field(default_factory=dict)
    limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)


def compile_policies(book: PolicyBook, services: ServiceTable, trust_domain: str, remarks: Remarks) -> Directions:
    """Compile every policy of *book*; what is to be said of them goes to *remarks*."""
    splits = compile_splits(book, services, remarks)
    breakers = compile_breakers(book, services, remarks)
    directed = {place for place, _ in splits} | breakers.keys()
    shares = (share for found in splits.values() for split in found for share in split.shares)
    directed |= {_place(share.service) for share in shares}
    directed |= {_place(breaker.fallback[0]) for breaker in breakers.values() if breaker.fallback}
    headless = frozenset(place for place in directed if _is_headless(services, place))
    return Directions(
        CallerDirections(splits, breakers, headless),
        compile_access(book, trust_domain, remarks),
        compile_limits(book, services, remarks),
    )


def callers_policies(book: PolicyBook, remarks: Remarks) -> dict[str, set[PolicyKey]]:
    """By namespace of the Services that they direct, the policies that its callers must know of."""
    found: dict[str, set[PolicyKey]] = {}
    for split in book.splits:
        if not remarks.is_refused(split):
            found.setdefault(split.namespace, set()).add(PolicyKey(TRAFFIC_SPLIT.kind, split.namespace, split.name))
    for breaker in book.breakers:
        if not remarks.is_refused(breaker):
            namespace = breaker.spec.destination.namespace
            found.setdefault(namespace, set()).add(PolicyKey(CIRCUIT_BREAKER.kind, breaker.namespace, breaker.name))
    return found


def note_called(
    book: PolicyBook, directions: Directions, accounts: Mapping[Place, Iterable[str]], remarks: Remarks
) -> None:
    """Note which groups targets and limits concern; *accounts* has the groups of each service account."""
    for target in book.targets:
        destination = target.spec.destination
        groups = accounts.get((destination.namespace, destination.name), ())
        remarks.concerns(PolicyKey(TRAFFIC_TARGET.kind, target.namespace, target.name), groups)
    for group, limits in directions.limits.items():
        for limit in limits:
            remarks.concerns(PolicyKey(RATE_LIMIT.kind, *_place(limit.policy)), (group,))


def note_routes(book: PolicyBook, remarks: Remarks) -> None:
    """A route group concerns the sidecars of every policy that refers to it."""
    for user, routes in _routes(book):
        for route in routes:
            remarks.concerns(route, remarks.groups(user))


def _routes(book: PolicyBook) -> Iterator[tuple[PolicyKey, list[PolicyKey]]]:
    for split in book.splits:
        routes = [PolicyKey(HTTP_ROUTE_GROUP.kind, split.namespace, row.name) for row in split.spec.matches]
        yield PolicyKey(split.kind, split.namespace, split.name), routes
    for target in book.targets:
        routes = [PolicyKey(rule.kind, target.namespace, rule.name) for rule in target.spec.rules]
        yield PolicyKey(target.kind, target.namespace, target.name), routes
    for limit in book.limits:
        routes = [PolicyKey(rule.kind, limit.namespace, rule.name) for rule in limit.spec.rules]
        yield PolicyKey(limit.kind, limit.namespace, limit.name), routes


def _place(text: str) -> Place:
    namespace, _, name = text.partition("/")
    return namespace, name


def _is_headless(services: ServiceTable, place: Place) -> bool:
    declared = services.declared(*place)
    return declared is not None and declared.is_headless
