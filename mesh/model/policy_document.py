"""The JSON form of traffic policies in a sidecar's document (design 7). What is empty is absent.

Matches repeat from policy to policy: they stand once in a table, and rows name them by position. There are two tables,
because the splits of a scope are rendered once for many groups, and what guards a group's own pods is its own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mesh.model.document_fields import (
    LARGE,
    invalid,
    read_boolean,
    read_list,
    read_number,
    read_object,
    read_port,
    read_row,
    read_rows,
    read_text,
)
from mesh.model.policy import NO_DELAY, Breaker, HttpMatch, Limit, LimitSource, Share, Split, Target

PATTERN_LIMIT_BYTES: Final = 1024
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_RATE_LIMIT: Final = 1 << 53
_DEFAULT_STATUS: Final = 503

Numbers = Mapping[HttpMatch, int]


def number_matches(owners: Iterable[Split | Target | Limit]) -> dict[HttpMatch, int]:
    """Give the table of the matches of *owners*: each one's position."""
    return {match: number for number, match in enumerate(sorted({row for owner in owners for row in owner.matches}))}


def render_matches(table: Numbers) -> list[Any]:
    """Give the rows of the table, in order of position."""
    return [[match.path, list(match.methods), [list(header) for header in match.headers]] for match in table]


def parse_matches(place: str, rows: object) -> list[HttpMatch]:
    """Read a table of matches. Raises InvalidInputError, as every function here that parses."""
    return [_parse_match(place, row) for row in read_list(place, rows)]


def render_split(split: Split, table: Numbers) -> list[Any]:
    """Give the row of a split."""
    shares = [[share.service, share.port, share.weight] for share in split.shares]
    return [split.policy, shares, [table[match] for match in split.matches]]


def parse_split(row: object, table: Sequence[HttpMatch]) -> Split:
    """Read the row of a split."""
    place = "services.splits"
    policy, shares, matches, *_ = read_row(place, row, 3)
    return Split(
        read_text(place, policy),
        tuple(_parse_share(share) for share in read_list(place, shares)),
        _numbered(f"{place}.matches", matches, table),
    )


def render_breaker(breaker: Breaker) -> list[Any]:
    """Give the row of a breaker; its fallback is the last item where there is one."""
    fallback = [list(breaker.fallback)] if breaker.fallback else []
    return [breaker.policy, breaker.errors, breaker.timeout_seconds, *fallback]


def parse_breaker(row: object) -> Breaker:
    """Read the row of a breaker."""
    place = "services.breaker"
    policy, errors, seconds, *rest = read_row(place, row, 3)
    fallback = None
    if rest:
        service, port, *_ = read_row(f"{place}.fallback", rest[0], 2)
        fallback = (read_text(f"{place}.fallback", service), read_port(f"{place}.fallback", port))
    return Breaker(
        read_text(place, policy),
        read_number(f"{place}.errors", errors, 0, LARGE),
        read_number(f"{place}.timeoutSeconds", seconds, 0, LARGE),
        fallback,
    )


def render_guards(enforced: bool, targets: Sequence[Target], limits: Sequence[Limit]) -> dict[str, Any]:
    """Give what guards a group's own pods: an object without anything where nothing does."""
    if not (enforced or targets or limits):
        return {}  # Most groups: this is asked several times for each at every change.
    table = number_matches((*targets, *limits))
    callers = {caller: number for number, caller in enumerate(sorted({who for row in targets for who in row.sources}))}
    fields: dict[str, Any] = {
        "enforced": enforced,
        "callers": list(callers),
        "matches": render_matches(table),
        "targets": [_render_target(target, callers, table) for target in targets],
        "limits": [_render_limit(limit, table) for limit in limits],
    }
    return {key: value for key, value in fields.items() if value}


def parse_guards(value: object) -> tuple[bool, tuple[Target, ...], tuple[Limit, ...]]:
    """Read what guards a group's own pods: whether access is enforced, targets, limits."""
    guards = read_object("guards", value)
    callers = [read_text("guards.callers", caller) for caller in read_rows("callers", guards)]
    table = parse_matches("guards.matches", guards.get("matches", []))
    return (
        read_boolean("guards.enforced", guards.get("enforced", False)),
        tuple(_parse_target(row, callers, table) for row in read_rows("targets", guards)),
        tuple(_parse_limit(item, table) for item in read_rows("limits", guards)),
    )


def _render_target(target: Target, callers: Mapping[str, int], table: Numbers) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "port": target.port,
        "everything": target.everything,
        "tcp": target.tcp,
        "sources": [callers[source] for source in target.sources],
        "matches": [table[match] for match in target.matches],
    }
    return {"policy": target.policy} | {key: value for key, value in settings.items() if value}


def _parse_target(item: object, callers: Sequence[str], table: Sequence[HttpMatch]) -> Target:
    place = "guards.targets"
    target = read_object(place, item)
    numbers = [read_number(f"{place}.sources", n, 0, len(callers) - 1) for n in read_rows("sources", target)]
    return Target(
        read_text(f"{place}.policy", target.get("policy")),
        tuple(callers[number] for number in numbers),
        read_number(f"{place}.port", target.get("port", 0), 0, 65535),
        read_boolean(f"{place}.everything", target.get("everything", False)),
        read_boolean(f"{place}.tcp", target.get("tcp", False)),
        _numbered(f"{place}.matches", target.get("matches", []), table),
    )


def _render_limit(limit: Limit, table: Numbers) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "burst": limit.burst,
        "delay": limit.delay,
        "status": limit.status if limit.status != _DEFAULT_STATUS else 0,
        "ports": list(limit.ports),
        "sources": [[source.name, list(source.pods)] for source in limit.sources],
        "matches": [table[match] for match in limit.matches],
        "pods": list(limit.pods),
    }
    named = {"policy": limit.policy, "microrequests": limit.microrequests}
    return named | {key: value for key, value in settings.items() if value}


def _parse_limit(item: object, table: Sequence[HttpMatch]) -> Limit:
    place = "guards.limits"
    limit = read_object(place, item)
    return Limit(
        read_text(f"{place}.policy", limit.get("policy")),
        read_number(f"{place}.microrequests", limit.get("microrequests"), 0, _RATE_LIMIT),
        read_number(f"{place}.burst", limit.get("burst", 0), 0, LARGE),
        read_number(f"{place}.delay", limit.get("delay", 0), NO_DELAY, LARGE),
        read_number(f"{place}.status", limit.get("status", _DEFAULT_STATUS), 400, 599),
        tuple(read_port(f"{place}.ports", port) for port in read_rows("ports", limit)),
        tuple(_parse_source(f"{place}.sources", row) for row in read_rows("sources", limit)),
        _numbered(f"{place}.matches", limit.get("matches", []), table),
        tuple(read_text(f"{place}.pods", pod) for pod in read_rows("pods", limit)),
    )


def _parse_source(place: str, row: object) -> LimitSource:
    name, pods, *_ = read_row(place, row, 2)
    return LimitSource(read_text(place, name), tuple(read_text(place, pod) for pod in read_list(place, pods)))


def _parse_share(row: object) -> Share:
    place = "services.splits.shares"
    service, port, weight, *_ = read_row(place, row, 3)
    return Share(read_text(place, service), read_port(place, port), read_number(place, weight, 0, LARGE))


def _parse_match(place: str, row: object) -> HttpMatch:
    path, methods, headers, *_ = read_row(place, row, 3)
    return HttpMatch(
        _pattern(f"{place}.path", path),
        tuple(_token(f"{place}.methods", method) for method in read_list(f"{place}.methods", methods)),
        tuple(_parse_header(f"{place}.headers", header) for header in read_list(f"{place}.headers", headers)),
    )


def _parse_header(place: str, row: object) -> tuple[str, str]:
    name, pattern, *_ = read_row(place, row, 2)
    return _token(place, name), _pattern(place, pattern)


def _numbered(place: str, numbers: object, table: Sequence[HttpMatch]) -> tuple[HttpMatch, ...]:
    return tuple(table[read_number(place, number, 0, len(table) - 1)] for number in read_list(place, numbers))


def _token(place: str, value: object) -> str:
    if not (isinstance(value, str) and _TOKEN.fullmatch(value)):
        raise invalid(place, value, "a token as HTTP has it, of at most 256 characters")
    return value


def _pattern(place: str, value: object) -> str:
    """Take any text: patterns reach NGINX's state percent-encoded, so that none can forge a line there."""
    try:
        if isinstance(value, str) and len(value.encode()) <= PATTERN_LIMIT_BYTES:
            return value
    except UnicodeEncodeError:
        pass  # Half a surrogate pair: JSON can spell it, UTF-8 cannot.
    raise invalid(place, value, f"a regular expression of at most {PATTERN_LIMIT_BYTES} bytes in UTF-8")
