"""Which pods answer for a Service port, and who each of them must prove to be (contract 6.endpoints)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from mesh.api.mesh_config import LbMethod
from mesh.compiler.finding import Finding
from mesh.compiler.protocol import protocol_of
from mesh.compiler.service_settings import REQUEST_PROTOCOLS, service_settings
from mesh.model.service_annotations import ServiceAnnotations
from mesh.model.sidecar_config import Endpoint, ServicePort
from mesh.model.snapshot import EndpointSlice, NamespaceView, Pod, Service, ServicePortSpec

_TCP = "TCP"


def service_ports(
    view: NamespaceView, identities: Mapping[str, str], default_method: LbMethod
) -> tuple[tuple[ServicePort, ...], list[Finding]]:
    """The Service ports of a namespace with the endpoints that are ready; those of headless Services have no address.

    *identities* has every pod of the namespace that has an address, by name: its SPIFFE ID, empty for plaintext.
    """
    slices: dict[str, list[EndpointSlice]] = {}
    for part in view.slices:
        slices.setdefault(part.service, []).append(part)
    pods = {pod.name: (pod, identities[pod.name]) for pod in view.pods if pod.name in identities}
    ports: list[ServicePort] = []
    findings: list[Finding] = []
    for service in view.services:
        settings, complaints = service_settings(service)
        findings.extend(complaints)
        settings = replace(settings, lb_method=settings.lb_method or default_method)
        for spec in service.ports:
            if spec.transport == _TCP:
                found = set(_endpoints(spec.name, slices.get(service.name, []), pods))
                ports.extend(_by_family(_service_port(service, spec, settings), found))
    return tuple(sorted(ports)), findings


def _service_port(service: Service, spec: ServicePortSpec, settings: ServiceAnnotations) -> ServicePort:
    """The port with all of the Service's addresses and no endpoint."""
    protocol = protocol_of(spec.transport, spec.name, spec.app_protocol, spec.port)
    of_requests = settings if protocol in REQUEST_PROTOCOLS else ServiceAnnotations()
    return ServicePort(
        service.namespace,
        service.name,
        spec.port,
        protocol,
        str(settings.lb_method),
        service.addresses,
        (),
        of_requests.request_timeout_ms,
        of_requests.retries,
        of_requests.retry_non_idempotent and of_requests.retries > 0,
    )


def _by_family(port: ServicePort, endpoints: set[Endpoint]) -> Iterator[ServicePort]:
    """Cut a port in one per address family: a caller of one family is not led to addresses of the other.

    An application need not listen on both, and a caller's pod need not have both; Kubernetes keeps them apart, too.
    """
    if not port.addresses:
        yield replace(port, endpoints=each_place_once(endpoints))
    for addresses in _families(port.addresses):
        is_ipv6 = _is_ipv6(addresses[0])
        own = each_place_once(endpoint for endpoint in endpoints if _is_ipv6(endpoint.address) == is_ipv6)
        yield replace(port, addresses=addresses, endpoints=own)


def each_place_once(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Endpoints in their order, of those with one address and port only one: it proves an identity if any does.

    While Kubernetes moves an endpoint from slice to slice it is in both, perhaps with other hints.
    """
    places = {(endpoint.address, endpoint.port): endpoint for endpoint in sorted(endpoints)}
    return tuple(places.values())


def _families(addresses: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for is_ipv6 in (False, True):
        family = tuple(address for address in addresses if _is_ipv6(address) == is_ipv6)
        if family:
            yield family


def _is_ipv6(address: str) -> bool:
    return ":" in address


def _endpoints(port_name: str, slices: list[EndpointSlice], pods: Mapping[str, tuple[Pod, str]]) -> Iterator[Endpoint]:
    for part in slices:
        numbers = [number for name, transport, number in part.ports if name == port_name and transport == _TCP]
        for endpoint in part.endpoints:
            # A pod that the watch has not shown yet may be an injected one: plaintext would be wrong, so it waits.
            if not endpoint.ready or (endpoint.pod and endpoint.pod not in pods):
                continue
            for address in endpoint.addresses:
                identity, name = _who(address, endpoint.pod, pods)
                yield from (Endpoint(address, number, identity, name, endpoint.hints) for number in numbers)


def _who(address: str, pod_name: str, pods: Mapping[str, tuple[Pod, str]]) -> tuple[str, str]:
    """Identity and ``namespace/name`` of who answers at an address that is said to be the pod's; empty: not known here.

    A slice written by hand may name one pod and hold the address of another, whose identity then counts.
    """
    if not pod_name:
        return "", ""
    pod, identity = pods[pod_name]
    return (identity, pod.key) if address in pod.addresses else ("", "")
