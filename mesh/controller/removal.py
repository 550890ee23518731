"""The MeshConfig's end, carried out: nothing goes before every sidecar is transparent (contract 10.transparent).

A finalizer of the controller's holds the MeshConfig. Its deletion is the mesh's removal when the webhook that refuses it
is gone, which `pulumi destroy` takes away first; while that webhook stands, the MeshConfig is let go and made again.
"""

import logging
import time
from dataclasses import replace
from typing import Final

from mesh.api import names
from mesh.controller import transparency
from mesh.controller.configuration import Configuration
from mesh.controller.fleet import Fleet
from mesh.controller.transparency import Decision, Facts
from mesh.kube import kinds, write
from mesh.kube.client import ApiError, Client
from mesh.model.transparency import Phase

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = names.CONTROLLER
# Another one than that of restored fields: who applies without a field gives it up.
FINALIZER_MANAGER: Final = "nginx-mesh-removal"
_INVALID: Final = 422


class Removal:
    """Gathers what ``transparency.decide`` needs, and does what it says. ``limit_seconds`` bounds the wait of a phase."""

    def __init__(self, client: Client, configuration: Configuration, fleet: Fleet, limit_seconds: float) -> None:
        self._client = client
        self._configuration = configuration
        self._fleet = fleet
        self._limit_seconds = limit_seconds
        self._waiting_for: tuple[bool, Phase] | None = None
        self._waiting_since = 0.0

    async def decide(self) -> Decision:
        """Look and decide. Raises ApiError."""
        configuration = self._configuration
        metadata = configuration.manifest["metadata"] if configuration.manifest else {}
        deleting = bool(metadata.get("deletionTimestamp"))
        is_gone = configuration.is_listed and configuration.manifest is None
        facts = Facts(
            phase=configuration.phase,
            exists=not is_gone,
            deleting=deleting,
            held=names.MESH_CONFIG_FINALIZER in metadata.get("finalizers", ()),
            guarded=await self._is_guarded() if deleting or is_gone else True,
            asked=configuration.is_asked_to_be_transparent,
            anyway=metadata.get("annotations", {}).get(names.ANNOTATION_REMOVE_ANYWAY) == "true",
            namespace_ends=configuration.namespace_ends,
            fleet=self._fleet.live(),
            limit_seconds=self._limit_seconds,
        )
        waiting_for = (facts.wish, facts.phase)
        if waiting_for != self._waiting_for:
            self._waiting_for, self._waiting_since = waiting_for, time.monotonic()
        return transparency.decide(replace(facts, waited_seconds=time.monotonic() - self._waiting_since))

    async def carry_out(self, decision: Decision) -> None:
        """Make, hold or let go the MeshConfig. Raises ApiError."""
        if decision.restore:
            await self._restore()
        elif decision.hold and self._configuration.manifest is not None:
            await self._write_finalizers([names.MESH_CONFIG_FINALIZER])
        elif decision.release:
            await self._write_finalizers([])
            log.warning("MeshConfig let go", extra={"reason": decision.message})

    async def let_go(self) -> None:
        """Let the MeshConfig go because its namespace ends, and this process with it. Raises ApiError."""
        await self._write_finalizers([])

    async def _restore(self) -> None:
        configuration = self._configuration
        spec = configuration.spec_to_restore()
        if spec is None:
            return
        name, namespace = names.MESH_CONFIG_NAME, configuration.namespace
        await write.apply(self._client, kinds.MESH_CONFIGS, name, {"spec": spec}, FIELD_MANAGER, namespace)
        log.warning("MeshConfig restored", extra={"object": name})

    async def _is_guarded(self) -> bool:
        try:
            await self._client.get(kinds.VALIDATING_WEBHOOKS.path(name=names.VALIDATING_WEBHOOK))
        except ApiError as error:
            if error.status == write.NOT_FOUND:
                return False
            raise
        return True

    async def _write_finalizers(self, finalizers: list[str]) -> None:
        """Own these finalizers of the MeshConfig, others' stay; one that is gone already is not made for it."""
        namespace, name = self._configuration.namespace, names.MESH_CONFIG_NAME
        fields = {"metadata": {"name": name, "namespace": namespace, "finalizers": finalizers}}
        try:
            await write.apply(self._client, kinds.MESH_CONFIGS, name, fields, FINALIZER_MANAGER, namespace)
        except ApiError as error:
            # Without its spec it is no MeshConfig, so the API server does not make one.
            if error.status not in {write.NOT_FOUND, _INVALID}:
                raise
