"""RateLimits as what the sidecars of their destination hold their callers to (contract 7.limits)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mesh.api import names
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


@dataclass(frozen=True, slots=True)
class _Applied:
    """A limit and where it holds: pods of the destination (by key) with their ports, and pods of the sources."""

    policy: Policy[RateLimitSpec]
    destinations: dict[str, tuple[Pod, Ports]]
    sources: tuple[tuple[ObjectReference, frozenset[str]], ...]


def compile_limits(book: PolicyBook, services: ServiceTable, remarks: Remarks) -> dict[str, tuple[Limit, ...]]:
    """The limits of each sidecar group. A limit that holds for some pods of a group only names them."""
    applied: list[_Applied] = []
    found: dict[str, list[Limit]] = {}
    for policy in book.limits:
        limit = _resolve(policy, services, remarks)
        older = next((one for one in applied if _conflict(one, limit)), None)
        if older:
            text = f"RateLimit {older.policy.key} is older and limits the same source at the same destination; it stays"
            remarks.refuse(policy, UPSERT_FAILED, text)
            continue
        applied.append(limit)
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
    return _Applied(policy, destinations, tuple(sources))


def _pods(reference: ObjectReference, services: ServiceTable) -> Iterator[tuple[Pod, Ports]]:
    """The pods that *reference* means, each with the ports that it means."""
    view = services.views.get(reference.namespace)
    if view is None:
        return
    if reference.kind == "Service":
        service = services.declared(reference.namespace, reference.name)
        if service:
            with_ports = ((pod, frozenset(target_ports(service, pod))) for pod in services.pods(service))
            yield from ((pod, ports) for pod, ports in with_ports if ports)
        return
    label, value = names.parent_label(reference.kind), names.label_value(reference.name)
    for pod in view.pods:
        if pod.name == reference.name if reference.kind == "Pod" else pod.labels.get(label) == value:
            yield pod, frozenset()


def _conflict(older: _Applied, younger: _Applied) -> bool:
    """Whether some caller of some pod would be held to both."""
    meet = any(
        not older.destinations[key][1] or not ports or older.destinations[key][1] & ports
        for key, (_, ports) in younger.destinations.items()
        if key in older.destinations
    )
    # Without pods there is nothing to compare but what is written.
    same_words = older.policy.spec.destination == younger.policy.spec.destination
    if not meet and not same_words:
        return False
    if not older.sources or not younger.sources:
        return not older.sources and not younger.sources
    written = {source for source, _ in older.sources}
    pods = {pod for _, found in older.sources for pod in found}
    return any(source in written or found & pods for source, found in younger.sources)


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
    everyone = {pod.key for pod in services.views[namespace].pods if pod.group == group}
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
