"""CircuitBreaker: stops calls to a Service that fails, and sends them to another one meanwhile (contract 7.breaker)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mesh.api import crd, names
from mesh.api.conditions import STATE_COLUMNS, WIDE_STATE_COLUMNS, PolicyStatus
from mesh.api.dns_names import is_label, label_problems, namespace_problems
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.policy import Policy, parse_policy
from mesh.api.schema import member

MOST_ERRORS: Final = 1000
LONGEST_SECONDS: Final = 86_400
FALLBACK_PORT: Final = 80


def _errors_problems(place: str, errors: int) -> Iterator[Problem]:
    if errors > MOST_ERRORS:
        yield Problem(place, quote(errors), f"a whole number from 0 to {MOST_ERRORS}")


def _seconds_problems(place: str, seconds: int) -> Iterator[Problem]:
    if seconds > LONGEST_SECONDS:
        yield Problem(place, quote(seconds), f"seconds from 0 to {LONGEST_SECONDS}, a day")


def _fallback_problems(place: str, text: str) -> Iterator[Problem]:
    namespace, slash, name = text.rpartition("/")
    if not is_label(name) or (slash and not is_label(namespace)):
        yield Problem(place, quote(text), "[namespace/]name of a Service")


def _port_problems(place: str, port: int) -> Iterator[Problem]:
    if port == 0:
        yield Problem(place, "0", "a port from 1 to 65535", f"leave it out for {FALLBACK_PORT}")


@dataclass(frozen=True, slots=True)
class Destination:
    """The guarded Service; without a namespace it is the policy's own."""

    kind: str = member("Service.", choices=("Service",))
    name: str = member("Name of the Service.", min_length=1, check=label_problems)
    namespace: str = member("Namespace of the Service.", default="", check=namespace_problems)


@dataclass(frozen=True, slots=True)
class Fallback:
    """Where calls go while the circuit is open."""

    service: str = member("The Service, as [namespace/]name.", default="", check=_fallback_problems)
    port: int = member(
        "Its port; 80 when none is given.", default=FALLBACK_PORT, minimum=0, maximum=65535, check=_port_problems
    )


@dataclass(frozen=True, slots=True)
class CircuitBreakerSpec:
    """``errors`` within ``timeout_seconds`` open the circuit; it closes after ``timeout_seconds``."""

    destination: Destination = member("The Service that is guarded.")
    errors: int = member("Errors within the time that open the circuit.", minimum=0, check=_errors_problems)
    timeout_seconds: int = member(
        "The time in which errors count, and after which the circuit closes.", minimum=0, check=_seconds_problems
    )
    fallback: Fallback | None = member("The Service that takes over meanwhile.", default=None)


CIRCUIT_BREAKER = crd.Kind(
    group=names.GROUP_SPECS_NGINX,
    kind="CircuitBreaker",
    plural="circuitbreakers",
    short_names=("cb",),
    description="Stops calls to a Service that fails.",
    versions=(
        crd.Version(
            "v1alpha1",
            CircuitBreakerSpec,
            PolicyStatus,
            columns=(
                ("Destination", "string", ".spec.destination.name"),
                ("Errors", "integer", ".spec.errors"),
                ("Seconds", "integer", ".spec.timeoutSeconds"),
                *STATE_COLUMNS,
            ),
            wide=(("Fallback", "string", ".spec.fallback.service"), *WIDE_STATE_COLUMNS),
        ),
    ),
)


def parse_circuit_breaker(manifest: Mapping[str, Any], *, strict: bool = False) -> Policy[CircuitBreakerSpec]:
    """Read a CircuitBreaker. Raises InvalidInputError with every problem.

    In the result the destination has its namespace, and a fallback is ``namespace/name`` with a port. A bare fallback name
    means the destination's namespace, the only one in which a fallback may be. A fallback without a Service is none.
    """
    policy: Policy[CircuitBreakerSpec] = parse_policy(CIRCUIT_BREAKER, manifest, strict=strict)
    spec = policy.spec
    destination = replace(spec.destination, namespace=spec.destination.namespace or policy.namespace)
    fallback = _full_fallback(spec.fallback, destination)
    if fallback and (problems := list(_place_problems(fallback, destination))):
        raise InvalidInputError(problems)
    return replace(policy, spec=replace(spec, destination=destination, fallback=fallback))


def _full_fallback(fallback: Fallback | None, destination: Destination) -> Fallback | None:
    if fallback is None or not fallback.service:
        return None
    has_namespace = "/" in fallback.service
    return fallback if has_namespace else replace(fallback, service=f"{destination.namespace}/{fallback.service}")


def _place_problems(fallback: Fallback, destination: Destination) -> Iterator[Problem]:
    namespace, _, name = fallback.service.partition("/")
    if namespace != destination.namespace:
        takes = f"a Service in the destination's namespace {quote(destination.namespace)}"
        yield Problem("spec.fallback.service", quote(fallback.service), takes)
    elif name == destination.name:
        takes = "another Service than the destination"
        yield Problem("spec.fallback.service", quote(fallback.service), takes, "it is the one that fails")
