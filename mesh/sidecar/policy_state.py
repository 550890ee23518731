"""The lines of traffic policies in the document `state` (docs/reference/nginx-state.md). Pure."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from mesh.model.policy import NO_DELAY, Breaker, HttpMatch, Limit, Split, Target
from mesh.model.sidecar_config import PodAddress, ServicePort, SidecarConfig

ANY: Final = "-"

Row = tuple[object, ...]
_Policy = tuple[str, str]
_Value = TypeVar("_Value", bound=Hashable)

_PLAIN: Final = frozenset(range(0x21, 0x7F)) - frozenset(b'"%\\')


def rows(config: SidecarConfig, proxied: Sequence[ServicePort], identities: Mapping[str, int]) -> Iterator[Row]:
    """Give the lines of all policies of *config*; *proxied* are the Services that have an upstream, in their order.

    What leads to a Service that has none is left out: a share, a fallback, a headless Service.
    """
    guarded = list(enumerate(proxied))
    upstreams = Upstreams(guarded)
    breakers = list(_that_open(guarded))
    policies = _numbered(_policies(guarded, breakers, config))
    matches = _numbered(_matches(guarded, config))
    yield from (("policy", number, *policy) for policy, number in policies.items())
    for match, number in matches.items():
        yield from _match(match, number)
    for upstream, service in guarded:
        for split in service.splits:
            yield from _split(split, upstream, service, policies["split", split.policy], matches, upstreams)
    yield from _breakers(breakers, policies, upstreams)
    yield from _headless(config.pods, upstreams)
    if config.access_enforced:
        yield "access", "enforced"
    for target in config.targets:
        yield from _target(target, policies["target", target.policy], matches, identities)
    for number, limit in enumerate(config.limits):
        yield from _limit(limit, number, policies["limit", limit.policy], matches)


class Upstreams:
    """The upstreams of (``namespace/name``, port). A Service of two address families has one for each."""

    def __init__(self, guarded: Iterable[tuple[int, ServicePort]]) -> None:
        self._numbers: dict[tuple[str, int], list[tuple[bool, int]]] = {}
        for number, service in guarded:
            key = f"{service.namespace}/{service.service}", service.port
            self._numbers.setdefault(key, []).append((_is_ipv6(service), number))

    def find(self, place: tuple[str, int], root: ServicePort) -> int | None:
        """The upstream of *place* for who called *root*: of the same family where there is one."""
        found = self._numbers.get(place, [])
        same = [number for is_ipv6, number in found if is_ipv6 == _is_ipv6(root)]
        return next(iter((*same, *(number for _, number in found))), None)

    def of_address(self, place: tuple[str, int]) -> int | None:
        """The upstream of a headless Service, which has one."""
        found = self._numbers.get(place, [])
        return found[0][1] if found else None


def _is_ipv6(service: ServicePort) -> bool:
    return any(":" in address for address in service.addresses)


def write_pattern(pattern: str) -> str:
    """Write a pattern so that it is one field of one line, whatever it holds; an empty one is any."""
    if pattern == ANY:
        return "%2D"
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in pattern.encode()) or ANY


def _that_open(guarded: list[tuple[int, ServicePort]]) -> Iterator[tuple[int, ServicePort, Breaker]]:
    for upstream, service in guarded:
        breaker = service.breaker
        if breaker and breaker.errors and breaker.timeout_seconds:
            yield upstream, service, breaker


def _numbered(values: Iterable[_Value]) -> dict[_Value, int]:
    """Give each value that occurs its number, in order of first occurrence."""
    return {value: number for number, value in enumerate(dict.fromkeys(values))}


def _policies(
    guarded: list[tuple[int, ServicePort]], breakers: list[tuple[int, ServicePort, Breaker]], config: SidecarConfig
) -> Iterator[_Policy]:
    for _, service in guarded:
        yield from (("split", split.policy) for split in service.splits)
    yield from (("breaker", breaker.policy) for _, _, breaker in breakers)
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
    split: Split,
    upstream: int,
    root: ServicePort,
    policy: int,
    matches: Mapping[HttpMatch, int],
    upstreams: Upstreams,
) -> Iterator[Row]:
    yield "split", upstream, policy, "some" if split.matches else "all"
    yield from (("split_match", matches[match]) for match in split.matches)
    for share in split.shares:
        backend = upstreams.find((share.service, share.port), root)
        if backend is not None:
            yield "share", backend, share.weight


def _breakers(
    breakers: list[tuple[int, ServicePort, Breaker]], policies: Mapping[_Policy, int], upstreams: Upstreams
) -> Iterator[Row]:
    numbers = _numbered((breaker, _is_ipv6(service)) for _, service, breaker in breakers)
    roots = {(breaker, _is_ipv6(service)): service for _, service, breaker in breakers}
    for key, number in numbers.items():
        breaker = key[0]
        fallback = upstreams.find(breaker.fallback, roots[key]) if breaker.fallback else None
        policy = policies["breaker", breaker.policy]
        milliseconds = breaker.timeout_seconds * 1000
        yield "breaker", number, policy, breaker.errors, milliseconds, ANY if fallback is None else fallback
    yield from (("guard", upstream, numbers[breaker, _is_ipv6(service)]) for upstream, service, breaker in breakers)


def _headless(pods: Iterable[PodAddress], upstreams: Upstreams) -> Iterator[Row]:
    told: set[tuple[str, int]] = set()
    for pod in pods:
        for port, service, service_port in pod.headless:
            upstream = upstreams.of_address((service, service_port))
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
