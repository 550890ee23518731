"""RateLimit: how many requests a destination takes, evenly divided among its sources (contract 7.limits)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from mesh.api import crd, names
from mesh.api.conditions import STATE_COLUMNS, WIDE_STATE_COLUMNS, PolicyStatus
from mesh.api.dns_names import is_label, is_subdomain, namespace_problems, subdomain_problems
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.policy import Policy, parse_policy
from mesh.api.schema import IntOrString, member

RATE_PATTERN = "^[0-9]+r/[sm]$"
RATE_TAKES: Final = "a number with r/s or r/m, such as 10r/s"
HIGHEST: Final = 1_000_000
NODELAY: Final = "nodelay"
WORKLOAD_KINDS: Final = ("Pod", "Deployment", "DaemonSet", "StatefulSet", "Service")
STATUSES: Final = ("503", "429")

_SECONDS = {"s": 1, "m": 60}


def _kind_problems(place: str, kind: str) -> Iterator[Problem]:
    if kind not in WORKLOAD_KINDS:
        yield Problem(place, quote(kind), "one of " + ", ".join(WORKLOAD_KINDS))


def _rate_problems(place: str, rate: str) -> Iterator[Problem]:
    number = rate.partition("r")[0].lstrip("0")
    if not number:
        yield Problem(place, quote(rate), RATE_TAKES, "a TrafficTarget closes a destination, no rate of 0 does")
    elif len(number) > len(str(HIGHEST)) or int(number) > HIGHEST:
        yield Problem(place, quote(rate), f"at most {HIGHEST} requests")


def _burst_problems(place: str, burst: int) -> Iterator[Problem]:
    if burst > HIGHEST:
        yield Problem(place, quote(burst), f"a whole number from 0 to {HIGHEST}")


def _delay_problems(place: str, delay: int | str) -> Iterator[Problem]:
    number = _number(delay)
    if delay != NODELAY and not (isinstance(number, int) and 0 <= number <= HIGHEST):
        yield Problem(place, quote(delay), f"a whole number from 0 to {HIGHEST}, or {NODELAY}")


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """A Pod, Deployment, DaemonSet, StatefulSet or Service; without a namespace it is the policy's own."""

    kind: str = member("Pod, Deployment, DaemonSet, StatefulSet or Service.", min_length=1, check=_kind_problems)
    name: str = member("Name of the object.", min_length=1, check=subdomain_problems)
    namespace: str = member("Namespace of the object.", default="", check=namespace_problems)


@dataclass(frozen=True, slots=True)
class RouteRule:
    """Requests to which the limit applies."""

    kind: str = member("HTTPRouteGroup.", choices=("HTTPRouteGroup",))
    name: str = member("Name of the group, in the policy's namespace.", min_length=1, check=subdomain_problems)
    matches: tuple[str, ...] = member("Names of the group's matches; none means all of them.", default=())


@dataclass(frozen=True, slots=True)
class RateLimitSpecAlpha1:
    """v1alpha1: a limit for all requests. ``delay`` is a number of requests or ``nodelay``, as in NGINX."""

    name: str = member("Name of this limit.", min_length=1)
    destination: ObjectReference = member("What is protected.")
    rate: str = member("Requests per second or minute.", pattern=RATE_PATTERN, takes=RATE_TAKES, check=_rate_problems)
    sources: tuple[ObjectReference, ...] = member(
        "Whom it limits; none means all whom no other limit names.", default=()
    )
    burst: int = member("Requests above the rate that are let in.", default=0, minimum=0, check=_burst_problems)
    delay: IntOrString | None = member(
        "Requests above the rate after which the others wait, or nodelay.", default=None, check=_delay_problems
    )


@dataclass(frozen=True, slots=True)
class RateLimitSpec(RateLimitSpecAlpha1):
    """v1alpha2 adds ``rules``: a request is limited when it fits one of them."""

    rules: tuple[RouteRule, ...] = member("Requests to which the limit applies; none means all.", default=())


_COLUMNS = (("Destination", "string", ".spec.destination.name"), ("Rate", "string", ".spec.rate"), *STATE_COLUMNS)
_WIDE = (("Burst", "integer", ".spec.burst"), *WIDE_STATE_COLUMNS)

RATE_LIMIT = crd.Kind(
    group=names.GROUP_SPECS_NGINX,
    kind="RateLimit",
    plural="ratelimits",
    short_names=("rl",),
    description="Limits the rate of requests to a destination.",
    versions=(
        crd.Version(
            "v1alpha1",
            RateLimitSpecAlpha1,
            PolicyStatus,
            spec_required=False,
            storage=False,
            columns=_COLUMNS,
            wide=_WIDE,
        ),
        crd.Version("v1alpha2", RateLimitSpec, PolicyStatus, spec_required=False, columns=_COLUMNS, wide=_WIDE),
    ),
)


def parse_rate_limit(manifest: Mapping[str, Any], *, strict: bool = False) -> Policy[RateLimitSpec]:
    """Read a RateLimit of either version. Raises InvalidInputError with every problem.

    In the result every reference has its namespace, a source that is named twice stands there once, and ``delay`` is a
    number or ``nodelay``: 0 where none was given, which makes all that exceeds the rate wait.
    """
    policy = parse_policy(RATE_LIMIT, manifest, strict=strict)
    spec: RateLimitSpecAlpha1 = policy.spec
    home = policy.namespace
    problems = [*_reference_problems(spec), *_annotation_problems(policy.annotations)]
    if problems:
        raise InvalidInputError(problems)
    given = {one.name: getattr(spec, one.name) for one in fields(spec)}
    given |= {
        "destination": _at_home(spec.destination, home),
        "sources": tuple(dict.fromkeys(_at_home(source, home) for source in spec.sources)),
        "delay": _number(spec.delay or 0),
    }
    return replace(policy, spec=RateLimitSpec(**given))


def microrequests(rate: str) -> int:
    """A rate that was parsed, in millionths of a request per second, rounded down."""
    number, _, unit = rate.partition("r/")
    return int(number) * 1_000_000 // _SECONDS[unit]


def limit_status(policy: Policy[RateLimitSpec]) -> int:
    """The HTTP status of what exceeds the limit."""
    return int(policy.annotations.get(names.ANNOTATION_LIMIT_STATUS, STATUSES[0]))


def _number(delay: int | str) -> int | str:
    """A number may be given as text, since the field takes both."""
    return int(delay) if isinstance(delay, str) and delay.isascii() and delay.isdigit() and len(delay) < 9 else delay


def _at_home(reference: ObjectReference, namespace: str) -> ObjectReference:
    return reference if reference.namespace else replace(reference, namespace=namespace)


def _reference_problems(spec: RateLimitSpecAlpha1) -> Iterator[Problem]:
    places = {"spec.destination": spec.destination}
    places |= {f"spec.sources[{index}]": source for index, source in enumerate(spec.sources)}
    for place, reference in places.items():
        if reference.kind == "Service" and is_subdomain(reference.name) and not is_label(reference.name):
            yield Problem(f"{place}.name", quote(reference.name), "a name without dots, as Services have")


def _annotation_problems(annotations: Mapping[str, str]) -> Iterator[Problem]:
    status = annotations.get(names.ANNOTATION_LIMIT_STATUS)
    if status is not None and status not in STATUSES:
        yield Problem(f"annotation {names.ANNOTATION_LIMIT_STATUS}", quote(status), " or ".join(STATUSES))
