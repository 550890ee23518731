"""All policies of a cluster by kind, and what the compiler says of each (contract 7.order, 7.status)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mesh.api.circuit_breaker import CIRCUIT_BREAKER, CircuitBreakerSpec
from mesh.api.http_route_group import HTTP_ROUTE_GROUP, HttpRouteGroupSpec
from mesh.api.policy import Policy
from mesh.api.rate_limit import RATE_LIMIT, RateLimitSpec
from mesh.api.tcp_route import TCP_ROUTE, TcpRouteSpec
from mesh.api.traffic_split import TRAFFIC_SPLIT, TrafficSplitSpec
from mesh.api.traffic_target import TRAFFIC_TARGET, TrafficTargetSpec
from mesh.compiler.finding import Finding
from mesh.compiler.outcome import PolicyKey, PolicyOutcome
from mesh.model.snapshot import FaultyPolicy, NamespaceView

Place = tuple[str, str]
"""Namespace and name."""

VALID: Final = "Valid"
INVALID: Final = "InvalidPolicy"
DESTINATION_MISSING: Final = "DestinationMissing"


@dataclass(frozen=True, slots=True)
class PolicyBook:
    """The policies of a cluster; of each kind the oldest comes first, and has what two of them want."""

    splits: tuple[Policy[TrafficSplitSpec], ...] = ()
    targets: tuple[Policy[TrafficTargetSpec], ...] = ()
    limits: tuple[Policy[RateLimitSpec], ...] = ()
    breakers: tuple[Policy[CircuitBreakerSpec], ...] = ()
    groups: Mapping[Place, Policy[HttpRouteGroupSpec]] = field(default_factory=dict)
    tcp_routes: Mapping[Place, Policy[TcpRouteSpec]] = field(default_factory=dict)
    faulty: tuple[FaultyPolicy, ...] = ()

    def all(self) -> Iterator[Policy[Any]]:
        """Every policy that was read."""
        yield from (*self.splits, *self.targets, *self.limits, *self.breakers)
        yield from (*self.groups.values(), *self.tcp_routes.values())


def collect(views: Iterable[NamespaceView]) -> PolicyBook:
    """Bring the policies of all namespaces together."""
    by_kind: dict[str, list[Policy[Any]]] = {}
    faulty: list[FaultyPolicy] = []
    for view in views:
        faulty.extend(view.faulty)
        for policy in view.policies:
            by_kind.setdefault(policy.kind, []).append(policy)

    def oldest_first(kind: str) -> tuple[Policy[Any], ...]:
        return tuple(sorted(by_kind.get(kind, ()), key=lambda policy: policy.age))

    def by_place(kind: str) -> dict[Place, Policy[Any]]:
        return {(policy.namespace, policy.name): policy for policy in oldest_first(kind)}

    return PolicyBook(
        oldest_first(TRAFFIC_SPLIT.kind),
        oldest_first(TRAFFIC_TARGET.kind),
        oldest_first(RATE_LIMIT.kind),
        oldest_first(CIRCUIT_BREAKER.kind),
        by_place(HTTP_ROUTE_GROUP.kind),
        by_place(TCP_ROUTE.kind),
        tuple(faulty),
    )


@dataclass(slots=True)
class Remarks:
    """What is said of policies while they are compiled."""

    _said: dict[PolicyKey, list[tuple[str, str]]] = field(default_factory=dict)
    _refused: dict[PolicyKey, tuple[str, str]] = field(default_factory=dict)
    _groups: dict[PolicyKey, set[str]] = field(default_factory=dict)

    def say(self, policy: Policy[Any], reason: str, message: str) -> None:
        """Something of *policy* has no effect as written."""
        rows = self._said.setdefault(_key(policy), [])
        if (reason, message) not in rows:
            rows.append((reason, message))

    def refuse(self, policy: Policy[Any], reason: str, message: str) -> None:
        """Nothing of *policy* holds."""
        self.say(policy, reason, message)
        self._refused.setdefault(_key(policy), (reason, message))

    def is_refused(self, policy: Policy[Any]) -> bool:
        """Whether nothing of *policy* holds."""
        return _key(policy) in self._refused

    def concerns(self, key: PolicyKey, groups: Iterable[str]) -> None:
        """The sidecars of *groups* must know of the policy."""
        self._groups.setdefault(key, set()).update(groups)

    def groups(self, key: PolicyKey) -> frozenset[str]:
        """The groups that were noted for a policy."""
        return frozenset(self._groups.get(key, ()))

    def findings(self, book: PolicyBook) -> Iterator[Finding]:
        """Everything that people should know."""
        for (kind, namespace, name), rows in self._said.items():
            yield from (Finding(kind, namespace, name, reason, message) for reason, message in rows)
        for row in book.faulty:
            yield Finding(row.kind, row.namespace, row.name, INVALID, _told(row))

    def outcomes(self, book: PolicyBook) -> dict[PolicyKey, PolicyOutcome]:
        """What became of every policy."""
        found = {_key(policy): self._outcome(policy) for policy in book.all()}
        for row in book.faulty:
            key = PolicyKey(row.kind, row.namespace, row.name)
            found[key] = PolicyOutcome(False, INVALID, _told(row), frozenset(), row.generation)
        return found

    def _outcome(self, policy: Policy[Any]) -> PolicyOutcome:
        key = _key(policy)
        groups = self.groups(key)
        if key in self._refused:
            return PolicyOutcome(False, *self._refused[key], groups, policy.generation)
        # Sorted: in which order they were found depends on that of events, and a status would change for it.
        said = "; ".join(sorted(message for _, message in self._said.get(key, ())))
        return PolicyOutcome(True, VALID, said, groups, policy.generation)


def _told(row: FaultyPolicy) -> str:
    if row.closes:
        return f"{row.message}; it allows nobody, and service account {'/'.join(row.closes)} is closed to all whom no other allows"
    return f"{row.message}; it counts as absent"


def _key(policy: Policy[Any]) -> PolicyKey:
    return PolicyKey(policy.kind, policy.namespace, policy.name)
