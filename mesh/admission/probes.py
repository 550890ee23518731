"""HTTP probes and hooks of an injected pod: the kubelet has no SVID, so it asks the sidecar, which asks the application.

Contract 5.probes. The probe or hook keeps its timing and its headers; only port, path and scheme change. gRPC, TCP and exec
probes stay as they are. A TCP probe is answered by the sidecar's listener, whatever the application does, of which the
injection warns; a gRPC probe passes, in strict by an exception for the standard's health check on its port.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote as percent_encode

from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote

KINDS: Final = {"livenessProbe": "liveness", "readinessProbe": "readiness", "startupProbe": "startup"}
# Hooks are requests of the kubelet's, too; one that a strict sidecar refused would count as done.
HOOKS: Final = {"postStart": "poststart", "preStop": "prestop"}
HTTPS: Final = "HTTPS"
GRPC: Final = "GRPC"
# What may stand in a request line and means nothing to NGINX's configuration; "%" because paths come encoded.
_SAFE_IN_PATH: Final = "/._~?&=%:@!*+,-"


@dataclass(frozen=True, slots=True)
class RedirectedProbe:
    """One row of the sidecar's probe table. An empty ``host`` stands for ``<pod address>:<port>``, the kubelet's own."""

    location: str
    scheme: str
    port: int
    path: str
    host: str

    def row(self) -> dict[str, str | int]:
        """The row as it stands in the environment of the sidecar."""
        return {
            "location": self.location,
            "scheme": self.scheme,
            "port": self.port,
            "path": self.path,
            "host": self.host,
        }


def redirect_probes(container: dict[str, Any]) -> Iterator[RedirectedProbe]:
    """Point the HTTP probes and hooks of *container* (changed in place) at the sidecar; yield what each one asked for.

    One of another host than the pod is no business of the sidecar. Raises InvalidInputError for ports that the
    container does not name, all of them at once.
    """
    problems: list[Problem] = []
    if container.get("lifecycle"):
        container["lifecycle"] = dict(container["lifecycle"])
    for place, holder, field, kind in _http_actions(container):
        action = holder[field]["httpGet"]
        location = f"{names.PROBE_REDIRECT_PATH}/{container['name']}/{kind}"
        scheme = str(action.get("scheme") or "HTTP").upper()
        try:
            port = _port_number(f"{place}.httpGet.port", action.get("port"), container.get("ports") or [])
        except InvalidInputError as error:
            problems.extend(error.problems)
            continue
        path, host = _request_path(str(action.get("path") or "/")), _host(action.get("httpHeaders") or [])
        yield RedirectedProbe(location, scheme, port, path, host)
        listener = names.PORT_HTTPS_PROBES if scheme == HTTPS else names.PORT_HTTP_PROBES
        holder[field] = holder[field] | {"httpGet": action | {"path": location, "port": listener}}
    if problems:
        raise InvalidInputError(problems)


def _http_actions(container: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """The kubelet's HTTP requests to the pod: place in the manifest, holder and field of the action, word for its path."""
    lifecycle = container.get("lifecycle") or {}
    found = [(field, container, field, kind) for field, kind in KINDS.items()]
    found += [(f"lifecycle.{field}", lifecycle, field, kind) for field, kind in HOOKS.items()]
    for place, holder, field, kind in found:
        action = (holder.get(field) or {}).get("httpGet")
        if action and not action.get("host"):
            yield f"container {container['name']}, {place}", holder, field, kind


def grpc_probes(container: Mapping[str, Any]) -> Iterator[RedirectedProbe]:
    """The ports that gRPC probes ask, which stay as they are: a strict pod's sidecar answers them, and nothing else there."""
    asked = (((container.get(field) or {}).get("grpc") or {}).get("port") for field in KINDS)
    for port in dict.fromkeys(asked):
        if isinstance(port, int):
            yield RedirectedProbe("", GRPC, port, names.GRPC_HEALTH_PATH, "")


def probe_warnings(container: Mapping[str, Any]) -> Iterator[str]:
    """Say which probes will not tell of the application what they seem to."""
    for field in KINDS:
        probe = container.get(field) or {}
        place = f"container {container['name']}, {field}"
        if probe.get("tcpSocket") is not None:
            yield f"{place}: the sidecar takes a TCP probe's connection, whatever the application does; use an httpGet or exec probe"


def _port_number(place: str, port: object, declared: list[Mapping[str, Any]]) -> int:
    number = next((row["containerPort"] for row in declared if row.get("name") == port), port)
    if isinstance(number, str) and number.isascii() and number.isdigit():
        number = int(number)
    if not isinstance(number, int) or not 0 < number <= 65535:
        raise InvalidInputError(
            [Problem(place, quote(port), "a port from 1 to 65535 or the name of a port of the container")]
        )
    return number


def _request_path(path: str) -> str:
    encoded = percent_encode(path, safe=_SAFE_IN_PATH)
    return encoded if encoded.startswith("/") else "/" + encoded


def _host(headers: list[Mapping[str, Any]]) -> str:
    value = next(
        (str(header.get("value") or "") for header in headers if str(header.get("name")).lower() == "host"), ""
    )
    return percent_encode(value, safe=":.-_[]")
