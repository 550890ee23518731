"""TrafficSplit: a root Service's traffic divided over backend Services by weight (contract 7.split)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mesh.api import crd, names
from mesh.api.conditions import STATE_COLUMNS, WIDE_STATE_COLUMNS, PolicyStatus
from mesh.api.dns_names import label_problems, subdomain_problems
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.policy import Policy, parse_policy
from mesh.api.schema import member

HEAVIEST: Final = 1_000_000


def _weight_problems(place: str, weight: int) -> Iterator[Problem]:
    if weight > HEAVIEST:
        yield Problem(place, quote(weight), f"a whole number from 0 to {HEAVIEST}")


def _kind_problems(place: str, kind: str) -> Iterator[Problem]:
    if kind != "HTTPRouteGroup":
        yield Problem(place, quote(kind), "HTTPRouteGroup")


def _group_problems(place: str, group: str) -> Iterator[Problem]:
    if group not in {"", names.GROUP_SPECS}:
        yield Problem(place, quote(group), names.GROUP_SPECS, "or leave it out")


@dataclass(frozen=True, slots=True)
class Backend:
    """A Service that takes a share; shares are weights, no percentages."""

    service: str = member("Name of a Service in the split's namespace.", check=label_problems)
    weight: int = member(
        "Its share, relative to the other weights; 0 means no traffic.", minimum=0, check=_weight_problems
    )


@dataclass(frozen=True, slots=True)
class MatchReference:
    """A route group of the split's namespace."""

    kind: str = member("HTTPRouteGroup.", check=_kind_problems)
    name: str = member("Name of the group.", check=subdomain_problems)
    api_group: str | None = member("specs.smi-spec.io.", default=None, check=_group_problems)


@dataclass(frozen=True, slots=True)
class TrafficSplitSpec:
    """Traffic to ``service`` that fits ``matches`` (or all of it, without any) goes to ``backends``."""

    service: str = member("The root Service, whose traffic is divided.", check=label_problems)
    backends: tuple[Backend, ...] = member("The Services that take the traffic.")
    matches: tuple[MatchReference, ...] = member("Route groups; traffic that fits none goes to the root.", default=())


TRAFFIC_SPLIT = crd.Kind(
    group=names.GROUP_SPLIT,
    kind="TrafficSplit",
    plural="trafficsplits",
    short_names=("ts",),
    description="Divides a Service's traffic over other Services.",
    versions=(
        crd.Version(
            "v1alpha3",
            TrafficSplitSpec,
            PolicyStatus,
            spec_required=False,
            columns=(("Service", "string", ".spec.service"), *STATE_COLUMNS),
            wide=WIDE_STATE_COLUMNS,
        ),
    ),
)


def parse_traffic_split(manifest: Mapping[str, Any], *, strict: bool = False) -> Policy[TrafficSplitSpec]:
    """Read a TrafficSplit. Raises InvalidInputError with every problem."""
    policy: Policy[TrafficSplitSpec] = parse_policy(TRAFFIC_SPLIT, manifest, strict=strict)
    if problems := list(_backend_problems(policy.spec.backends)):
        raise InvalidInputError(problems)
    return policy


def _backend_problems(backends: tuple[Backend, ...]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, backend in enumerate(backends):
        if first.setdefault(backend.service, index) != index:
            takes = f"each Service once, and spec.backends[{first[backend.service]}] has this one"
            yield Problem(f"spec.backends[{index}].service", quote(backend.service), takes, "add their weights up")
    if not any(backend.weight for backend in backends):
        got = "weights that are all 0" if backends else "no backends"
        yield Problem("spec.backends", got, "at least one backend with a weight above 0", "delete the split to end it")
