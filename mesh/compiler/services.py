"""Services of the whole mesh, found by namespace and name, for policies that refer to them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mesh.compiler.incoming import target_numbers
from mesh.compiler.namespace import NamespacePart
from mesh.model.sidecar_config import ServicePort
from mesh.model.snapshot import NamespaceView, Pod, Service


@dataclass(frozen=True, slots=True)
class ServiceTable:
    """What is declared (``views``) and what it comes to (``parts``), by namespace."""

    views: Mapping[str, NamespaceView]
    parts: Mapping[str, NamespacePart]

    def declared(self, namespace: str, name: str) -> Service | None:
        """The Service as it was written."""
        view = self.views.get(namespace)
        return next((service for service in view.services if service.name == name), None) if view else None

    def ports(self, namespace: str, name: str) -> tuple[ServicePort, ...]:
        """Its TCP ports with their endpoints, those of a headless one, too; none where the mesh does not lead to it."""
        part = self.parts.get(namespace)
        return part.by_service.get(name, ()) if part else ()

    def pods(self, service: Service) -> Iterator[Pod]:
        """The pods behind *service*: those that it selects, or whose address somebody has written into its slices."""
        view = self.views[service.namespace]
        if service.selector:
            yield from (pod for pod in view.pods if service.selector.items() <= pod.labels.items())
            return
        written = {
            address
            for part in view.slices
            if part.service == service.name
            for endpoint in part.endpoints
            for address in endpoint.addresses
        }
        yield from (pod for pod in view.pods if written.intersection(pod.addresses))


def target_ports(service: Service, pod: Pod) -> set[int]:
    """The TCP ports of *pod* that *service* leads to."""
    return {number for spec in service.ports for number in target_numbers(spec, pod)}
