"""The cluster as the watches have shown it so far, and snapshots of it. Does no input or output (design 8).

Events that change nothing that the compiler reads, such as a pod's heartbeat, are told from those that do.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mesh.api.kinds import POLICY_KINDS
from mesh.api.policy import Policy
from mesh.kube.objects import NamespaceObject
from mesh.kube.watch import Event, Key, Listed
from mesh.model.snapshot import EndpointSlice, FaultyPolicy, MeshSettings, NamespaceView, Pod, Service, Snapshot

Value = TypeVar("Value")


class Table(Generic[Value]):
    """The objects of one kind, by namespace and name.

    ``touch`` is told the namespaces that an event has changed, ``listed`` that a list has come, changed or not.
    """

    def __init__(self, touch: Callable[[str], None], listed: Callable[[], None]) -> None:
        self._touch = touch
        self._listed = listed
        self._rows: dict[str, dict[str, Value]] = {}
        self.is_listed = False

    def take(self, event: Event[Value]) -> None:
        """Apply one event of the watch."""
        if isinstance(event, Listed):
            self._replace(event)
        else:
            self._put(event.key, event.value)

    def rows(self, namespace: str) -> tuple[Value, ...]:
        """The objects of a namespace, in the order of their names."""
        return tuple(value for _, value in sorted(self._rows.get(namespace, {}).items()))

    def get(self, namespace: str, name: str) -> Value | None:
        """One object."""
        return self._rows.get(namespace, {}).get(name)

    def items(self, namespace: str) -> dict[str, Value]:
        """The objects of a namespace, by name."""
        return dict(self._rows.get(namespace, {}))

    def namespaces(self) -> set[str]:
        """The namespaces that have a row."""
        return set(self._rows)

    def _replace(self, event: Listed[Value]) -> None:
        rows: dict[str, dict[str, Value]] = {}
        for key, value in event.items.items():
            rows.setdefault(key.namespace, {})[key.name] = value
        before, self._rows = self._rows, rows
        self.is_listed = True
        for namespace in before.keys() | rows.keys():
            if before.get(namespace) != rows.get(namespace):
                self._touch(namespace)
        self._listed()

    def _put(self, key: Key, value: Value | None) -> None:
        rows = self._rows.setdefault(key.namespace, {})
        if rows.get(key.name) != value:
            self._touch(key.namespace)
        if value is not None:
            rows[key.name] = value
            return
        rows.pop(key.name, None)
        if not rows:
            del self._rows[key.namespace]


class Index:
    """The tables that make a snapshot. ``on_change`` is called after every event that changes the next one."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._dirty: set[str] = set()
        self._views: dict[str, NamespaceView] = {}
        self._namespaces: Table[NamespaceObject] = Table(lambda _: None, on_change)
        self.zones: Table[str] = Table(lambda _: on_change(), on_change)
        self.pods: Table[Pod] = Table(self._touch, on_change)
        self.services: Table[Service] = Table(self._touch, on_change)
        self.slices: Table[EndpointSlice] = Table(self._touch, on_change)
        self.policies: dict[str, Table[Policy[Any] | FaultyPolicy]] = {
            kind.kind: Table(self._touch, on_change) for kind in POLICY_KINDS
        }

    def take_namespaces(self, event: Event[NamespaceObject]) -> None:
        """Apply an event about Namespaces, which are rows of no namespace."""
        before = {row.metadata.name: _facts(row) for row in self._namespaces.rows("")}
        self._namespaces.take(event)
        after = {row.metadata.name: _facts(row) for row in self._namespaces.rows("")}
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                self._touch(name)

    def missing(self) -> str:
        """Name the kinds that have not been listed yet; empty when a snapshot is complete."""
        tables = {
            "namespaces": self._namespaces.is_listed,
            "nodes": self.zones.is_listed,
            "pods": self.pods.is_listed,
            "services": self.services.is_listed,
            "endpointslices": self.slices.is_listed,
            # Without them a sidecar would let in what a policy forbids.
            **{kind: table.is_listed for kind, table in self.policies.items()},
        }
        return ", ".join(name for name, is_listed in tables.items() if not is_listed)

    def snapshot(self, settings: MeshSettings) -> Snapshot:
        """Give the cluster as it is now; namespaces that were not touched are the same objects as last time."""
        for name in self._dirty:
            view = self._view(name)
            if view is None:
                self._views.pop(name, None)
            else:
                self._views[name] = view
        self._dirty.clear()
        return Snapshot(settings, dict(self._views), self.zones.items(""))

    def injected_pods(self) -> list[Pod]:
        """Every pod that has a sidecar of ours."""
        return [pod for name in sorted(self.pods.namespaces()) for pod in self.pods.rows(name) if pod.group]

    def namespace_labels(self, name: str) -> dict[str, str]:
        """The labels of a namespace, none for one that is not known."""
        row = self._namespaces.get("", name)
        return (row.metadata.labels or {}) if row else {}

    def is_ending(self, name: str) -> bool:
        """Whether a namespace is being deleted."""
        row = self._namespaces.get("", name)
        return row is not None and row.metadata.deletion_timestamp is not None

    def _touch(self, namespace: str) -> None:
        self._dirty.add(namespace)
        self._on_change()

    def _view(self, name: str) -> NamespaceView | None:
        row = self._namespaces.get("", name)
        pods, services, slices = self.pods.rows(name), self.services.rows(name), self.slices.rows(name)
        policies = [policy for table in self.policies.values() for policy in table.rows(name)]
        if row is None and not (pods or services or slices or policies):
            return None
        labels, annotations = _facts(row) if row else ({}, {})
        return NamespaceView(
            name,
            labels,
            annotations,
            pods,
            services,
            slices,
            tuple(policy for policy in policies if isinstance(policy, Policy)),
            tuple(policy for policy in policies if isinstance(policy, FaultyPolicy)),
        )


def _facts(row: NamespaceObject) -> tuple[dict[str, str], dict[str, str]]:
    return row.metadata.labels or {}, row.metadata.annotations or {}
