"""Keep the mesh's own objects in step with the MeshConfig; run by the leader (contract 6.meshconfig).

The ConfigMap ``meshconfig``, the TTL of SVIDs in every ClusterSPIFFEID of the mesh, the MeshConfig's status, and its
end, which is decided in ``transparency`` and carried out by ``removal``.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from mesh.api import names, quantities
from mesh.api.mesh_config import CONDITION_MODE, CONDITION_TRANSPARENT
from mesh.compiler.finding import Finding
from mesh.controller import settings_status
from mesh.controller.configuration import Configuration
from mesh.controller.fleet import Fleet
from mesh.controller.mode_steps import Decision as ModeDecision
from mesh.controller.mode_watch import ModeWatch
from mesh.controller.removal import FIELD_MANAGER, Removal
from mesh.controller.transparency import STOPPED, Decision
from mesh.kit.backoff import Backoff
from mesh.kit.supervise import TaskFactory
from mesh.kube import kinds, objects, write
from mesh.kube.client import ApiError, Client
from mesh.kube.kinds import Kind
from mesh.kube.watch import Listed, watch

log = logging.getLogger(__name__)

# A status that follows every acknowledgement of a large mesh would be a load of its own.
PAUSE_SECONDS: Final = 1.0
# While sidecars are waited for, somebody waits for us.
BUSY_PAUSE_SECONDS: Final = 0.1
SERVER_CONF_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 30.0
_SILENCE: Final = (
    f"the sidecar has not reported for {SILENCE_SECONDS:.0f} s: it has no SVID from the SPIRE agent of its node, or no "
    f"connection to {names.NATS_SERVER}; its own log says which: kubectl logs <pod> -c {names.SIDECAR}"
)
_NOT_TRANSPARENT: Final = (
    "the mesh waits for this sidecar before it is removed or made transparent: it has not acknowledged; its own log "
    f"says why: kubectl logs <pod> -c {names.SIDECAR}; deleting the pod ends the wait"
)
_PART_OF: Final = f"{names.LABEL_PART_OF}={names.PART_OF}"
_KINDS: Final[dict[str, Kind[Any, Any]]] = {
    **kinds.POLICIES,
    "MeshConfig": kinds.MESH_CONFIGS,
    "Namespace": kinds.NAMESPACES,
    "Pod": kinds.PODS,
    "Service": kinds.SERVICES,
}
_QUEUE_LIMIT: Final = 1000


class Keeper:
    """Compares what should be with what is, after every change and once in a while."""

    def __init__(
        self, client: Client, configuration: Configuration, fleet: Fleet, removal: Removal, modes: ModeWatch
    ) -> None:
        self._client = client
        self._configuration = configuration
        self._fleet = fleet
        self._removal = removal
        self._modes = modes
        self._stopped_for: tuple[str, ...] = ()
        self._server_conf: str | None = None
        self._server_conf_due = 0.0
        self._wake = asyncio.Event()
        self._spiffe_ids: dict[str, objects.ClusterSpiffeIdObject] = {}
        self._findings: asyncio.Queue[Finding] = asyncio.Queue()
        self._told: set[Finding] = set()

    def changed(self) -> None:
        """Compare soon."""
        self._wake.set()

    def tell(self, findings: tuple[Finding, ...]) -> None:
        """Make an event of each finding that has not been told, and forget those that are settled."""
        new = set(findings) - self._told
        self._told = set(findings)
        for finding in sorted(new):
            self._queue(finding)

    def tell_refusal(self, pod: str, reason: str) -> None:
        """Make an event of a configuration that a sidecar has refused."""
        namespace, _, name = pod.partition("/")
        self._queue(Finding("Pod", namespace, name, "ConfigurationRefused", reason))

    def tasks(self) -> dict[str, TaskFactory]:
        """What to run side by side, by name."""
        return {
            "watch ClusterSPIFFEIDs": self._follow_spiffe_ids,
            "keep objects": self._keep,
            "emit events": self._emit,
            "tell silence": self._tell_silence,
        }

    async def _tell_silence(self) -> None:
        """Say at each pod, once, that its sidecar does not get what it needs: its own words reach nobody then."""
        told: set[str] = set()
        while True:
            await asyncio.sleep(SILENCE_SECONDS / 3)
            silent = set(self._fleet.silent(time.monotonic(), SILENCE_SECONDS))
            for pod in sorted(silent - told):
                namespace, _, name = pod.partition("/")
                self._queue(Finding("Pod", namespace, name, "SidecarSilent", _SILENCE))
            told = silent

    def _queue(self, finding: Finding) -> None:
        # A replica that does not lead keeps them for the day it does, within limits.
        if self._findings.qsize() < _QUEUE_LIMIT:
            self._findings.put_nowait(finding)

    async def _follow_spiffe_ids(self) -> None:
        async for event in watch(self._client, kinds.CLUSTER_SPIFFE_IDS, labels=_PART_OF):
            if isinstance(event, Listed):
                self._spiffe_ids = {key.name: wire for key, wire in event.items.items()}
            elif event.value is None:
                self._spiffe_ids.pop(event.key.name, None)
            else:
                self._spiffe_ids[event.key.name] = event.value
            self._wake.set()

    async def _keep(self) -> None:
        waits = Backoff(PAUSE_SECONDS, 30.0)
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                is_moving = await self._compare()
            except ApiError as error:
                log.warning("object not written", extra={"reason": str(error)})
                self._wake.set()
                await waits.wait()
            else:
                waits.reset()
                await asyncio.sleep(BUSY_PAUSE_SECONDS if is_moving else PAUSE_SECONDS)
                if is_moving:
                    # Time passes, too.
                    self._wake.set()

    async def _compare(self) -> bool:
        """Write what is not right; say whether sidecars are waited for."""
        if not self._configuration.is_listed:
            return False
        decision = await self._removal.decide()
        await self._write_config_map(decision.flag)
        await self._read_server_conf()
        mode = self._modes.decide()
        await self._write_status(decision, mode)
        self._tell_stopped(decision)
        self._tell_left(mode)
        await self._removal.carry_out(decision)
        await self._write_ttl()
        is_stepping = mode is not None and (
            mode.change != self._configuration.mode_change or not mode.change.is_settled
        )
        return bool(decision.pods) or decision.phase is not self._configuration.phase or is_stepping

    def _tell_left(self, mode: ModeDecision | None) -> None:
        """Say at the MeshConfig that a change of the mode went on without some sidecars."""
        if mode is not None and mode.left:
            place = (self._configuration.namespace, names.MESH_CONFIG_NAME)
            self._queue(Finding("MeshConfig", *place, "ModeNotAcknowledged", mode.lost))

    def _tell_stopped(self, decision: Decision) -> None:
        """Say at the MeshConfig and at each pod, once, that the way to transparent proxies has stopped."""
        pods = decision.pods if decision.reason in STOPPED else ()
        if pods and pods != self._stopped_for:
            place = (self._configuration.namespace, names.MESH_CONFIG_NAME)
            self._queue(Finding("MeshConfig", *place, str(decision.reason), decision.message))
            for pod in set(pods) - set(self._stopped_for):
                namespace, _, name = pod.partition("/")
                self._queue(Finding("Pod", namespace, name, "NotTransparent", _NOT_TRANSPARENT))
        self._stopped_for = pods

    async def _read_server_conf(self) -> None:
        """Read now and then what the SPIRE server is set to: it is the stack's, and no event of ours tells of it."""
        if time.monotonic() < self._server_conf_due:
            return
        # Its name ends in a digest of its content; while the stack rolls the server there are two, and the younger one is meant.
        path = kinds.CONFIG_MAPS.path(self._configuration.namespace)
        answer = await self._client.get(path, {"labelSelector": f"{names.LABEL_NAME}={names.SPIRE_SERVER}"})
        found = msgspec.json.decode(answer, type=objects.Page[objects.ConfigMapObject]).items or []
        rows = [row for row in found if settings_status.SERVER_CONF in (row.data or {})]
        newest = max(rows, key=lambda row: row.metadata.creation_timestamp or "", default=None)
        self._server_conf = (newest.data or {})[settings_status.SERVER_CONF] if newest else None
        self._server_conf_due = time.monotonic() + SERVER_CONF_SECONDS

    async def _write_config_map(self, flag: bool | None) -> None:
        data = self._configuration.config_map_data(flag)
        if data and not self._configuration.holds(data):
            namespace = self._configuration.namespace
            fields = {"data": data}
            name = names.MESHCONFIG_CONFIGMAP
            await write.apply(self._client, kinds.CONFIG_MAPS, name, fields, FIELD_MANAGER, namespace)

    async def _write_ttl(self) -> None:
        current = self._configuration.current
        if current is None:
            return
        ttl = quantities.go_duration(quantities.parse_duration("spec.mtls.svidTTL", current.spec.mtls.svid_ttl))
        for name, wire in list(self._spiffe_ids.items()):
            if wire.spec.ttl != ttl:
                await write.apply(self._client, kinds.CLUSTER_SPIFFE_IDS, name, {"spec": {"ttl": ttl}}, FIELD_MANAGER)

    async def _write_status(self, decision: Decision, mode: ModeDecision | None) -> None:
        manifest = self._configuration.manifest
        if manifest is None:
            return
        status = self._status(manifest, decision, mode)
        if status != manifest["status"]:
            namespace = self._configuration.namespace
            name = names.MESH_CONFIG_NAME
            await write.merge_status(self._client, kinds.MESH_CONFIGS, namespace, name, status, FIELD_MANAGER)

    def _status(self, manifest: dict[str, Any], decision: Decision, mode: ModeDecision | None) -> dict[str, Any]:
        generation = manifest["metadata"]["generation"]
        problem = self._configuration.problem
        synced, total = self._fleet.counts()
        wanted = {
            "Accepted": (not problem, "Invalid" if problem else "Valid", problem or "the settings are valid"),
            "Programmed": (
                synced == total and not problem,
                "Synced" if synced == total else "Pending",
                f"{synced} of {total} sidecars",
            ),
            **self._in_force(mode),
            CONDITION_TRANSPARENT: (decision.transparent, str(decision.reason), decision.message),
        }
        before = {row["type"]: row for row in manifest["status"].get("conditions", [])}
        return {
            "conditions": [_condition(kind, *facts, generation, before.get(kind)) for kind, facts in wanted.items()],
            "observedGeneration": generation,
            "transparent": decision.transparent,
        }

    def _in_force(self, mode: ModeDecision | None) -> dict[str, tuple[bool, str, str]]:
        current = self._configuration.current
        if current is None or mode is None:
            return {}
        return {
            CONDITION_MODE: (mode.change.is_settled, mode.change.reason, mode.message),
            settings_status.CONDITION: settings_status.judge(current.spec, self._server_conf, mode.change),
        }

    async def _emit(self) -> None:
        while True:
            finding = await self._findings.get()
            try:
                await write.emit_event(
                    self._client,
                    _KINDS[finding.kind],
                    finding.namespace,
                    finding.name,
                    finding.reason,
                    finding.message,
                )
            except ApiError as error:
                log.warning("event not written", extra={"reason": str(error), "event": finding.message})


def _condition(
    kind: str, holds: bool, reason: str, message: str, generation: int, before: dict[str, Any] | None
) -> dict[str, Any]:
    status = "True" if holds else "False"
    same = before is not None and before.get("status") == status
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": before["lastTransitionTime"] if same and before else now,
        "observedGeneration": generation,
    }
