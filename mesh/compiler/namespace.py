"""What one namespace contributes: its Service ports, its pods' addresses, its sidecar groups."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mesh.api.errors import InvalidInputError
from mesh.api.mtls import MtlsMode
from mesh.compiler.endpoints import service_ports
from mesh.compiler.finding import Finding
from mesh.compiler.incoming import IncomingPorts
from mesh.compiler.workloads import Workloads
from mesh.model import annotations, identity
from mesh.model.mode_change import Stance
from mesh.model.sidecar_config import IncomingPort, PodAddress, ServicePort
from mesh.model.snapshot import MeshSettings, NamespaceView, Pod, Service

Seniority = tuple[bool, str]
"""Whether the pod goes on living, and when it was created."""


@dataclass(frozen=True, slots=True)
class GroupPart:
    """What a group's sidecars must know about their own pods; ``nodes`` are those that they run on, in order.

    The members share a ``service_account``.
    """

    mtls_mode: MtlsMode
    client_max_body_size: int
    incoming: tuple[IncomingPort, ...]
    nodes: tuple[str, ...]
    service_account: str


@dataclass(frozen=True, slots=True)
class NamespacePart:
    """The contribution of one namespace.

    ``pods`` come with their seniority: where two had the same address, the higher one has it now.
    ``has_bare_endpoints``: some endpoints name no pod, only an address. ``has_zone_hints``: some hint at zones. ``by_service``
    has the ports of headless Services, too, which ``services`` leaves out: only a policy makes them known.
    """

    services: tuple[ServicePort, ...]
    pods: tuple[tuple[Seniority, PodAddress], ...]
    groups: Mapping[str, GroupPart]
    findings: tuple[Finding, ...]
    has_bare_endpoints: bool
    has_zone_hints: bool
    by_service: Mapping[str, tuple[ServicePort, ...]]
    workloads: Workloads = field(compare=False)


def compile_namespace(view: NamespaceView, settings: MeshSettings) -> NamespacePart:
    """Compile one namespace; depends on nothing but its arguments."""
    findings: list[Finding] = []
    if not settings.app_protocol:
        view = replace(view, services=tuple(map(_without_app_protocol, view.services)))
    ports = IncomingPorts(view.services, view.slices)
    stances = {pod.name: _stance(pod, settings, findings) for pod in view.pods if pod.group}
    identities = {pod.name: _identity(pod, stances, settings) for pod in view.pods if pod.addresses}
    ports_of_services, complaints = service_ports(view, identities, settings.lb_method)
    findings.extend(complaints)
    services = tuple(port for port in ports_of_services if port.addresses)
    groups: dict[str, GroupPart] = {}
    for group, members in _by_group(view.pods).items():
        incoming, complaints = ports.of_group(members)
        findings.extend(complaints)
        groups[group] = GroupPart(
            max(stances[pod.name] for pod in members).mode,
            min((_body_size(pod, settings, findings) for pod in members), key=lambda size: size or float("inf")),
            tuple(IncomingPort(port, protocol) for port, protocol in sorted(incoming.items())),
            tuple(sorted({pod.node for pod in members if pod.node})),
            members[0].service_account,
        )
    addresses = tuple(sorted(_pod_addresses(view.pods, identities, ports)))
    endpoints = [endpoint for port in ports_of_services for endpoint in port.endpoints]
    bare = any(not endpoint.pod for endpoint in endpoints)
    hinted = any(endpoint.hints.zones for endpoint in endpoints)
    by_service: dict[str, tuple[ServicePort, ...]] = {}
    for port in ports_of_services:
        by_service[port.service] = (*by_service.get(port.service, ()), port)
    return NamespacePart(
        services, addresses, groups, tuple(sorted(set(findings))), bare, hinted, by_service, Workloads(view)
    )


def _without_app_protocol(service: Service) -> Service:
    return replace(service, ports=tuple(replace(spec, app_protocol="") for spec in service.ports))


def _by_group(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    groups: dict[str, list[Pod]] = {}
    for pod in pods:
        if pod.group:
            groups.setdefault(pod.group, []).append(pod)
    return groups


def _identity(pod: Pod, stances: Mapping[str, Stance], settings: MeshSettings) -> str:
    """The SPIFFE ID that a pod proves; empty when it has no sidecar, or one that is called in plaintext."""
    if not stances.get(pod.name, Stance.PLAINTEXT).is_called_by_mtls:
        return ""
    return str(identity.workload_identity(settings.trust_domain, pod.namespace, pod.service_account))


def _pod_addresses(
    pods: Iterable[Pod], identities: Mapping[str, str], ports: IncomingPorts
) -> Iterator[tuple[Seniority, PodAddress]]:
    holders: dict[str, Pod] = {}
    # An address that a finished pod had may already be another's: the youngest pod that still lives has it.
    for pod in sorted(pods, key=lambda pod: (_seniority(pod), pod.name)):
        holders.update(dict.fromkeys(pod.addresses, pod))
    for address, pod in holders.items():
        proven = identities.get(pod.name, "")
        if proven:
            yield _seniority(pod), PodAddress(address, proven, tuple(sorted(ports.of_pod(pod).items())), pod.key)


def _seniority(pod: Pod) -> Seniority:
    return not pod.terminating, pod.created


def _stance(pod: Pod, settings: MeshSettings, findings: list[Finding]) -> Stance:
    try:
        own = annotations.mtls_mode(pod.annotations)
    except InvalidInputError as error:
        findings.append(_invalid(pod, error))
        own = None
    return settings.mode.stance(own)


def _body_size(pod: Pod, settings: MeshSettings, findings: list[Finding]) -> int:
    try:
        own = annotations.client_max_body_size(pod.annotations)
    except InvalidInputError as error:
        findings.append(_invalid(pod, error))
        own = None
    return settings.client_max_body_size if own is None else own


def _invalid(pod: Pod, error: InvalidInputError) -> Finding:
    return Finding("Pod", pod.namespace, pod.name, "InvalidAnnotation", f"{error}; the global setting is used")
