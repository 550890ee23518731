"""RateLimits beside other ones: a source has one limit at a destination, the one that came first (contract 7.webhook)."""

from collections.abc import Iterator

from mesh.admission.route_references import Reference, missing_routes
from mesh.admission.verdict import Surroundings, missing_service, others
from mesh.api.errors import Problem
from mesh.api.policy import Policy
from mesh.api.rate_limit import NODELAY, ObjectReference, RateLimitSpec

Limit = Policy[RateLimitSpec]


def limit_problems(policy: Limit, around: Surroundings) -> Iterator[Problem]:
    """Which of its sources another limit of the same destination has."""
    spec = policy.spec
    for other in others(around, policy):
        if other.spec.destination != spec.destination:
            continue
        remedy = f"change RateLimit {other.key}, or delete it first"
        if not spec.sources and not other.spec.sources:
            takes = f"one limit without sources for {_words(spec.destination)}, and {other.key} is the one"
            yield Problem("spec.sources", "none", takes, remedy)
        for index, source in enumerate(spec.sources):
            if source in other.spec.sources:
                takes = f"a source that {other.key} does not limit at {_words(spec.destination)} already"
                yield Problem(f"spec.sources[{index}]", _words(source), takes, remedy)


def limit_warnings(policy: Limit, around: Surroundings) -> Iterator[str]:
    """What is not there yet, and a delay that no request reaches."""
    spec = policy.spec
    places = {"spec.destination": spec.destination}
    places |= {f"spec.sources[{index}]": source for index, source in enumerate(spec.sources)}
    for place, reference in places.items():
        if reference.kind == "Service":
            yield from missing_service(around, place, reference.namespace, reference.name)
    if spec.delay not in {0, NODELAY} and not spec.burst:
        yield "spec.delay counts for nothing without a burst: all that exceeds the rate is refused"
    yield from missing_routes(policy.namespace, references(policy), around)


def references(policy: Limit) -> list[Reference]:
    """The route groups that it names."""
    return [
        Reference(f"spec.rules[{index}]", rule.kind, rule.name, rule.matches)
        for index, rule in enumerate(policy.spec.rules)
    ]


def _words(reference: ObjectReference) -> str:
    return f"{reference.kind} {reference.namespace}/{reference.name}"
