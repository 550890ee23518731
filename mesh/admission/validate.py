"""Judge a change to a traffic policy before it is made (contract 7.webhook).

The same parsers read the policy when it is applied. What can never work is refused; what waits for something else, such
as a backend that comes later, passes with a warning, since manifests come in any order.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mesh.admission.validate_breaker import breaker_warnings
from mesh.admission.validate_limit import limit_problems, limit_warnings
from mesh.admission.validate_route import deletion_warnings, group_warnings
from mesh.admission.validate_split import split_problems, split_warnings
from mesh.admission.validate_target import target_warnings
from mesh.admission.verdict import Surroundings, Verdict
from mesh.api import names
from mesh.api.circuit_breaker import CIRCUIT_BREAKER
from mesh.api.errors import InvalidInputError, Problem
from mesh.api.http_route_group import HTTP_ROUTE_GROUP
from mesh.api.kinds import POLICY_PARSERS
from mesh.api.policy import Policy
from mesh.api.rate_limit import RATE_LIMIT
from mesh.api.tcp_route import TCP_ROUTE
from mesh.api.traffic_split import TRAFFIC_SPLIT
from mesh.api.traffic_target import TRAFFIC_TARGET

MOST_WARNINGS: Final = 10


def _nothing(_policy: Policy[Any], _around: Surroundings) -> Iterable[Any]:
    return ()


@dataclass(frozen=True, slots=True)
class _Judge:
    """One kind: what refuses a policy beside others, what warns of it."""

    problems: Callable[[Policy[Any], Surroundings], Iterable[Problem]] = _nothing
    warnings: Callable[[Policy[Any], Surroundings], Iterable[str]] = _nothing


_JUDGES: Final[dict[str, _Judge]] = {
    TRAFFIC_SPLIT.kind: _Judge(split_problems, split_warnings),
    TRAFFIC_TARGET.kind: _Judge(warnings=target_warnings),
    HTTP_ROUTE_GROUP.kind: _Judge(warnings=group_warnings),
    TCP_ROUTE.kind: _Judge(),
    RATE_LIMIT.kind: _Judge(limit_problems, limit_warnings),
    CIRCUIT_BREAKER.kind: _Judge(warnings=breaker_warnings),
}


def judge(
    operation: str, kind: str, manifest: Mapping[str, Any] | None, old: Mapping[str, Any] | None, around: Surroundings
) -> Verdict:
    """Judge a CREATE, UPDATE or DELETE of a policy: *manifest* as it would become, *old* as it is. Kinds of others pass."""
    judge_ = _JUDGES.get(kind)
    if judge_ is None:
        return Verdict()
    if operation == "DELETE":
        metadata = _object(old, "metadata")
        gone = str(metadata.get("namespace")), str(metadata.get("name"))
        return Verdict(warnings=_cut(deletion_warnings(kind, *gone, around)))
    manifest = manifest or {}
    if operation == "UPDATE" and old is not None and not _is_changed(manifest, old):
        return Verdict()
    try:
        policy = POLICY_PARSERS[kind](manifest)
    except InvalidInputError as error:
        return Verdict(error.problems)
    if problems := tuple(judge_.problems(policy, around)):
        return Verdict(problems)
    return Verdict(warnings=_cut(judge_.warnings(policy, around)))


def _is_changed(manifest: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether anything that is judged differs: finalizers and labels must be changeable, whatever the rest would be told."""
    before, after = _object(old, "metadata"), _object(manifest, "metadata")
    if after.get("deletionTimestamp"):
        return False
    same = manifest.get("spec") == old.get("spec") and manifest.get("apiVersion") == old.get("apiVersion")
    statuses = {str(_object(one, "annotations").get(names.ANNOTATION_LIMIT_STATUS)) for one in (before, after)}
    return not same or len(statuses) > 1


def _object(owner: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    """A member that should be an object; anything else holds nothing, and the parser refuses it."""
    found = (owner or {}).get(key)
    return found if isinstance(found, Mapping) else {}


def _cut(warnings: Iterable[str]) -> tuple[str, ...]:
    """Few enough to be read; the API server has a limit of its own, and cuts without a word."""
    found = tuple(dict.fromkeys(warnings))
    rest = len(found) - MOST_WARNINGS
    return (*found[:MOST_WARNINGS], f"and {rest} more") if rest > 0 else found
