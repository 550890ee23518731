"""The JSON form of a SidecarConfig: rendering and parsing, nothing about compression or headers (design 7).

Rows that occur thousands of times (endpoints, pods, ports) are lists; everything else is an object. A newer writer may
add keys to objects and items at the end of rows.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from mesh.api.errors import InvalidInputError, Problem, quote
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

_Choice = TypeVar("_Choice", bound=StrEnum)
_NONE = -1
_LARGE = (1 << 31) - 1


def render(config: SidecarConfig) -> dict[str, Any]:
    """Give the document of *config*: values that JSON can hold."""
    return render_own(config) | render_scope(config)


def render_own(config: SidecarConfig) -> dict[str, Any]:
    """Give the fields that belong to one group alone; small."""
    rare: dict[str, Any] = {"nodeZones": dict(config.node_zones)} if config.node_zones else {}
    if config.server_first_ms != SERVER_FIRST_MS:
        rare["serverFirstMs"] = config.server_first_ms
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
    identities = sorted(_identities(config))
    position = {identity: number for number, identity in enumerate(identities)} | {"": _NONE}
    hints = sorted({endpoint.hints for service in config.services for endpoint in service.endpoints} - {NO_HINTS})
    hinted = {row: number for number, row in enumerate(hints)} | {NO_HINTS: _NONE}
    table = {"hints": [[list(row.zones), list(row.nodes)] for row in hints]} if hints else {}
    return table | {
        "identities": identities,
        "services": [_render_service(service, position, hinted) for service in config.services],
        "pods": [
            [pod.address, position[pod.identity], [[port, str(protocol)] for port, protocol in pod.ports], pod.pod]
            for pod in config.pods
        ],
    }


def parse(document: object) -> SidecarConfig:
    """Read a document. Raises InvalidInputError at the first fault: documents come from a program, not from a person."""
    root = _object("document", document)
    identities = [_text("identities", item) for item in _rows("identities", root)]
    hints = [_parse_hints(row) for row in _rows("hints", root)]
    return SidecarConfig(
        trust_domain=_text("trustDomain", root.get("trustDomain")),
        mtls_mode=_choice("mtlsMode", root.get("mtlsMode"), MtlsMode),
        client_max_body_size=_number("clientMaxBodySize", root.get("clientMaxBodySize"), 0, 1 << 53),
        error_log_level=_text("errorLogLevel", root.get("errorLogLevel")),
        log_format=_text("logFormat", root.get("logFormat")),
        access_control_mode=_text("accessControlMode", root.get("accessControlMode")),
        transparent=_boolean("transparent", root.get("transparent", False)),
        server_first_ms=_number("serverFirstMs", root.get("serverFirstMs", SERVER_FIRST_MS), 1, 10_000),
        incoming=tuple(IncomingPort(*_port_row("incoming", row)) for row in _rows("incoming", root)),
        services=tuple(_parse_service(item, identities, hints) for item in _rows("services", root)),
        pods=tuple(_parse_pod(row, identities) for row in _rows("pods", root)),
        node_zones=tuple(
            (_text("nodeZones", node), _text("nodeZones", zone))
            for node, zone in sorted(_object("nodeZones", root.get("nodeZones", {})).items())
        ),
    )


def _identities(config: SidecarConfig) -> set[str]:
    used = {pod.identity for pod in config.pods}
    used.update(endpoint.identity for service in config.services for endpoint in service.endpoints)
    used.discard("")
    return used


def _render_service(service: ServicePort, position: Mapping[str, int], hinted: Mapping[Hints, int]) -> dict[str, Any]:
    settings = {
        "requestTimeoutMs": service.request_timeout_ms,
        "retries": service.retries,
        "retryNonIdempotent": service.retry_non_idempotent,
    }
    # Most Services have none: what is absent costs nothing on the bus and in each sidecar.
    return {key: value for key, value in settings.items() if value} | {
        "namespace": service.namespace,
        "name": service.service,
        "port": service.port,
        "protocol": str(service.protocol),
        "lbMethod": service.lb_method,
        "addresses": list(service.addresses),
        "endpoints": [
            [endpoint.address, endpoint.port, position[endpoint.identity], endpoint.pod]
            + ([] if endpoint.hints == NO_HINTS else [hinted[endpoint.hints]])
            for endpoint in service.endpoints
        ],
    }


def _parse_service(item: object, identities: list[str], hints: list[Hints]) -> ServicePort:
    service = _object("services", item)
    return ServicePort(
        namespace=_text("services.namespace", service.get("namespace")),
        service=_text("services.name", service.get("name")),
        port=_port("services.port", service.get("port")),
        protocol=_choice("services.protocol", service.get("protocol"), Protocol),
        lb_method=_text("services.lbMethod", service.get("lbMethod")),
        addresses=tuple(_text("services.addresses", address) for address in _rows("addresses", service)),
        endpoints=tuple(_parse_endpoint(row, identities, hints) for row in _rows("endpoints", service)),
        request_timeout_ms=_number("services.requestTimeoutMs", service.get("requestTimeoutMs", 0), 0, _LARGE),
        retries=_number("services.retries", service.get("retries", 0), 0, _LARGE),
        retry_non_idempotent=_boolean("services.retryNonIdempotent", service.get("retryNonIdempotent", False)),
    )


def _parse_endpoint(row: object, identities: list[str], hints: list[Hints]) -> Endpoint:
    address, port, identity, pod, *rest = _row("services.endpoints", row, 4)
    hinted = _number("services.endpoints.hints", rest[0], _NONE, len(hints) - 1) if rest else _NONE
    return Endpoint(
        _text("services.endpoints.address", address),
        _port("services.endpoints.port", port),
        _identity("services.endpoints.identity", identity, identities),
        _text("services.endpoints.pod", pod),
        NO_HINTS if hinted == _NONE else hints[hinted],
    )


def _parse_hints(row: object) -> Hints:
    lists = _row("hints", row, 2)
    zones, nodes = (tuple(_text("hints", item) for item in _list("hints", value)) for value in lists[:2])
    return Hints(zones, nodes)


def _parse_pod(row: object, identities: list[str]) -> PodAddress:
    address, identity, ports, pod, *_ = _row("pods", row, 4)
    return PodAddress(
        _text("pods.address", address),
        _identity("pods.identity", identity, identities),
        tuple(_port_row("pods.ports", port) for port in _list("pods.ports", ports)),
        _text("pods.pod", pod),
    )


def _port_row(place: str, row: object) -> tuple[int, Protocol]:
    port, protocol, *_ = _row(place, row, 2)
    return _port(place, port), _choice(place, protocol, Protocol)


def _identity(place: str, value: object, identities: list[str]) -> str:
    number = _number(place, value, _NONE, len(identities) - 1)
    return "" if number == _NONE else identities[number]


def _object(place: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(place, value, "an object")
    return value


def _rows(key: str, parent: Mapping[str, Any]) -> list[Any]:
    return _list(key, parent.get(key, []))


def _list(place: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _invalid(place, value, "a list")
    return value


def _row(place: str, value: object, length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) < length:
        raise _invalid(place, value, f"a list of at least {length} items")
    return value


def _text(place: str, value: object) -> str:
    # Names, addresses and modes end up in NGINX's tab-separated state: a control character would forge a line there.
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise _invalid(place, value, "printable ASCII text")
    return value


def _boolean(place: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _invalid(place, value, "true or false")
    return value


def _port(place: str, value: object) -> int:
    return _number(place, value, 1, 65535)


def _number(place: str, value: object, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise _invalid(place, value, f"a whole number from {lowest} to {highest}")
    return value


def _choice(place: str, value: object, choices: type[_Choice]) -> _Choice:
    try:
        return choices(_text(place, value))
    except ValueError as error:
        raise _invalid(place, value, ", ".join(choices)) from error


def _invalid(place: str, got: object, takes: str) -> InvalidInputError:
    return InvalidInputError([Problem(place, quote(got), takes)])
