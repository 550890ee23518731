"""HTTPRouteGroup: named HTTP matches that splits, access rules and rate limits refer to (contract 7.routes)."""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.conditions import PolicyStatus
from mesh.api.schema import member


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """A request fits when it fits every criterion given; ``*`` alone means any."""

    name: str | None = member("Name by which policies refer to this match.", default=None)
    path_regex: str | None = member("Regular expression over the path, not anchored.", default=None)
    methods: tuple[str, ...] = member("Methods, such as GET; * for any.", default=())
    headers: Mapping[str, str] | None = member("Regular expression by header name; names ignore case.", default=None)


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
    versions=(crd.Version("v1alpha3", HttpRouteGroupSpec, PolicyStatus),),
)
