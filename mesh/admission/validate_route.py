"""HTTPRouteGroups and TCPRoutes: what nothing fits, and who is left without them (contract 7.webhook)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from mesh.admission import validate_limit, validate_split, validate_target
from mesh.admission.route_references import Reference
from mesh.admission.verdict import Surroundings
from mesh.api.errors import quote
from mesh.api.http_route_group import HTTP_ROUTE_GROUP, HttpRouteGroupSpec
from mesh.api.policy import Policy
from mesh.api.rate_limit import RATE_LIMIT
from mesh.api.traffic_split import TRAFFIC_SPLIT
from mesh.api.traffic_target import TRAFFIC_TARGET

USERS: Final[dict[str, Callable[[Any], Sequence[Reference]]]] = {
    TRAFFIC_SPLIT.kind: validate_split.references,
    TRAFFIC_TARGET.kind: validate_target.references,
    RATE_LIMIT.kind: validate_limit.references,
}


def group_warnings(policy: Policy[HttpRouteGroupSpec], around: Surroundings) -> Iterator[str]:
    """What no request can fit, and the matches that others still name."""
    if not policy.spec.matches:
        yield "spec.matches: no request fits a group without matches"
    for index, match in enumerate(policy.spec.matches):
        for method in match.methods:
            if method != method.upper():
                yield f"spec.matches[{index}].methods: {quote(method)} is compared as it is written, GET is not get"
    here = {match.name for match in policy.spec.matches}
    for user, reference in _users(HTTP_ROUTE_GROUP.kind, policy.namespace, policy.name, around):
        for name in reference.matches:
            if name not in here:
                yield f"{user} {reference.place}.matches still names {quote(name)}, which nothing fits now"


def deletion_warnings(kind: str, namespace: str, name: str, around: Surroundings) -> Iterator[str]:
    """Who still names a route object that goes."""
    for user, reference in _users(kind, namespace, name, around):
        yield f"{user} {reference.place} still names this {kind}: nothing fits it from now on"


def _users(kind: str, namespace: str, name: str, around: Surroundings) -> Iterator[tuple[str, Reference]]:
    for user_kind, references in USERS.items():
        for one in around.policies(user_kind) or ():
            if one.namespace != namespace:
                continue
            for reference in references(one):
                if (reference.kind, reference.name) == (kind, name):
                    yield f"{one.kind} {one.key}", reference
