"""HTTPRouteGroup: named HTTP matches that splits, access rules and rate limits refer to (contract 7.routes)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mesh.api import crd, names
from mesh.api.conditions import STATE_COLUMNS, WIDE_STATE_COLUMNS, PolicyStatus
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.patterns import ANY, pattern_problems
from mesh.api.policy import Policy, parse_policy
from mesh.api.schema import member

LONGEST_METHOD: Final = 32
MOST_METHODS: Final = 24
LONGEST_HEADER_NAME: Final = 128

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _method_problems(place: str, text: str) -> Iterator[Problem]:
    if not _TOKEN.fullmatch(text) or len(text) > LONGEST_METHOD:
        yield Problem(place, quote(text), "a method such as GET, or * for any")


def _header_problems(place: str, headers: Mapping[str, str]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name, pattern in headers.items():
        if not _TOKEN.fullmatch(name) or len(name) > LONGEST_HEADER_NAME:
            takes = f"the name of a header, of at most {LONGEST_HEADER_NAME} characters"
            yield Problem(f"{place}.{name}", quote(name), takes)
        if first := seen.get(name.lower()):
            yield Problem(f"{place}.{name}", quote(name), f"each header once, and {quote(first)} is the same one")
        seen[name.lower()] = name
        yield from pattern_problems(f"{place}.{name}", pattern)


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """A request fits when it fits every criterion given; ``*`` alone means any."""

    name: str | None = member("Name by which policies refer to this match.", default=None)
    path_regex: str | None = member(
        "Regular expression over the path, not anchored.", default=None, check=pattern_problems
    )
    methods: tuple[str, ...] = member("Methods, such as GET; * for any.", default=(), check=_method_problems)
    headers: Mapping[str, str] | None = member(
        "Regular expression by header name; names ignore case.", default=None, check=_header_problems
    )


@dataclass(frozen=True, slots=True)
class HttpRouteGroupSpec:
    """A request fits the group when it fits one of the matches."""

    matches: tuple[HttpMatch, ...] = member("The matches.", default=())


HTTP_ROUTE_GROUP = crd.Kind(
    group=names.GROUP_SPECS,
    kind="HTTPRouteGroup",
    plural="httproutegroups",
    short_names=("htr",),
    description="Describes HTTP/1 and HTTP/2 requests.",
    versions=(
        crd.Version("v1alpha3", HttpRouteGroupSpec, PolicyStatus, columns=STATE_COLUMNS, wide=WIDE_STATE_COLUMNS),
    ),
)


def parse_http_route_group(manifest: Mapping[str, Any], *, strict: bool = False) -> Policy[HttpRouteGroupSpec]:
    """Read an HTTPRouteGroup. Raises InvalidInputError with every problem."""
    policy: Policy[HttpRouteGroupSpec] = parse_policy(HTTP_ROUTE_GROUP, manifest, strict=strict)
    if problems := list(_group_problems(policy.spec)):
        raise InvalidInputError(problems)
    return policy


def is_everything(match: HttpMatch) -> bool:
    """Whether every request fits: no criterion is left once those that take anything are put aside."""
    return match.path_regex in {None, "", ANY} and (not match.methods or ANY in match.methods) and not match.headers


def _group_problems(spec: HttpRouteGroupSpec) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, match in enumerate(spec.matches):
        place = f"spec.matches[{index}]"
        if match.name is not None and first.setdefault(match.name, index) != index:
            takes = f"a name of its own, and spec.matches[{first[match.name]}] has this one"
            yield Problem(f"{place}.name", quote(match.name), takes)
        if len(match.methods) > MOST_METHODS:
            yield Problem(f"{place}.methods", f"{len(match.methods)} methods", f"at most {MOST_METHODS}, or * for any")
