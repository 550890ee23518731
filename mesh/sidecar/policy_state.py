"""The lines of traffic policies in the document `state` (docs/reference/nginx-state.md). Pure."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

from mesh.model.policy import NO_DELAY, Breaker, HttpMatch, Limit, Split, Target
from mesh.model.sidecar_config import PodAddress, ServicePort, SidecarConfig

ANY: Final = "-"

Row = tuple[object, ...]
# Where calls of a Service's port go: (namespace/name, port) to the number of its upstream.
Upstreams = Mapping[tuple[str, int], int]
_Policy = tuple[str, str]
_Value = TypeVar("_Value", bound=Hashable)

_PLAIN: Final = frozenset(range(0x21, 0x7F)) - frozenset(b'"%\\')


def rows(
    config: SidecarConfig, proxied: Iterable[ServicePort], upstreams: Upstreams, identities: Mapping[str, int]
) -> Iterator[Row]:
    """Give the lines of all policies of *config*; *proxied* are the Services that have an upstream.

    What leads to a Service that has none is left out: a share, a fallback, a headless Service.
    """
    guarded = [(upstreams[_key(service)], service) for service in proxied]
    breakers = list(_that_open(guarded))
    policies = _numbered(_policies(guarded, breakers, config))
    matches = _numbered(_matches(guarded, config))
    yield from (("policy", number, *policy) for policy, number in policies.items())
    for match, number in matches.items():
        yield from _match(match, number)
    for upstream, service in guarded:
        for split in service.splits:
            yield from _split(split, upstream, policies["split", split.policy], matches, upstreams)
    yield from _breakers(breakers, policies, upstreams)
    yield from _headless(config.pods, upstreams)
    if config.access_enforced:
        yield "access", "enforced"
    for target in config.targets:
        yield from _target(target, policies["target", target.policy], matches, identities)
    for number, limit in enumerate(config.limits):
        yield from _limit(limit, number, policies["limit", limit.policy], matches)


def write_pattern(pattern: str) -> str:
    """Write a pattern so that it is one field of one line, whatever it holds; an empty one is any."""
    if pattern == ANY:
        return "%2D"
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in pattern.encode()) or ANY


def _key(service: ServicePort) -> tuple[str, int]:
    return f"{service.namespace}/{service.service}", service.port


def _that_open(guarded: list[tuple[int, ServicePort]]) -> Iterator[tuple[int, Breaker]]:
    for upstream, service in guarded:
        breaker = service.breaker
        if breaker and breaker.errors and breaker.timeout_seconds:
            yield upstream, breaker


def _numbered(values: Iterable[_Value]) -> dict[_Value, int]:
    """Give each value that occurs its number, in order of first occurrence."""
    return {value: number for number, value in enumerate(dict.fromkeys(values))}


def _policies(
    guarded: list[tuple[int, ServicePort]], breakers: list[tuple[int, Breaker]], config: SidecarConfig
) -> Iterator[_Policy]:
    for _, service in guarded:
        yield from (("split", split.policy) for split in service.splits)
    yield from (("breaker", breaker.policy) for _, breaker in breakers)
    yield from (("target", target.policy) for target in config.targets)
    yield from (("limit", limit.policy) for limit in config.limits)


def _matches(guarded: list[tuple[int, ServicePort]], config: SidecarConfig) -> Iterator[HttpMatch]:
    owners: list[Split | Target | Limit] = [split for _, service in guarded for split in service.splits]
    for owner in (*owners, *config.targets, *config.limits):
        yield from owner.matches


def _match(match: HttpMatch, number: int) -> Iterator[Row]:
    yield "match", number, write_pattern(match.path), ",".join(match.methods) or ANY
    for name, pattern in match.headers:
        yield "header", number, name, write_pattern(pattern)


def _split(
    split: Split, upstream: int, policy: int, matches: Mapping[HttpMatch, int], upstreams: Upstreams
) -> Iterator[Row]:
    yield "split", upstream, policy, "some" if split.matches else "all"
    yield from (("split_match", matches[match]) for match in split.matches)
    for share in split.shares:
        backend = upstreams.get((share.service, share.port))
        if backend is not None:
            yield "share", backend, share.weight


def _breakers(
    breakers: list[tuple[int, Breaker]], policies: Mapping[_Policy, int], upstreams: Upstreams
) -> Iterator[Row]:
    numbers = _numbered(breaker for _, breaker in breakers)
    for breaker, number in numbers.items():
        fallback = upstreams.get(breaker.fallback) if breaker.fallback else None
        policy = policies["breaker", breaker.policy]
        milliseconds = breaker.timeout_seconds * 1000
        yield "breaker", number, policy, breaker.errors, milliseconds, ANY if fallback is None else fallback
    yield from (("guard", upstream, numbers[breaker]) for upstream, breaker in breakers)


def _headless(pods: Iterable[PodAddress], upstreams: Upstreams) -> Iterator[Row]:
    told: set[tuple[str, int]] = set()
    for pod in pods:
        for port, service, service_port in pod.headless:
            upstream = upstreams.get((service, service_port))
            # A place belongs to one Service: of several, the first in the compiler's order.
            if upstream is not None and (pod.address, port) not in told:
                told.add((pod.address, port))
                yield "headless", pod.address, port, upstream


def _target(
    target: Target, policy: int, matches: Mapping[HttpMatch, int], identities: Mapping[str, int]
) -> Iterator[Row]:
    yield "target", policy, target.port, "all" if target.everything else "some"
    yield from (("target_source", identities[source]) for source in target.sources)
    yield from (("target_match", matches[match]) for match in target.matches)
    if target.tcp:
        yield ("target_tcp",)


def _limit(limit: Limit, number: int, policy: int, matches: Mapping[HttpMatch, int]) -> Iterator[Row]:
    delay = "nodelay" if limit.delay == NO_DELAY else limit.delay
    whom = "named" if limit.sources else "everyone"
    yield "limit", number, policy, limit.microrequests, limit.burst, delay, limit.status, whom
    for bucket, source in enumerate(limit.sources):
        yield from (("limit_source", bucket, pod) for pod in source.pods)
    yield from (("limit_port", port) for port in limit.ports)
    yield from (("limit_match", matches[match]) for match in limit.matches)
