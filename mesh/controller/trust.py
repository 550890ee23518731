"""Keep every copy of the trust bundle right: the caBundle of labelled webhooks and APIServices, and the ConfigMap.

Design 6: each caBundle has this one writer, under a field manager of its own; touched by somebody else it is restored
within 5 s, and it is never written empty. The ConfigMap is also written by the SPIRE server, which may know a new root
a moment before we do: a difference counts only when it lasts.
"""

import asyncio
import base64
import binascii
import logging
import re
from collections.abc import Callable
from typing import Any, Final

from mesh.api import names
from mesh.kit.backoff import Backoff
from mesh.kit.supervise import TaskFactory
from mesh.kube import kinds, objects, write
from mesh.kube.client import ApiError, Client
from mesh.kube.kinds import Kind
from mesh.kube.watch import Event, Key, Listed, watch

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = "nginx-mesh-ca-bundle"
SETTLE_SECONDS: Final = 3.0
_TRUE: Final = "true"
_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")

Row = tuple[Kind[Any, Any], Key]


def certificates(pem: bytes) -> frozenset[bytes]:
    """The certificates in a PEM text, whatever its order, comments and line breaks; none if it is no PEM."""
    try:
        return frozenset(base64.b64decode(b"".join(body.split()), validate=True) for body in _CERTIFICATE.findall(pem))
    except binascii.Error:
        return frozenset()


def webhook_fields(wire: objects.WebhookConfigurationObject, bundle: str) -> dict[str, Any] | None:
    """What to apply to a webhook configuration, None if each of its entries has *bundle*."""
    entries = wire.webhooks or []
    if all(entry.client_config.ca_bundle == bundle for entry in entries):
        return None
    return {"webhooks": [{"name": entry.name, "clientConfig": {"caBundle": bundle}} for entry in entries]}


def api_service_fields(wire: objects.ApiServiceObject, bundle: str) -> dict[str, Any] | None:
    """What to apply to an APIService, None if it has *bundle*."""
    return None if wire.spec.ca_bundle == bundle else {"spec": {"caBundle": bundle}}


class TrustKeeper:
    """Watches the copies and writes those that are wrong. ``bundle_pem`` gives our own bundle, empty before the first."""

    def __init__(self, client: Client, namespace: str, bundle_pem: Callable[[], bytes]) -> None:
        self._client = client
        self._namespace = namespace
        self._bundle_pem = bundle_pem
        self._rows: dict[Row, Any] = {}
        self._wake = asyncio.Event()

    def bundle_changed(self) -> None:
        """Compare every copy again."""
        self._wake.set()

    def tasks(self) -> dict[str, TaskFactory]:
        """What to run side by side, by name."""
        selector = f"{names.LABEL_SPIFFE_WEBHOOK}={_TRUE}"
        return {
            "watch mutating webhooks": lambda: self._follow(kinds.MUTATING_WEBHOOKS, labels=selector),
            "watch validating webhooks": lambda: self._follow(kinds.VALIDATING_WEBHOOKS, labels=selector),
            "watch API services": lambda: self._follow(
                kinds.API_SERVICES, labels=f"{names.LABEL_SPIFFE_APISERVICE}={_TRUE}"
            ),
            "watch trust bundle": lambda: self._follow(
                kinds.CONFIG_MAPS, namespace=self._namespace, name=names.SPIRE_BUNDLE_CONFIGMAP
            ),
            "keep caBundles": self._keep_ca_bundles,
            "keep trust bundle": self._keep_config_map,
        }

    async def _follow(self, kind: Kind[Any, Any], namespace: str = "", name: str = "", labels: str = "") -> None:
        async for event in watch(self._client, kind, namespace, name, labels):
            self._take(kind, event)

    def _take(self, kind: Kind[Any, Any], event: Event[Any]) -> None:
        if isinstance(event, Listed):
            self._rows = {row: wire for row, wire in self._rows.items() if row[0] is not kind}
            self._rows |= {(kind, key): wire for key, wire in event.items.items()}
        elif event.value is None:
            self._rows.pop((kind, event.key), None)
        else:
            self._rows[kind, event.key] = event.value
        self._wake.set()

    async def _keep_ca_bundles(self) -> None:
        waits = Backoff(0.2, 4.0)
        while True:
            await self._wake.wait()
            self._wake.clear()
            if await self._write_ca_bundles():
                waits.reset()
            else:
                await waits.wait()
                self._wake.set()

    async def _write_ca_bundles(self) -> bool:
        """Write the caBundles that differ; say whether all are right now."""
        pem = self._bundle_pem()
        if not certificates(pem):
            return True  # Nothing is better than an empty bundle; the first one wakes us.
        bundle = base64.b64encode(pem).decode()
        all_right = True
        for (kind, key), wire in list(self._rows.items()):
            if kind is kinds.CONFIG_MAPS:
                continue
            fields = (api_service_fields if kind is kinds.API_SERVICES else webhook_fields)(wire, bundle)
            if fields is not None:
                all_right = await self._apply(kind, key.name, fields) and all_right
        return all_right

    async def _keep_config_map(self) -> None:
        key = Key(self._namespace, names.SPIRE_BUNDLE_CONFIGMAP)
        while True:
            await asyncio.sleep(SETTLE_SECONDS / 2)
            before = self._difference(key)
            if before is None:
                continue
            await asyncio.sleep(SETTLE_SECONDS / 2)
            if self._difference(key) == before:
                data = {names.SPIRE_BUNDLE_KEY: self._bundle_pem().decode()}
                await self._apply(kinds.CONFIG_MAPS, key.name, {"data": data}, self._namespace)

    def _difference(self, key: Key) -> tuple[frozenset[bytes], frozenset[bytes]] | None:
        """What the ConfigMap holds and what it should, None if that is the same, or if there is nothing to compare."""
        wire = self._rows.get((kinds.CONFIG_MAPS, key))
        wanted = certificates(self._bundle_pem())
        if wire is None or not wanted:
            return None
        held = certificates((wire.data or {}).get(names.SPIRE_BUNDLE_KEY, "").encode())
        return None if held == wanted else (held, wanted)

    async def _apply(self, kind: Kind[Any, Any], name: str, fields: dict[str, Any], namespace: str = "") -> bool:
        try:
            await write.apply(self._client, kind, name, fields, FIELD_MANAGER, namespace)
        except ApiError as error:
            log.warning("trust bundle not written", extra={"object": f"{kind.kind} {name}", "reason": str(error)})
            return False
        log.info("trust bundle written", extra={"object": f"{kind.kind} {name}"})
        return True
