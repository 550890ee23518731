"""What a judge of objects gets to see, and what it answers (contract 7.webhook)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mesh.api.errors import Problem
from mesh.api.policy import Policy


@dataclass(frozen=True, slots=True)
class Verdict:
    """``problems`` refuse the change; ``warnings`` let it pass and tell what will not happen as written."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


class Surroundings(Protocol):
    """The cluster around an object. None means that it is not known, about which nothing is said."""

    def policies(self, kind: str) -> Sequence[Policy[Any]] | None:
        """Every policy of a kind, in all namespaces."""
        ...

    def has_service(self, namespace: str, name: str) -> bool | None:
        """Whether there is such a Service."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """Surroundings as values, for files and tests; without ``services`` (``namespace/name``) none are known."""

    by_kind: Mapping[str, Sequence[Policy[Any]]] = field(default_factory=dict)
    services: frozenset[str] | None = None

    def policies(self, kind: str) -> Sequence[Policy[Any]] | None:
        """The policies of a kind that were given."""
        return self.by_kind.get(kind)

    def has_service(self, namespace: str, name: str) -> bool | None:
        """Whether such a Service was given."""
        return None if self.services is None else f"{namespace}/{name}" in self.services


def others(around: Surroundings, policy: Policy[Any]) -> list[Policy[Any]]:
    """The other policies of the same kind that are known, the oldest first."""
    return sorted((one for one in around.policies(policy.kind) or () if one.key != policy.key), key=lambda one: one.age)


def missing_service(around: Surroundings, place: str, namespace: str, name: str) -> tuple[str, ...]:
    """Warn of a Service that is not there."""
    gone = around.has_service(namespace, name) is False
    return (f"{place}: the mesh knows no Service {namespace}/{name} yet",) if gone else ()
