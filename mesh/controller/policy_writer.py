"""Write the statuses of policies; the leader alone does (contract 7.conditions).

What is to be written is decided in ``policy_status``. However many reports arrive, a policy is looked at once a second,
and no more than WRITES_PER_SECOND statuses are written: those that change what is said of the policy itself first.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from mesh.compiler.outcome import PolicyKey, PolicyOutcome
from mesh.controller import policy_status
from mesh.controller.fleet import Fleet
from mesh.controller.policy_status import Due, Observed, Status
from mesh.kit.supervise import TaskFactory
from mesh.kube import kinds, write
from mesh.kube.client import ApiError, Client
from mesh.kube.objects import CustomObject
from mesh.kube.watch import Event, Listed

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = "nginx-mesh-policy-status"
PAUSE_SECONDS: Final = 1.0
WRITES_PER_SECOND: Final = 20
ATTEMPTS: Final = 5
# Sidecars report to a new controller within this time; until then nobody knows what they serve.
SETTLE_SECONDS: Final = 5.0


class PolicyWriter:
    """Compares what is said of policies with what should be, after every change."""

    def __init__(self, client: Client, fleet: Fleet) -> None:
        self._client = client
        self._fleet = fleet
        self._outcomes: Mapping[PolicyKey, PolicyOutcome] = {}
        self._observed: dict[PolicyKey, Observed] = {}
        self._failed: dict[PolicyKey, tuple[Status, int]] = {}
        self._wake = asyncio.Event()

    def want(self, outcomes: Mapping[PolicyKey, PolicyOutcome]) -> None:
        """Say what became of every policy."""
        self._outcomes = outcomes
        self._wake.set()

    def changed(self) -> None:
        """Count sidecars again soon."""
        self._wake.set()

    def tasks(self) -> dict[str, TaskFactory]:
        """What the leader runs, by name."""
        return {"write policy statuses": self._keep}

    def take(self, kind: str, event: Event[CustomObject]) -> None:
        """Note what the API server has of the policies of a kind, also while another replica leads."""
        if isinstance(event, Listed):
            self._observed = {key: row for key, row in self._observed.items() if key.kind != kind} | {
                PolicyKey(kind, *key): _observed(wire) for key, wire in event.items.items()
            }
        elif event.value is None:
            self._observed.pop(PolicyKey(kind, *event.key), None)
            self._failed.pop(PolicyKey(kind, *event.key), None)
        else:
            self._observed[PolicyKey(kind, *event.key)] = _observed(event.value)
        self._wake.set()

    async def _keep(self) -> None:
        await self._settle()
        while True:
            await self._wake.wait()
            self._wake.clear()
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            for row in policy_status.due(self._outcomes, self._fleet.progress(), self._observed, now):
                if self._may_try(row):
                    await self._write(row)
                    await asyncio.sleep(1 / WRITES_PER_SECOND)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _settle(self) -> None:
        """Let a new controller hear the sidecars, so that its start is no transition of every policy."""
        end = time.monotonic() + SETTLE_SECONDS
        while self._fleet.has_unheard() and time.monotonic() < end:
            await asyncio.sleep(PAUSE_SECONDS / 10)

    def _may_try(self, row: Due) -> bool:
        status, attempts = self._failed.get(row.key, (row.status, 0))
        return attempts < ATTEMPTS or _without_times(status) != _without_times(row.status)

    async def _write(self, row: Due) -> None:
        key = row.key
        try:
            await write.apply_status(
                self._client, kinds.POLICIES[key.kind], key.namespace, key.name, row.status, FIELD_MANAGER
            )
        except ApiError as error:
            if error.status == write.NOT_FOUND:
                return  # Gone; the watch will say so.
            status, attempts = self._failed.get(key, (row.status, 0))
            is_same = _without_times(status) == _without_times(row.status)
            self._failed[key] = (row.status, attempts + 1 if is_same else 1)
            log.warning("policy status not written", extra={"policy": "/".join(key), "reason": str(error)})
            self._wake.set()
        else:
            self._failed.pop(key, None)
            seen = self._observed.get(key)
            if seen is not None:
                # What the watch will show in a moment: until then it is not written again.
                self._observed[key] = Observed(seen.generation, row.status)


def _observed(wire: CustomObject) -> Observed:
    return Observed(wire.metadata.generation, wire.status or {})


def _without_times(status: Status) -> list[dict[str, object]]:
    return [
        {name: value for name, value in row.items() if name != "lastTransitionTime"} for row in status["conditions"]
    ]
