"""Label selectors in Kubernetes' own form, as the kinds of the SPIRE Controller Manager use them."""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh.api.schema import member


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str = member("The label.")
    operator: str = member("In, NotIn, Exists or DoesNotExist.")
    values: tuple[str, ...] = member("The values, for In and NotIn.", default=())


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Selects what fits all of it."""

    match_labels: Mapping[str, str] | None = member("Labels that must have these values.", default=None)
    match_expressions: tuple[Requirement, ...] = member("Conditions that must hold.", default=())
