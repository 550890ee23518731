"""The document `state`: what NGINX must do, as text (docs/reference/nginx-state.md, version 1). Pure."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from mesh.api.mtls import MtlsMode
from mesh.model.sidecar_config import PodAddress, Protocol, ServicePort, SidecarConfig
from mesh.sidecar import policy_state
from mesh.sidecar.nearest import nearest
from mesh.sidecar.policy_state import Row

VERSION = 1
NO_REVISION = "-"


def render_initial(trust_domain: str, mode: MtlsMode) -> str:
    """Give the document until the first configuration: no routes, and the mode that the pod was injected with."""
    return _document(NO_REVISION, [("trust_domain", trust_domain), ("mode", mode)])


def render(
    config: SidecarConfig, revision: str, node: str = "", health_ports: Collection[int] = (), pod: str = ""
) -> str:
    """Give the document for *config* in *pod* (``namespace/name``) on *node*. UDP is left out: these listeners do not proxy it.

    *health_ports* are those that the kubelet's gRPC probes ask.
    """
    limits = tuple(limit for limit in config.limits if not limit.pods or pod in limit.pods)
    return _document(revision, _rows(replace(config, limits=limits), node, health_ports))


def revision_of(document: str) -> str:
    """Revision of a document, empty when it is none of this version."""
    fields = document.partition("\n")[0].split("\t")
    return fields[2] if len(fields) >= 3 and fields[:2] == ["mesh", str(VERSION)] else ""


def _document(revision: str, rows: list[Row] | Iterator[Row]) -> str:
    lines = ["\t".join(map(str, row)) for row in (("mesh", VERSION, revision), *rows)]
    lines.append(f"end\t{len(lines)}\n")
    return "\n".join(lines)


def _rows(config: SidecarConfig, node: str, health_ports: Collection[int]) -> Iterator[Row]:
    yield "trust_domain", config.trust_domain
    yield "mode", config.mtls_mode
    yield "set", "client_max_body_size", config.client_max_body_size
    yield "set", "error_log_level", config.error_log_level
    yield "set", "log_format", config.log_format
    yield "set", "transparent", int(config.transparent)
    yield "set", "server_first_ms", config.server_first_ms
    yield from _incoming(config, health_ports)
    identities = {identity: number for number, identity in enumerate(_identities(config))}
    for identity, number in identities.items():
        yield "identity", number, identity
    proxied = [service for service in config.services if service.protocol != Protocol.UDP]
    yield from _services(proxied, identities, node, dict(config.node_zones).get(node, ""))
    yield from _pods(config, identities)
    yield from policy_state.rows(config, proxied, identities)


def _incoming(config: SidecarConfig, health_ports: Collection[int]) -> Iterator[Row]:
    declared = {item.port: item.protocol for item in config.incoming if item.protocol != Protocol.UDP}
    for port, protocol in declared.items():
        yield ("incoming", port, protocol, *(("health",) if port in health_ports else ()))
    # A probe's port need not be declared by the container; the probe declares it.
    for port in sorted(set(health_ports) - declared.keys()):
        yield "incoming", port, Protocol.GRPC, "health"


def _identities(config: SidecarConfig) -> list[str]:
    of_endpoints = {endpoint.identity for service in config.services for endpoint in service.endpoints}
    of_pods = {pod.identity for pod in config.pods}
    of_callers = {source for target in config.targets for source in target.sources}
    return sorted((of_endpoints | of_pods | of_callers) - {""})


def _services(proxied: list[ServicePort], identities: dict[str, int], node: str, zone: str) -> Iterator[Row]:
    routed: set[tuple[str, int]] = set()
    for number, service in enumerate(proxied):
        name = f"{service.namespace}/{service.service}"
        yield "upstream", number, name, service.port, service.protocol, service.lb_method
        if service.request_timeout_ms or service.retries:
            methods = "any" if service.retry_non_idempotent else "idempotent"
            yield "request", number, service.request_timeout_ms, service.retries, methods
        for endpoint in nearest(service.endpoints, node, zone):
            identity = identities[endpoint.identity] if endpoint.identity else "-"
            yield "endpoint", number, endpoint.address, endpoint.port, identity, endpoint.pod or "-"
        for address in service.addresses:
            if (address, service.port) not in routed:
                routed.add((address, service.port))
                yield "route", address, service.port, number


def _pods(config: SidecarConfig, identities: dict[str, int]) -> Iterator[Row]:
    for pod in config.pods:
        ports = _ports(pod)
        for port, protocol in ports:
            yield "pod", pod.address, port, protocol, identities[pod.identity], pod.pod or "-"
        if not ports:
            yield "injected", pod.address


def _ports(pod: PodAddress) -> list[tuple[int, Protocol]]:
    """The pod's proxied ports, each number once."""
    ports: dict[int, Protocol] = {}
    for port, protocol in pod.ports:
        if protocol != Protocol.UDP:
            ports.setdefault(port, protocol)
    return list(ports.items())
