"""CircuitBreakers: what keeps one from opening, and where it would lead (contract 7.webhook)."""

from collections.abc import Iterator

from mesh.admission.verdict import Surroundings, missing_service, others
from mesh.api.circuit_breaker import CircuitBreakerSpec
from mesh.api.policy import Policy


def breaker_warnings(policy: Policy[CircuitBreakerSpec], around: Surroundings) -> Iterator[str]:
    """A circuit that never opens, a second one for a Service, Services that are not there."""
    spec = policy.spec
    destination = spec.destination
    if not spec.errors or not spec.timeout_seconds:
        place = "spec.timeoutSeconds" if spec.errors else "spec.errors"
        yield f"{place}: with 0 the circuit never opens"
    for other in others(around, policy):
        if other.spec.destination == destination:
            yield f"spec.destination: CircuitBreaker {other.key} is for the same Service; the oldest one counts"
    yield from missing_service(around, "spec.destination", destination.namespace, destination.name)
    if spec.fallback:
        namespace, _, name = spec.fallback.service.partition("/")
        yield from missing_service(around, "spec.fallback.service", namespace, name)
