"""RateLimit: how many requests a destination takes, evenly divided among its sources (contract 7.limits)."""

from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.conditions import PolicyStatus
from mesh.api.schema import IntOrString, member

RATE_PATTERN = "^[0-9]+r/[sm]$"


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """A Pod, Deployment, DaemonSet, StatefulSet or Service; without a namespace it is the policy's own."""

    kind: str = member("Pod, Deployment, DaemonSet, StatefulSet or Service.", min_length=1)
    name: str = member("Name of the object.", min_length=1)
    namespace: str | None = member("Namespace of the object.", default=None)


@dataclass(frozen=True, slots=True)
class RouteRule:
    """Requests to which the limit applies."""

    kind: str = member("HTTPRouteGroup.", choices=("HTTPRouteGroup",))
    name: str = member("Name of the group, in the policy's namespace.", min_length=1)
    matches: tuple[str, ...] = member("Names of the group's matches; none means all of them.", default=())


@dataclass(frozen=True, slots=True)
class RateLimitSpecAlpha1:
    """v1alpha1: a limit for all requests. ``delay`` is a number of requests or ``nodelay``, as in NGINX."""

    name: str = member("Name of this limit.", min_length=1)
    destination: ObjectReference = member("What is protected.")
    rate: str = member(
        "Requests per second or minute.", pattern=RATE_PATTERN, takes="a number with r/s or r/m, such as 10r/s"
    )
    sources: tuple[ObjectReference, ...] = member(
        "Whom it limits; none means all whom no other limit names.", default=()
    )
    burst: int | None = member("Requests above the rate that are let in.", default=None, minimum=0)
    delay: IntOrString | None = member("Requests above the rate after which the others wait, or nodelay.", default=None)


@dataclass(frozen=True, slots=True)
class RateLimitSpec(RateLimitSpecAlpha1):
    """v1alpha2 adds ``rules``: a request is limited when it fits one of them."""

    rules: tuple[RouteRule, ...] = member("Requests to which the limit applies; none means all.", default=())


_COLUMNS = (("Destination", "string", ".spec.destination.name"), ("Rate", "string", ".spec.rate"))

RATE_LIMIT = crd.Kind(
    group=names.GROUP_SPECS_NGINX,
    kind="RateLimit",
    plural="ratelimits",
    short_names=("rl",),
    description="Limits the rate of requests to a destination.",
    versions=(
        crd.Version(
            "v1alpha1", RateLimitSpecAlpha1, PolicyStatus, spec_required=False, storage=False, columns=_COLUMNS
        ),
        crd.Version("v1alpha2", RateLimitSpec, PolicyStatus, spec_required=False, columns=_COLUMNS),
    ),
)
