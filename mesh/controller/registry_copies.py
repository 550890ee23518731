"""The registry's credentials where injected pods are: a Secret is read in the pod's own namespace (contract 10.registry).

Run by the leader, and only where the stack has credentials. Copies outlive the mesh, because its pods do.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from mesh.api import names
from mesh.controller.configuration import Configuration
from mesh.controller.removal import FIELD_MANAGER
from mesh.kit.supervise import TaskFactory
from mesh.kit.wake import until_woken
from mesh.kube import kinds, write
from mesh.kube.client import ApiError, Client
from mesh.kube.objects import SecretObject

log = logging.getLogger(__name__)

# A copy that somebody took away, or credentials that the stack has changed, are put right within this time.
AGAIN_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 5.0


class RegistryCopies:
    """*namespaces* gives those that have an injected pod."""

    def __init__(self, client: Client, configuration: Configuration, namespaces: Callable[[], Iterable[str]]) -> None:
        self._client = client
        self._configuration = configuration
        self._namespaces = namespaces
        self._wake = asyncio.Event()

    def changed(self) -> None:
        """Look soon for a namespace that has no copy yet."""
        self._wake.set()

    def tasks(self) -> dict[str, TaskFactory]:
        """What to run, by name; nothing without credentials."""
        return {"copy registry credentials": self._copy} if self._name else {}

    @property
    def _name(self) -> str:
        return str(self._configuration.installation["registry"].get("registryKeyName") or "")

    async def _copy(self) -> None:
        copied: set[str] = set()
        again_at = 0.0
        while True:
            if time.monotonic() >= again_at:
                copied, again_at = set(), time.monotonic() + AGAIN_SECONDS
            wanted = {name for name in self._namespaces() if name != self._configuration.namespace}
            try:
                for namespace in sorted(wanted - copied):
                    await self._write(namespace)
                    copied.add(namespace)
            except ApiError as error:
                log.warning("registry credentials not copied", extra={"reason": str(error)})
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await until_woken(self._wake, again_at - time.monotonic())

    async def _write(self, namespace: str) -> None:
        """Make or change one copy. A namespace that ends takes none, and needs none."""
        answer = await self._client.get(kinds.SECRETS.path(self._configuration.namespace, self._name))
        source = msgspec.json.decode(answer, type=SecretObject)
        fields: dict[str, Any] = {
            "metadata": {"name": self._name, "namespace": namespace, "labels": {names.LABEL_PART_OF: names.PART_OF}},
            "type": source.type,
            "data": source.data or {},
        }
        try:
            await write.apply(self._client, kinds.SECRETS, self._name, fields, FIELD_MANAGER, namespace)
        except ApiError as error:
            if error.status not in {write.NOT_FOUND, write.FORBIDDEN}:
                raise
            log.warning("registry credentials not copied", extra={"object": namespace, "reason": str(error)})
