"""Route groups as the matches of a policy that refers to them (contract 7.routes)."""

from collections.abc import Iterable
from typing import Any, Final

from mesh.api.http_route_group import HttpMatch as Declared
from mesh.api.patterns import ANY
from mesh.api.policy import Policy
from mesh.compiler.book import PolicyBook, Remarks
from mesh.model.policy import HttpMatch

GROUP_MISSING: Final = "RouteGroupMissing"
MATCH_MISSING: Final = "RouteMatchMissing"


def matches_of(
    policy: Policy[Any], references: Iterable[tuple[str, tuple[str, ...]]], book: PolicyBook, remarks: Remarks
) -> tuple[HttpMatch, ...]:
    """The matches that *references* mean: (name of a group in the policy's namespace, names of its matches, none for all).

    A group or match that does not exist fits nothing, and is remarked.
    """
    found: dict[HttpMatch, None] = {}
    for name, wanted in references:
        group = book.groups.get((policy.namespace, name))
        if group is None:
            remarks.say(policy, GROUP_MISSING, f"HTTPRouteGroup {name} does not exist: no request fits it")
            continue
        named = {match.name: match for match in group.spec.matches}
        for missing in (one for one in wanted if one not in named):
            remarks.say(policy, MATCH_MISSING, f"HTTPRouteGroup {name} has no match {missing}: no request fits it")
        chosen = [named[one] for one in wanted if one in named] if wanted else group.spec.matches
        found |= dict.fromkeys(map(_match, chosen))
    return tuple(found)


def _match(declared: Declared) -> HttpMatch:
    headers = {name.lower(): _pattern(pattern) for name, pattern in (declared.headers or {}).items()}
    return HttpMatch(
        _pattern(declared.path_regex),
        () if ANY in declared.methods else tuple(sorted(set(declared.methods))),
        tuple(sorted(headers.items())),
    )


def _pattern(pattern: str | None) -> str:
    return "" if pattern is None or pattern == ANY else pattern
