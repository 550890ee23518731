"""Is it limited: which rate limit holds for a request, and its leaky bucket (contract 7.limits).

The bucket is that of NGINX's limit_req: ``excess`` is what has come and not run out yet, in thousandths of a request.
"""

from dataclasses import dataclass
from typing import Final

from mesh.decide.request import Request
from mesh.decide.routes import first_fit
from mesh.model.policy import NO_DELAY, Limit
from mesh.model.sidecar_config import SidecarConfig

REQUEST: Final = 1000
"""One request, in the unit of excess."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The state of one bucket; ``last_ms`` is when the latest request was let in."""

    excess: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Admission:
    """``delay_ms``: how long the request waits first; None: it is refused."""

    delay_ms: int | None


@dataclass(frozen=True, slots=True)
class Applied:
    """The limit that holds for a request, and which of its buckets; 0 is the one for everyone else."""

    limit: Limit
    bucket: int = 0


def limit_for(config: SidecarConfig, request: Request, called: str = "") -> Applied | None:
    """Return the limit that holds for *request* at the pod *called* (``namespace/name``) of *config*: the first that
    names its caller or, when none does, takes everyone else. Raises BadTargetError.
    """
    if config.transparent or not request.is_http:
        return None
    limits = [limit for limit in config.limits if not limit.pods or called in limit.pods]
    named = [applied for limit in limits if (applied := _bucket_of(limit, request.pod))]
    others = [Applied(limit) for limit in limits if not limit.sources]
    return next((applied for applied in named or others if _holds(applied.limit, request)), None)


def take(limit: Limit, bucket: Bucket | None, now_ms: int) -> tuple[Bucket | None, Admission]:
    """Let one request into a bucket, None for one that nothing has come to; refusing it changes nothing."""
    excess = 0
    if bucket is not None:
        elapsed = max(now_ms - bucket.last_ms, 0)
        excess = max(bucket.excess - elapsed * limit.microrequests // 1_000_000 + REQUEST, 0)
    if excess > limit.burst * REQUEST:
        return bucket, Admission(None)
    last = now_ms if bucket is None else max(now_ms, bucket.last_ms)
    return Bucket(excess, last), Admission(_delay_ms(limit, excess))


def _delay_ms(limit: Limit, excess: int) -> int:
    if limit.delay == NO_DELAY or excess <= limit.delay * REQUEST:
        return 0
    return (excess - limit.delay * REQUEST) * 1_000_000 // limit.microrequests


def _bucket_of(limit: Limit, pod: str) -> Applied | None:
    for position, source in enumerate(limit.sources):
        if pod and pod in source.pods:
            return Applied(limit, position)
    return None


def _holds(limit: Limit, request: Request) -> bool:
    if limit.ports and request.port not in limit.ports:
        return False
    # A search that was given up must not be a way around the limit.
    return not limit.matches or first_fit(limit.matches, request, unknown=True) is not None
