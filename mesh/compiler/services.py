"""Services of the whole mesh, found by namespace and name, for policies that refer to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mesh.compiler.incoming import target_numbers
from mesh.compiler.namespace import NamespacePart
from mesh.compiler.workloads import Workloads
from mesh.model.sidecar_config import ServicePort
from mesh.model.snapshot import NamespaceView, Pod, Service

_NOBODY: Final = Workloads(NamespaceView(""))


@dataclass(frozen=True, slots=True)
class ServiceTable:
    """What is declared (``views``) and what it comes to (``parts``), by namespace."""

    views: Mapping[str, NamespaceView]
    parts: Mapping[str, NamespacePart]
    _by_name: dict[str, dict[str, Service]] = field(default_factory=dict)

    def declared(self, namespace: str, name: str) -> Service | None:
        """The Service as it was written."""
        by_name = self._by_name.get(namespace)
        if by_name is None:
            view = self.views.get(namespace)
            by_name = self._by_name[namespace] = {service.name: service for service in view.services} if view else {}
        return by_name.get(name)

    def ports(self, namespace: str, name: str) -> tuple[ServicePort, ...]:
        """Its TCP ports with their endpoints, those of a headless one, too; none where the mesh does not lead to it."""
        part = self.parts.get(namespace)
        return part.by_service.get(name, ()) if part else ()

    def workloads(self, namespace: str) -> Workloads:
        """The pods of a namespace, as policies name them; none where the mesh does not lead to it."""
        part = self.parts.get(namespace)
        return part.workloads if part else _NOBODY


def target_ports(service: Service, pod: Pod) -> set[int]:
    """The TCP ports of *pod* that *service* leads to."""
    return {number for spec in service.ports for number in target_numbers(spec, pod)}
