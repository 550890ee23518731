"""TrafficSplits beside other ones: one without matches for each root, and no circles (contract 7.webhook)."""

from collections.abc import Iterator, Sequence

from mesh.admission.route_references import Reference, missing_routes
from mesh.admission.verdict import Surroundings, missing_service, others
from mesh.api.errors import Problem, quote
from mesh.api.http_route_group import HTTP_ROUTE_GROUP
from mesh.api.policy import Policy
from mesh.api.traffic_split import TrafficSplitSpec

Split = Policy[TrafficSplitSpec]


def split_problems(policy: Split, around: Surroundings) -> Iterator[Problem]:
    """Why it cannot stand beside the others."""
    neighbours = [one for one in others(around, policy) if one.namespace == policy.namespace]
    spec = policy.spec
    rival = next((one for one in neighbours if one.spec.service == spec.service and not one.spec.matches), None)
    if rival and not spec.matches:
        takes = f"one split without matches for a Service, and {rival.name} is the one"
        yield Problem("spec.service", quote(spec.service), takes, "change that one, or give this one matches")
    circle = _circle(policy, neighbours)
    if circle:
        takes = "backends from which no split leads back to the root"
        yield Problem("spec.backends", " > ".join(circle), takes)


def split_warnings(policy: Split, around: Surroundings) -> Iterator[str]:
    """What is not there yet."""
    yield from missing_service(around, "spec.service", policy.namespace, policy.spec.service)
    for index, backend in enumerate(policy.spec.backends):
        yield from missing_service(around, f"spec.backends[{index}].service", policy.namespace, backend.service)
    yield from missing_routes(policy.namespace, references(policy), around)


def references(policy: Split) -> list[Reference]:
    """The route groups that it names."""
    return [
        Reference(f"spec.matches[{index}]", HTTP_ROUTE_GROUP.kind, match.name)
        for index, match in enumerate(policy.spec.matches)
    ]


def _circle(policy: Split, neighbours: Sequence[Split]) -> list[str]:
    """A way from the root over backends back to the root, if there is one; a weight of 0 may be another one tomorrow."""
    edges: dict[str, list[str]] = {}
    for one in (policy, *neighbours):
        # A share that is the root itself is the root's own endpoints, and is not split again.
        ways = [row.service for row in one.spec.backends if row.service != one.spec.service]
        edges.setdefault(one.spec.service, []).extend(ways)
    root = policy.spec.service
    paths, seen = [[root]], set[str]()
    while paths:
        path = paths.pop()
        for service in edges.get(path[-1], ()):
            if service == root:
                return [*path, root]
            if service not in seen:
                seen.add(service)
                paths.append([*path, service])
    return []
