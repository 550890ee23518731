"""Writes to the API server: each writer owns its fields under a name of its own, and takes no other's (design 6)."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from mesh.api import names
from mesh.kube import objects
from mesh.kube.client import APPLY_PATCH, MERGE_PATCH, ApiError, Client
from mesh.kube.kinds import Kind

CONFLICT: Final = 409
NOT_FOUND: Final = 404
FORBIDDEN: Final = 403
_MESSAGE_LIMIT: Final = 1000
_NO_NAMESPACE: Final = "default"
_EVENTS: Final = "/api/v1/namespaces/{}/events"


async def apply(
    client: Client,
    kind: Kind[Any, Any],
    name: str,
    fields: Mapping[str, Any],
    manager: str,
    namespace: str = "",
    *,
    force: bool = True,
) -> None:
    """Server-side apply: *fields* of an object are *manager*'s from now on. Raises ApiError.

    An object that does not exist is made, unless it lacks what its kind requires.
    """
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    manifest = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}
    query = {"fieldManager": manager} | ({"force": "true"} if force else {})
    await client.request("PATCH", kind.path(namespace, name), query, manifest, APPLY_PATCH)


async def merge_status(
    client: Client, kind: Kind[Any, Any], namespace: str, name: str, status: Mapping[str, Any], manager: str
) -> None:
    """Write the status of an object. Raises ApiError."""
    path = kind.path(namespace, name, "status")
    await client.request("PATCH", path, {"fieldManager": manager}, {"status": status}, MERGE_PATCH)


async def apply_status(
    client: Client, kind: Kind[Any, Any], namespace: str, name: str, status: Mapping[str, Any], manager: str
) -> None:
    """Server-side apply of the status of an object that exists: *manager* owns these fields of it alone. Raises ApiError."""
    manifest = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name, "namespace": namespace},
        "status": status,
    }
    query = {"fieldManager": manager, "force": "true"}
    await client.request("PATCH", kind.path(namespace, name, "status"), query, manifest, APPLY_PATCH)


async def emit_event(
    client: Client, kind: Kind[Any, Any], namespace: str, name: str, reason: str, message: str, *, warning: bool = True
) -> None:
    """Attach an event to an object, once per reason and message; the same again renews it. Raises ApiError.

    An object that is gone gets none. Events of objects without a namespace are where Kubernetes has them, in `default`.
    """
    try:
        uid = await _uid(client, kind, namespace, name)
    except ApiError as error:
        if error.status == NOT_FOUND:
            return
        raise
    text = message if len(message) <= _MESSAGE_LIMIT else message[: _MESSAGE_LIMIT - 3] + "..."
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    mark = hashlib.sha256(f"{kind.kind} {uid} {reason} {text}".encode()).hexdigest()[:16]
    home = namespace or _NO_NAMESPACE
    event = {
        "metadata": {"name": f"{name[:200]}.{mark}", "namespace": home},
        "involvedObject": {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "namespace": namespace,
            "name": name,
            "uid": uid,
        },
        "reason": reason,
        "message": text,
        "type": "Warning" if warning else "Normal",
        "source": {"component": names.CONTROLLER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    path = _EVENTS.format(home)
    try:
        await client.request("POST", path, body=event)
    except ApiError as error:
        if error.status != CONFLICT:
            raise
        again = {"lastTimestamp": now}
        await client.request("PATCH", f"{path}/{name[:200]}.{mark}", body=again, content_type=MERGE_PATCH)


async def _uid(client: Client, kind: Kind[Any, Any], namespace: str, name: str) -> str:
    return msgspec.json.decode(await client.get(kind.path(namespace, name)), type=objects.Nameplate).metadata.uid
