"""RateLimits as what the sidecars of their destination hold their callers to (contract 7.limits)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mesh.api.policy import Policy
from mesh.api.rate_limit import NODELAY, ObjectReference, RateLimitSpec, limit_status, microrequests
from mesh.compiler.book import PolicyBook, Remarks
from mesh.compiler.routes import matches_of
from mesh.compiler.services import ServiceTable, target_ports
from mesh.model.policy import NO_DELAY, HttpMatch, Limit, LimitSource
from mesh.model.snapshot import Pod

UPSERT_FAILED: Final = "UpsertRateLimitFailed"
SOURCE_MISSING: Final = "LimitSourceMissing"
DESTINATION_MISSING: Final = "LimitDestinationMissing"

Ports = frozenset[int]
"""Ports of a pod; none means every one that carries requests."""


@dataclass(frozen=True, slots=True, eq=False)
class _Applied:
    """A limit and where it holds: pods of the destination (by key) with their ports, and pods of the sources."""

    policy: Policy[RateLimitSpec]
    destinations: dict[str, tuple[Pod, Ports]]
    sources: tuple[tuple[ObjectReference, frozenset[str]], ...]
    written: frozenset[ObjectReference]
    callers: frozenset[str]


class _Held:
    """The limits that hold so far, found by where they do: by a pod of the destination, and by how it is written."""

    def __init__(self) -> None:
        self._by_pod: dict[str, list[_Applied]] = {}
        # Without pods there is nothing to compare but what is written.
        self._by_words: dict[ObjectReference, list[_Applied]] = {}

    def add(self, limit: _Applied) -> None:
        self._by_words.setdefault(limit.policy.spec.destination, []).append(limit)
        for key in limit.destinations:
            self._by_pod.setdefault(key, []).append(limit)

    def in_the_way(self, limit: _Applied) -> _Applied | None:
        """The oldest one that would hold some caller of some pod twice."""
        same_words = self._by_words.get(limit.policy.spec.destination, [])
        meeting = {one: None for key in limit.destinations for one in self._by_pod.get(key, ())}
        found = [one for one in same_words if _same_callers(one, limit)]
        found += [one for one in meeting if _same_callers(one, limit) and _same_ports(one, limit)]
        return min(found, key=lambda one: one.policy.age, default=None)


def compile_limits(book: PolicyBook, services: ServiceTable, remarks: Remarks) -> dict[str, tuple[Limit, ...]]:
    """The limits of each sidecar group. A limit that holds for some pods of a group only names them."""
    held = _Held()
    found: dict[str, list[Limit]] = {}
    for policy in book.limits:
        limit = _resolve(policy, services, remarks)
        older = held.in_the_way(limit)
        if older:
            text = f"RateLimit {older.policy.key} is older and limits the same source at the same destination; it stays"
            remarks.refuse(policy, UPSERT_FAILED, text)
            continue
        held.add(limit)
        matches = matches_of(policy, ((rule.name, rule.matches) for rule in policy.spec.rules), book, remarks)
        if policy.spec.rules and not matches:
            continue
        for group, members in _by_group(limit).items():
            found.setdefault(group, []).extend(_limits(limit, members, services, group, matches))
    return {group: tuple(limits) for group, limits in found.items()}


def _resolve(policy: Policy[RateLimitSpec], services: ServiceTable, remarks: Remarks) -> _Applied:
    spec = policy.spec
    destinations = {pod.key: (pod, ports) for pod, ports in _pods(spec.destination, services) if pod.group}
    if not destinations:
        text = f"no pod with a sidecar belongs to {_describe(spec.destination)}"
        remarks.say(policy, DESTINATION_MISSING, text)
    sources = []
    for source in spec.sources:
        pods = frozenset(pod.key for pod, _ in _pods(source, services) if pod.group)
        if not pods:
            text = f"no pod with a sidecar belongs to the source {_describe(source)}; its share of the rate is nobody's"
            remarks.say(policy, SOURCE_MISSING, text)
        sources.append((source, pods))
    callers = frozenset[str]().union(*(pods for _, pods in sources))
    return _Applied(policy, destinations, tuple(sources), frozenset(spec.sources), callers)


def _pods(reference: ObjectReference, services: ServiceTable) -> Iterator[tuple[Pod, Ports]]:
    """The pods that *reference* means, each with the ports that it means."""
    workloads = services.workloads(reference.namespace)
    if reference.kind == "Service":
        service = services.declared(reference.namespace, reference.name)
        if service:
            with_ports = ((pod, frozenset(target_ports(service, pod))) for pod in workloads.behind(service))
            yield from ((pod, ports) for pod, ports in with_ports if ports)
        return
    is_pod = reference.kind == "Pod"
    found = workloads.named(reference.name) if is_pod else workloads.owned_by(reference.kind, reference.name)
    yield from ((pod, frozenset()) for pod in found)


def _same_ports(older: _Applied, younger: _Applied) -> bool:
    """Whether they hold for one port of one pod."""
    return any(
        not older.destinations[key][1] or not ports or not older.destinations[key][1].isdisjoint(ports)
        for key, (_, ports) in younger.destinations.items()
        if key in older.destinations
    )


def _same_callers(older: _Applied, younger: _Applied) -> bool:
    """Whether both name some caller, or both are for everyone else."""
    if not older.sources or not younger.sources:
        return not older.sources and not younger.sources
    return not older.written.isdisjoint(younger.written) or not older.callers.isdisjoint(younger.callers)


def _by_group(limit: _Applied) -> dict[str, dict[str, Ports]]:
    groups: dict[str, dict[str, Ports]] = {}
    for key, (pod, ports) in limit.destinations.items():
        groups.setdefault(pod.group, {})[key] = ports
    return groups


def _limits(
    limit: _Applied, members: dict[str, Ports], services: ServiceTable, group: str, matches: tuple[HttpMatch, ...]
) -> Iterator[Limit]:
    policy, spec = limit.policy, limit.policy.spec
    namespace = next(iter(members)).partition("/")[0]
    everyone = services.workloads(namespace).of_group(group)
    by_ports: dict[Ports, set[str]] = {}
    for key, ports in members.items():
        by_ports.setdefault(ports, set()).add(key)
    for ports, pods in sorted(by_ports.items(), key=lambda row: sorted(row[0])):
        yield Limit(
            policy=policy.key,
            microrequests=microrequests(spec.rate) // max(1, len(spec.sources)),
            burst=spec.burst,
            delay=NO_DELAY if spec.delay == NODELAY else int(spec.delay or 0),
            status=limit_status(policy),
            ports=tuple(sorted(ports)),
            sources=tuple(LimitSource(_describe(source), tuple(sorted(found))) for source, found in limit.sources),
            matches=matches,
            pods=() if pods == everyone else tuple(sorted(pods)),
        )


def _describe(reference: ObjectReference) -> str:
    return f"{reference.kind} {reference.namespace}/{reference.name}"
