"""What traffic policies come to for one sidecar: values that documents carry and `mesh.decide` judges by (contract 7).

``policy`` is always ``namespace/name`` of the object that asked for it: refusals name it, and `meshctl why` finds it.
"""

from dataclasses import dataclass
from typing import Final

NO_DELAY: Final = -1


@dataclass(frozen=True, slots=True, order=True)
class HttpMatch:
    """One match of a route group; a request fits when it fits every criterion given.

    ``path`` is a PCRE, searched (not anchored) in the normalised path without its query, empty for any. ``methods`` are
    compared letter by letter, none for any. ``headers`` are (name in lower case, PCRE), sorted; an empty pattern takes
    any value of a header that is there. Values of a repeated header are joined by ``", "``.
    """

    path: str = ""
    methods: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """A backend of a split: a port of a Service in scope, ``service`` as ``namespace/name``, and its weight."""

    service: str
    port: int
    weight: int


@dataclass(frozen=True, slots=True, order=True)
class Split:
    """Requests that fit one of ``matches`` (all of them, without any) go to ``shares`` by weight (contract 7.split).

    Shares of weight 0 and those whose Service has no endpoint count for nothing; when nothing is left, the root's own
    endpoints answer. A share that is the root Service itself means the root's own endpoints; any other one is split
    in turn where it has splits of its own. Of several splits of a root, the first one that fits counts.
    """

    policy: str
    shares: tuple[Share, ...]
    matches: tuple[HttpMatch, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Breaker:
    """``errors`` of a Service within ``timeout_seconds`` open its circuit for ``timeout_seconds`` (contract 7.breaker).

    One circuit for all ports of the Service, in each calling sidecar. ``fallback`` is (``namespace/name``, port) of a
    Service in scope. 0 errors or 0 seconds never open it.
    """

    policy: str
    errors: int
    timeout_seconds: int
    fallback: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """Who may call this group's pods, on what (contract 7.access).

    ``sources`` are SPIFFE IDs; none means nobody. ``port`` is one of the pod's ports, 0 for every one. With ``everything``
    there is no rule; else requests on http and grpc ports must fit one of ``matches``, and connections to tcp ports need ``tcp``.
    """

    policy: str
    sources: tuple[str, ...] = ()
    port: int = 0
    everything: bool = False
    tcp: bool = False
    matches: tuple[HttpMatch, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class LimitSource:
    """One source of a rate limit, with a bucket of its own: ``name`` for people, ``pods`` as ``namespace/name``."""

    name: str
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Limit:
    """How fast requests to each of this group's pods may come, by buckets as in NGINX's limit_req (contract 7.limits).

    ``microrequests`` per second fill each bucket: the policy's rate divided by its sources. ``burst`` requests above the
    rate are let in; those beyond ``delay`` of them wait (NO_DELAY: none waits). ``status`` answers the excess. ``ports`` are the pod's
    that it holds for, none for all http and grpc ones; ``matches`` narrow it, none for all requests. Without
    ``sources`` it has one bucket, for all callers whom no other limit of the group names. ``pods`` are those of the group
    (``namespace/name``) that it holds for, none for all of them.
    """

    policy: str
    microrequests: int
    burst: int = 0
    delay: int = 0
    status: int = 503
    ports: tuple[int, ...] = ()
    sources: tuple[LimitSource, ...] = ()
    matches: tuple[HttpMatch, ...] = ()
    pods: tuple[str, ...] = ()
