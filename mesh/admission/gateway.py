"""Pods of the NGINX Ingress Controller: no sidecar, but the SPIRE socket and an identity (contract 9.gateways)."""

import copy
from collections.abc import Mapping
from typing import Any, Final

from mesh.admission import containers
from mesh.api import names

_CONTAINER: Final = "nginx-ingress"
_TRUE: Final = "true"
_SPIRE_ARGUMENT: Final = f"-spire-agent-address={names.SPIRE_SOCKET}"
_ROUTES_ARGUMENT: Final = "-enable-internal-routes"


def is_gateway(labels: Mapping[str, str]) -> bool:
    """Whether a pod with *labels* carries traffic into or out of the mesh by itself."""
    return any(labels.get(label) == _TRUE for label in (names.LABEL_ENABLE_INGRESS, names.LABEL_ENABLE_EGRESS))


def connect(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Give a gateway pod the socket, the label of the registrar, and the arguments that make it use them; once."""
    after: dict[str, Any] = copy.deepcopy(dict(pod))
    labels = after["metadata"]["labels"]
    labels[names.LABEL_SPIFFE_ID] = _TRUE
    spec = after["spec"]
    _append_missing(spec, "volumes", containers.socket_volume())
    container = next((item for item in spec["containers"] if item.get("name") == _CONTAINER), spec["containers"][0])
    _append_missing(container, "volumeMounts", containers.socket_mount())
    arguments = [_SPIRE_ARGUMENT]
    if labels.get(names.LABEL_ENABLE_EGRESS) == _TRUE:
        arguments.append(_ROUTES_ARGUMENT)
    given = container.get("args") or []
    container["args"] = [*given, *(argument for argument in arguments if argument not in given)]
    return after


def _append_missing(holder: dict[str, Any], field: str, row: dict[str, Any]) -> None:
    rows = holder.get(field) or []
    if not any(item.get("name") == row["name"] for item in rows):
        holder[field] = [*rows, row]
