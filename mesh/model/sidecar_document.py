"""The JSON form of a SidecarConfig: rendering and parsing, nothing about compression or headers (design 7).

Rows that occur thousands of times (endpoints, pods, ports) are lists; everything else is an object. A newer writer may
add keys to objects and items at the end of rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mesh.model import policy_document
from mesh.model.document_fields import (
    LARGE,
    read_boolean,
    read_choice,
    read_list,
    read_number,
    read_object,
    read_port,
    read_row,
    read_rows,
    read_text,
)
from mesh.model.policy import HttpMatch
from mesh.model.sidecar_config import (
    SERVER_FIRST_MS,
    Endpoint,
    IncomingPort,
    MtlsMode,
    PodAddress,
    Protocol,
    ServicePort,
    SidecarConfig,
)
from mesh.model.topology import NO_HINTS, Hints

_NONE = -1


def render(config: SidecarConfig) -> dict[str, Any]:
    """Give the document of *config*: values that JSON can hold."""
    return render_own(config) | render_scope(config)


def render_own(config: SidecarConfig) -> dict[str, Any]:
    """Give the fields that belong to one group alone; small."""
    rare: dict[str, Any] = {"nodeZones": dict(config.node_zones)} if config.node_zones else {}
    if config.server_first_ms != SERVER_FIRST_MS:
        rare["serverFirstMs"] = config.server_first_ms
    if guards := policy_document.render_guards(config.access_enforced, config.targets, config.limits):
        rare["guards"] = guards
    return rare | {
        "trustDomain": config.trust_domain,
        "mtlsMode": str(config.mtls_mode),
        "clientMaxBodySize": config.client_max_body_size,
        "errorLogLevel": config.error_log_level,
        "logFormat": config.log_format,
        "accessControlMode": config.access_control_mode,
        "transparent": config.transparent,
        "incoming": [[row.port, str(row.protocol)] for row in config.incoming],
    }


def render_scope(config: SidecarConfig) -> dict[str, Any]:
    """Give the fields that depend on ``services`` and ``pods`` alone; large, and the same for many groups."""
    tables = Tables.of(config.services, config.pods)
    return tables.render() | {
        "services": [render_service(service, tables) for service in config.services],
        "pods": [render_pod(pod, tables) for pod in config.pods],
    }


def parse(document: object) -> SidecarConfig:
    """Read a document. Raises InvalidInputError at the first fault: documents come from a program, not from a person."""
    root = read_object("document", document)
    tables = ReadTables.of(root)
    return replace(
        parse_own(root),
        services=tuple(parse_service(item, tables) for item in read_rows("services", root)),
        pods=tuple(parse_pod(row, tables) for row in read_rows("pods", root)),
    )


def parse_own(root: Mapping[str, Any]) -> SidecarConfig:
    """Read the fields that belong to one group alone: a configuration without a scope."""
    enforced, targets, limits = policy_document.parse_guards(root.get("guards", {}))
    return SidecarConfig(
        trust_domain=read_text("trustDomain", root.get("trustDomain")),
        mtls_mode=read_choice("mtlsMode", root.get("mtlsMode"), MtlsMode),
        client_max_body_size=read_number("clientMaxBodySize", root.get("clientMaxBodySize"), 0, 1 << 53),
        error_log_level=read_text("errorLogLevel", root.get("errorLogLevel")),
        log_format=read_text("logFormat", root.get("logFormat")),
        access_control_mode=read_text("accessControlMode", root.get("accessControlMode")),
        transparent=read_boolean("transparent", root.get("transparent", False)),
        server_first_ms=read_number("serverFirstMs", root.get("serverFirstMs", SERVER_FIRST_MS), 1, 10_000),
        incoming=tuple(IncomingPort(*_port_row("incoming", row)) for row in read_rows("incoming", root)),
        node_zones=tuple(
            (read_text("nodeZones", node), read_text("nodeZones", zone))
            for node, zone in sorted(read_object("nodeZones", root.get("nodeZones", {})).items())
        ),
        access_enforced=enforced,
        targets=targets,
        limits=limits,
    )


@dataclass(frozen=True, slots=True)
class Tables:
    """What rows name by position, to write: identities, hints, matches of splits."""

    identities: Mapping[str, int]
    hints: Mapping[Hints, int]
    matches: Mapping[HttpMatch, int]

    @staticmethod
    def of(services: Iterable[ServicePort], pods: Iterable[PodAddress], more: Iterable[Endpoint] = ()) -> "Tables":
        """Make the tables for some rows; *more* are endpoints that stand alone."""
        services = list(services)
        endpoints = [*(endpoint for service in services for endpoint in service.endpoints), *more]
        identities = {pod.identity for pod in pods} | {endpoint.identity for endpoint in endpoints}
        hints = {endpoint.hints for endpoint in endpoints}
        return Tables(
            {identity: number for number, identity in enumerate(sorted(identities - {""}))} | {"": _NONE},
            {row: number for number, row in enumerate(sorted(hints - {NO_HINTS}))} | {NO_HINTS: _NONE},
            policy_document.number_matches(split for service in services for split in service.splits),
        )

    def render(self) -> dict[str, Any]:
        """Give the tables' fields. The last entry of two of them stands for none, and is not written."""
        rare: dict[str, Any] = {}
        if hints := [[list(row.zones), list(row.nodes)] for row, number in self.hints.items() if number != _NONE]:
            rare["hints"] = hints
        if self.matches:
            rare["splitMatches"] = policy_document.render_matches(self.matches)
        return rare | {"identities": [identity for identity in self.identities if identity]}


@dataclass(frozen=True, slots=True)
class ReadTables:
    """What rows name by position, as read."""

    identities: Sequence[str]
    hints: Sequence[Hints]
    matches: Sequence[HttpMatch]

    @staticmethod
    def of(root: Mapping[str, Any]) -> "ReadTables":
        """Read the tables' fields."""
        return ReadTables(
            [read_text("identities", item) for item in read_rows("identities", root)],
            [_parse_hints(row) for row in read_rows("hints", root)],
            policy_document.parse_matches("splitMatches", root.get("splitMatches", [])),
        )


def render_service(service: ServicePort, tables: Tables) -> dict[str, Any]:
    """Give the object of a Service's port."""
    settings: dict[str, Any] = {
        "requestTimeoutMs": service.request_timeout_ms,
        "retries": service.retries,
        "retryNonIdempotent": service.retry_non_idempotent,
        "splits": [policy_document.render_split(split, tables.matches) for split in service.splits],
        "breaker": policy_document.render_breaker(service.breaker) if service.breaker else None,
    }
    # Most Services have none: what is absent costs nothing on the bus and in each sidecar.
    return {key: value for key, value in settings.items() if value} | {
        "namespace": service.namespace,
        "name": service.service,
        "port": service.port,
        "protocol": str(service.protocol),
        "lbMethod": service.lb_method,
        "addresses": list(service.addresses),
        "endpoints": [render_endpoint(endpoint, tables) for endpoint in service.endpoints],
    }


def parse_service(item: object, tables: ReadTables) -> ServicePort:
    """Read the object of a Service's port."""
    service = read_object("services", item)
    breaker = service.get("breaker")
    return ServicePort(
        namespace=read_text("services.namespace", service.get("namespace")),
        service=read_text("services.name", service.get("name")),
        port=read_port("services.port", service.get("port")),
        protocol=read_choice("services.protocol", service.get("protocol"), Protocol),
        lb_method=read_text("services.lbMethod", service.get("lbMethod")),
        addresses=tuple(read_text("services.addresses", address) for address in read_rows("addresses", service)),
        endpoints=tuple(parse_endpoint(row, tables) for row in read_rows("endpoints", service)),
        request_timeout_ms=read_number("services.requestTimeoutMs", service.get("requestTimeoutMs", 0), 0, LARGE),
        retries=read_number("services.retries", service.get("retries", 0), 0, LARGE),
        retry_non_idempotent=read_boolean("services.retryNonIdempotent", service.get("retryNonIdempotent", False)),
        splits=tuple(policy_document.parse_split(row, tables.matches) for row in read_rows("splits", service)),
        breaker=None if breaker is None else policy_document.parse_breaker(breaker),
    )


def render_endpoint(endpoint: Endpoint, tables: Tables) -> list[Any]:
    """Give the row of an endpoint."""
    hints = [] if endpoint.hints == NO_HINTS else [tables.hints[endpoint.hints]]
    return [endpoint.address, endpoint.port, tables.identities[endpoint.identity], endpoint.pod, *hints]


def parse_endpoint(row: object, tables: ReadTables) -> Endpoint:
    """Read the row of an endpoint."""
    address, port, identity, pod, *rest = read_row("services.endpoints", row, 4)
    hinted = read_number("services.endpoints.hints", rest[0], _NONE, len(tables.hints) - 1) if rest else _NONE
    return Endpoint(
        read_text("services.endpoints.address", address),
        read_port("services.endpoints.port", port),
        _identity("services.endpoints.identity", identity, tables),
        read_text("services.endpoints.pod", pod),
        NO_HINTS if hinted == _NONE else tables.hints[hinted],
    )


def render_pod(pod: PodAddress, tables: Tables) -> list[Any]:
    """Give the row of an injected pod."""
    ports = [[port, str(protocol)] for port, protocol in pod.ports]
    headless = [[list(row) for row in pod.headless]] if pod.headless else []
    return [pod.address, tables.identities[pod.identity], ports, pod.pod, *headless]


def parse_pod(row: object, tables: ReadTables) -> PodAddress:
    """Read the row of an injected pod."""
    address, identity, ports, pod, *rest = read_row("pods", row, 4)
    return PodAddress(
        read_text("pods.address", address),
        _identity("pods.identity", identity, tables),
        tuple(_port_row("pods.ports", port) for port in read_list("pods.ports", ports)),
        read_text("pods.pod", pod),
        tuple(_headless_row(item) for item in read_list("pods.headless", rest[0])) if rest else (),
    )


def _headless_row(row: object) -> tuple[int, str, int]:
    place = "pods.headless"
    port, service, service_port, *_ = read_row(place, row, 3)
    return read_port(place, port), read_text(place, service), read_port(place, service_port)


def _parse_hints(row: object) -> Hints:
    lists = read_row("hints", row, 2)
    zones, nodes = (tuple(read_text("hints", item) for item in read_list("hints", value)) for value in lists[:2])
    return Hints(zones, nodes)


def _port_row(place: str, row: object) -> tuple[int, Protocol]:
    port, protocol, *_ = read_row(place, row, 2)
    return read_port(place, port), read_choice(place, protocol, Protocol)


def _identity(place: str, value: object, tables: ReadTables) -> str:
    number = read_number(place, value, _NONE, len(tables.identities) - 1)
    return "" if number == _NONE else tables.identities[number]
