"""The pods of a namespace, found by what policies call them: owner, name, Service, group."""

from collections.abc import Iterable
from functools import cached_property

from mesh.api import names
from mesh.model.snapshot import EndpointSlice, NamespaceView, Pod, Service


class Workloads:
    """Remembers what it has found: it lives as long as its namespace does not change, and policies ask at every compiling."""

    def __init__(self, view: NamespaceView) -> None:
        self._pods = view.pods
        self._slices = view.slices
        self._behind: dict[str, tuple[Pod, ...]] = {}

    def named(self, name: str) -> tuple[Pod, ...]:
        """The pod of that name, if there is one."""
        return tuple(pod for pod in (self._by_name.get(name),) if pod)

    def owned_by(self, kind: str, name: str) -> tuple[Pod, ...]:
        """The pods of a workload: injection labels them with their owner."""
        return self._by_owner.get((names.parent_label(kind), names.label_value(name)), ())

    def behind(self, service: Service) -> tuple[Pod, ...]:
        """The pods behind *service*: those that it selects, or whose address somebody has written into its slices."""
        found = self._behind.get(service.name)
        if found is None:
            found = self._behind[service.name] = self._find_behind(service)
        return found

    def of_group(self, group: str) -> frozenset[str]:
        """The keys of all pods of a sidecar group."""
        return self._by_group.get(group, frozenset())

    @cached_property
    def _by_name(self) -> dict[str, Pod]:
        return {pod.name: pod for pod in self._pods}

    @cached_property
    def _by_owner(self) -> dict[tuple[str, str], tuple[Pod, ...]]:
        owners: dict[tuple[str, str], list[Pod]] = {}
        for pod in self._pods:
            for label, value in pod.labels.items():
                if label.startswith(names.LABEL_PARENT_PREFIX):
                    owners.setdefault((label, value), []).append(pod)
        return {owner: tuple(pods) for owner, pods in owners.items()}

    @cached_property
    def _by_group(self) -> dict[str, frozenset[str]]:
        groups: dict[str, set[str]] = {}
        for pod in self._pods:
            groups.setdefault(pod.group, set()).add(pod.key)
        return {group: frozenset(keys) for group, keys in groups.items()}

    def _find_behind(self, service: Service) -> tuple[Pod, ...]:
        if service.selector:
            return tuple(pod for pod in self._pods if service.selector.items() <= pod.labels.items())
        written = _written(part for part in self._slices if part.service == service.name)
        return tuple(pod for pod in self._pods if written.intersection(pod.addresses))


def _written(slices: Iterable[EndpointSlice]) -> set[str]:
    return {address for part in slices for endpoint in part.endpoints for address in endpoint.addresses}
