"""The cluster as the judges of policies see it: what the watches of this replica have shown so far (contract 7.webhook)."""

from collections.abc import Sequence
from typing import Any

from mesh.api.policy import Policy
from mesh.controller.index import Index


class IndexedSurroundings:
    """Implements ``mesh.admission.verdict.Surroundings``; what is not listed yet is not known."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def policies(self, kind: str) -> Sequence[Policy[Any]] | None:
        """Every policy of a kind that could be read, in all namespaces."""
        table = self._index.policies[kind]
        if not table.is_listed:
            return None
        rows = (row for namespace in table.namespaces() for row in table.rows(namespace))
        return [row for row in rows if isinstance(row, Policy)]

    def has_service(self, namespace: str, name: str) -> bool | None:
        """Whether there is such a Service; one that is a mere DNS record is none."""
        services = self._index.services
        return services.get(namespace, name) is not None if services.is_listed else None
