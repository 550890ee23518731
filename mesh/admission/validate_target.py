"""TrafficTargets: what they allow less than it seems (contract 7.webhook)."""

from collections.abc import Iterator

from mesh.admission.route_references import Reference, missing_routes
from mesh.admission.verdict import Surroundings
from mesh.api.policy import Policy
from mesh.api.tcp_route import TCP_ROUTE
from mesh.api.traffic_target import TrafficTargetSpec

Target = Policy[TrafficTargetSpec]


def target_warnings(policy: Target, around: Surroundings) -> Iterator[str]:
    """Nobody allowed, routes that are not there, fields that count for nothing."""
    if not policy.spec.sources:
        yield "spec.sources: without any, this target allows nobody, and the destination is closed to others"
    for index, source in enumerate(policy.spec.sources):
        if source.port is not None:
            yield f"spec.sources[{index}].port counts for nothing: a caller is known by its service account alone"
    for index, rule in enumerate(policy.spec.rules):
        if rule.kind == TCP_ROUTE.kind and rule.matches:
            yield f"spec.rules[{index}].matches counts for nothing: a TCPRoute is all TCP traffic"
    yield from missing_routes(policy.namespace, references(policy), around)


def references(policy: Target) -> list[Reference]:
    """The routes that it names."""
    return [
        Reference(f"spec.rules[{index}]", rule.kind, rule.name, rule.matches if rule.kind != TCP_ROUTE.kind else ())
        for index, rule in enumerate(policy.spec.rules)
    ]
