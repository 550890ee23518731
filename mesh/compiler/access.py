"""TrafficTargets as what the sidecars of their destination let in (contract 7.access)."""

from typing import Final

from mesh.api.policy import Policy
from mesh.api.tcp_route import TCP_ROUTE
from mesh.api.traffic_target import TrafficTargetSpec
from mesh.compiler.book import Place, PolicyBook, Remarks
from mesh.compiler.routes import GROUP_MISSING, matches_of
from mesh.model.identity import workload_identity
from mesh.model.policy import Target

WITHOUT_SOURCES: Final = "TargetWithoutSources"


def compile_access(book: PolicyBook, trust_domain: str, remarks: Remarks) -> dict[Place, tuple[Target, ...]]:
    """The targets of each service account that has some; a faulty one closes its account and opens it to nobody."""
    found: dict[Place, list[Target]] = {}
    for policy in book.targets:
        destination = policy.spec.destination
        target = _target(policy, book, trust_domain, remarks)
        found.setdefault((destination.namespace, destination.name), []).append(target)
    for faulty in book.faulty:
        if faulty.closes:
            found.setdefault(faulty.closes, [])
    return {place: tuple(targets) for place, targets in found.items()}


def _target(policy: Policy[TrafficTargetSpec], book: PolicyBook, trust_domain: str, remarks: Remarks) -> Target:
    spec = policy.spec
    if not spec.sources:
        remarks.say(policy, WITHOUT_SOURCES, "without sources it allows nobody")
    tcp_routes = [rule for rule in spec.rules if rule.kind == TCP_ROUTE.kind]
    for rule in tcp_routes:
        if (policy.namespace, rule.name) not in book.tcp_routes:
            remarks.say(policy, GROUP_MISSING, f"TCPRoute {rule.name} does not exist: no connection fits it")
    groups = [(rule.name, rule.matches) for rule in spec.rules if rule.kind != TCP_ROUTE.kind]
    return Target(
        policy.key,
        tuple(sorted({str(workload_identity(trust_domain, row.namespace, row.name)) for row in spec.sources})),
        spec.destination.port or 0,
        everything=not spec.rules,
        tcp=any((policy.namespace, rule.name) in book.tcp_routes for rule in tcp_routes),
        matches=matches_of(policy, groups, book, remarks),
    )
