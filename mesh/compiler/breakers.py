"""CircuitBreakers as what callers of a Service must do (contract 7.breaker)."""

from typing import Final

from mesh.api.circuit_breaker import CircuitBreakerSpec
from mesh.api.policy import Policy
from mesh.compiler.book import DESTINATION_MISSING, Place, PolicyBook, Remarks
from mesh.compiler.services import ServiceTable
from mesh.model.policy import Breaker

CONFLICT: Final = "BreakerConflict"
FALLBACK_INVALID: Final = "BreakerFallbackInvalid"
NEVER_OPENS: Final = "BreakerNeverOpens"
DEFAULT_PORT: Final = 80


def compile_breakers(book: PolicyBook, services: ServiceTable, remarks: Remarks) -> dict[Place, Breaker]:
    """The circuit of each guarded Service."""
    found: dict[Place, Breaker] = {}
    for policy in book.breakers:
        spec = policy.spec
        place = (spec.destination.namespace, spec.destination.name)
        if place in found:
            text = f"CircuitBreaker {found[place].policy} is older and guards {'/'.join(place)} already"
            remarks.refuse(policy, CONFLICT, text)
            continue
        if services.declared(*place) is None:
            remarks.refuse(policy, DESTINATION_MISSING, f"the Service {'/'.join(place)} does not exist")
            continue
        if not spec.errors or not spec.timeout_seconds:
            text = "with 0 errors or 0 seconds the circuit never opens"
            remarks.say(policy, NEVER_OPENS, text)
        found[place] = Breaker(policy.key, spec.errors, spec.timeout_seconds, _fallback(policy, services, remarks))
    return found


def _fallback(policy: Policy[CircuitBreakerSpec], services: ServiceTable, remarks: Remarks) -> tuple[str, int] | None:
    """The Service that takes over; one that cannot is remarked, and none is there."""
    fallback = policy.spec.fallback
    if fallback is None or not fallback.service:
        return None
    port = fallback.port or DEFAULT_PORT
    namespace, _, name = fallback.service.partition("/")
    declared = services.declared(namespace, name)
    wrong = ""
    if declared is None:
        wrong = "does not exist"
    elif not any(found.port == port for found in services.ports(namespace, name)):
        wrong = f"has no TCP port {port}"
    elif not all(pod.group for pod in services.workloads(namespace).behind(declared) if pod.addresses):
        wrong = "has pods without a sidecar"
    if wrong:
        text = f"the fallback Service {fallback.service} {wrong}: an open circuit answers 503"
        remarks.say(policy, FALLBACK_INVALID, text)
        return None
    return fallback.service, port
