"""What the ports of a pod speak: as the Services that target them say, else as the pod declares (contract 6.incoming).

Services are matched by their selectors, not by their endpoints: a pod's sidecar must know its ports before the pod is
ready. A Service without a selector targets the addresses that its EndpointSlices name. UDP is not proxied and does not
appear.
"""

from collections.abc import Iterable, Iterator, Mapping

from mesh.compiler.finding import Finding
from mesh.compiler.protocol import protocol_of
from mesh.model.sidecar_config import Protocol
from mesh.model.snapshot import EndpointSlice, Pod, Service, ServicePortSpec

_TCP = "TCP"

Claim = tuple[int, Protocol, str]
"""A port of a pod, what it is said to speak, and the Service that says so."""


class IncomingPorts:
    """The incoming ports of the pods of one namespace; remembers them for pods that are alike."""

    def __init__(self, services: Iterable[Service], slices: Iterable[EndpointSlice]) -> None:
        by_selector = {service.name: service for service in services if service.selector}
        by_hand = {service.name: service for service in services if not service.selector}
        self._services = tuple(by_selector.values())
        self._by_address = _claims_by_address(by_hand, slices)
        self._known: dict[object, dict[int, set[tuple[Protocol, str]]]] = {}

    def of_pod(self, pod: Pod) -> dict[int, Protocol]:
        """Port to protocol, for every TCP port of the pod that is declared or targeted."""
        return {port: _agreed(claims) for port, claims in self._claims(pod).items()}

    def of_group(self, pods: Iterable[Pod]) -> tuple[dict[int, Protocol], list[Finding]]:
        """The ports of pods that share a configuration, and the Services that disagree about one of them."""
        claims: dict[int, set[tuple[Protocol, str]]] = {}
        namespace = ""
        for pod in pods:
            namespace = pod.namespace
            for port, found in self._claims(pod).items():
                claims.setdefault(port, set()).update(found)
        findings = [
            finding for port, found in sorted(claims.items()) for finding in _disagreement(namespace, port, found)
        ]
        return {port: _agreed(found) for port, found in claims.items()}, findings

    def _claims(self, pod: Pod) -> dict[int, set[tuple[Protocol, str]]]:
        """Port to what is claimed of it: (protocol, Service), with an empty Service for the pod's own declaration."""
        by_hand = frozenset(claim for address in pod.addresses for claim in self._by_address.get(address, ()))
        alike = (frozenset(pod.labels.items()), pod.ports, by_hand)
        claims = self._known.get(alike)
        if claims is None:
            claims = self._known[alike] = self._find_claims(pod, by_hand)
        return claims

    def _find_claims(self, pod: Pod, by_hand: Iterable[Claim]) -> dict[int, set[tuple[Protocol, str]]]:
        claims: dict[int, set[tuple[Protocol, str]]] = {}
        for port, protocol, service_name in by_hand:
            claims.setdefault(port, set()).add((protocol, service_name))
        for service in self._services:
            if service.selector.items() <= pod.labels.items():
                for spec in service.ports:
                    for port in target_numbers(spec, pod):
                        protocol = protocol_of(spec.transport, spec.name, spec.app_protocol, spec.port)
                        claims.setdefault(port, set()).add((protocol, service.name))
        for declared in pod.ports:
            if declared.transport == _TCP and declared.number not in claims:
                protocol = protocol_of(_TCP, declared.name, "", declared.number)
                claims[declared.number] = {(protocol, "")}
        return claims


def _claims_by_address(by_hand: Mapping[str, Service], slices: Iterable[EndpointSlice]) -> dict[str, set[Claim]]:
    """What Services without a selector say of the addresses that somebody has written into their slices."""
    claims: dict[str, set[Claim]] = {}
    for part in slices:
        service = by_hand.get(part.service)
        named = {spec.name: spec for spec in service.ports if spec.transport == _TCP} if service else {}
        for name, transport, number in part.ports:
            if transport == _TCP and name in named:
                spec = named[name]
                protocol = protocol_of(spec.transport, spec.name, spec.app_protocol, spec.port)
                for address in (address for endpoint in part.endpoints for address in endpoint.addresses):
                    claims.setdefault(address, set()).add((number, protocol, part.service))
    return claims


def target_numbers(spec: ServicePortSpec, pod: Pod) -> Iterator[int]:
    """The TCP port of *pod* that a Service's port leads to, if there is one."""
    if spec.transport != _TCP:
        return
    if isinstance(spec.target, int):
        yield spec.target
        return
    for declared in pod.ports:
        if declared.name == spec.target and declared.transport == _TCP:
            yield declared.number
            return  # Kubernetes takes the first container port of that name.


def _agreed(claims: set[tuple[Protocol, str]]) -> Protocol:
    protocols = {protocol for protocol, _ in claims}
    return protocols.pop() if len(protocols) == 1 else Protocol.TCP


def _disagreement(namespace: str, port: int, claims: set[tuple[Protocol, str]]) -> Iterator[Finding]:
    if len({protocol for protocol, _ in claims}) == 1:
        return
    said = ", ".join(
        f"{service or 'the pod'}: {protocol}" for protocol, service in sorted(claims, key=lambda c: c[::-1])
    )
    message = f"port {port} of the same pods has several protocols ({said}); it is treated as tcp"
    for service in sorted({service for _, service in claims if service}):
        yield Finding("Service", namespace, service, "ProtocolConflict", message)
