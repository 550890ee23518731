"""CircuitBreaker: stops calls to a Service that fails, and sends them to another one meanwhile (contract 7.breaker)."""

from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.conditions import PolicyStatus
from mesh.api.schema import member


@dataclass(frozen=True, slots=True)
class Destination:
    """The guarded Service; without a namespace it is the policy's own."""

    kind: str = member("Service.", choices=("Service",))
    name: str = member("Name of the Service.", min_length=1)
    namespace: str | None = member("Namespace of the Service.", default=None)


@dataclass(frozen=True, slots=True)
class Fallback:
    """Where calls go while the circuit is open."""

    service: str | None = member("The Service, as [namespace/]name.", default=None)
    port: int | None = member("Its port; 80 when none is given.", default=None, minimum=0, maximum=65535)


@dataclass(frozen=True, slots=True)
class CircuitBreakerSpec:
    """``errors`` within ``timeout_seconds`` open the circuit; it closes after ``timeout_seconds``."""

    destination: Destination = member("The Service that is guarded.")
    errors: int = member("Errors within the time that open the circuit.", minimum=0)
    timeout_seconds: int = member("The time in which errors count, and after which the circuit closes.", minimum=0)
    fallback: Fallback | None = member("The Service that takes over meanwhile.", default=None)


CIRCUIT_BREAKER = crd.Kind(
    group=names.GROUP_SPECS_NGINX,
    kind="CircuitBreaker",
    plural="circuitbreakers",
    short_names=("cb",),
    description="Stops calls to a Service that fails.",
    versions=(
        crd.Version(
            "v1alpha1", CircuitBreakerSpec, PolicyStatus, columns=(("Destination", "string", ".spec.destination.name"),)
        ),
    ),
)
