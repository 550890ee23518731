"""Leader election by a Lease (coordination.k8s.io/v1), timed by the monotonic clock (design 8).

Other holders' clocks are never read: a lease has expired when its record has not changed for its whole duration as seen
here. Whoever takes the lease, also for the second time, counts ``leaseTransitions`` up; that number is the epoch of
everything it publishes. A Lease made anew starts the count at the seconds since 2020 (the field has 32 bits), so that
deleting the object does not send the epochs back.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from mesh.kit.backoff import Backoff
from mesh.kube import objects
from mesh.kube.client import ApiError, Client
from mesh.kube.write import CONFLICT, NOT_FOUND

log = logging.getLogger(__name__)

DURATION_SECONDS: Final = 10.0
# The holder lets go before anybody else may take over.
RENEW_DEADLINE_SECONDS: Final = 7.0
RETRY_SECONDS: Final = 2.0
_YEAR_2020: Final = 1_577_836_800

Lead = Callable[[int], Awaitable[None]]


class LeaseSpec(msgspec.Struct, rename="camel", omit_defaults=True):
    """Spec of a Lease; times are RFC 3339 with microseconds."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class LeaseObject(msgspec.Struct, rename="camel"):
    """coordination.k8s.io/v1 Lease."""

    metadata: objects.Meta
    spec: LeaseSpec = msgspec.field(default_factory=LeaseSpec)


class Election:
    """One candidate. ``identity`` must be another in every life of a process; ``leader`` is who holds the lease."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: float = DURATION_SECONDS,
        renew_deadline: float = RENEW_DEADLINE_SECONDS,
        retry: float = RETRY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._duration = duration
        self._renew_deadline = renew_deadline
        self._waits = Backoff(retry, retry, 0.3)
        self._clock = clock
        self._seen: LeaseSpec | None = None
        self._seen_at = 0.0
        self.leader = ""

    async def run(self, lead: Lead) -> None:
        """Take the lease when it is free, run *lead* with the epoch while it is ours, for ever.

        *lead* is cancelled before anybody else can take over. When this is cancelled, the lease is given back.
        """
        while True:
            held = await self._try_to_take()
            if held is not None:
                await self._hold(held, lead)
            await self._waits.wait()

    async def _hold(self, held: LeaseObject, lead: Lead) -> None:
        epoch = held.spec.lease_transitions or 0
        log.info("leading", extra={"epoch": epoch, "identity": self._identity})
        work = asyncio.ensure_future(lead(epoch))
        renewal = asyncio.create_task(self._renew(held), name="lease renewal")
        try:
            await asyncio.wait((work, renewal), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, renewal):
                task.cancel()
            results = await asyncio.gather(work, renewal, return_exceptions=True)
            self.leader = ""
            log.info("not leading any more", extra={"epoch": epoch})
            await asyncio.shield(self._give_back())
        if isinstance(results[0], Exception):
            raise results[0]

    async def _renew(self, held: LeaseObject) -> None:
        """Return when the lease is lost, or could be taken by another soon."""
        renewed = self._clock()
        while self._clock() - renewed < self._renew_deadline:
            await self._waits.wait()
            held.spec.renew_time = _now()
            try:
                async with asyncio.timeout(self._renew_deadline / 2):
                    held = await self._put(held)
            except TimeoutError:
                log.warning("lease not renewed", extra={"reason": "no answer in time"})
            except ApiError as error:
                log.warning("lease not renewed", extra={"reason": str(error)})
                if error.status == CONFLICT:
                    current = await self._read()
                    if current is None or current.spec.holder_identity != self._identity:
                        return
                    held = current
            else:
                renewed = self._clock()

    async def _try_to_take(self) -> LeaseObject | None:
        try:
            current = await self._read()
            if current is None:
                return await self._create()
            if not self._is_free(current.spec):
                return None
            current.spec = LeaseSpec(
                holder_identity=self._identity,
                lease_duration_seconds=round(self._duration),
                acquire_time=_now(),
                renew_time=_now(),
                lease_transitions=(current.spec.lease_transitions or 0) + 1,
            )
            taken = await self._put(current)
        except ApiError as error:
            if error.status != CONFLICT:
                log.warning("lease not taken", extra={"reason": str(error)})
            return None
        self.leader = self._identity
        return taken

    def _is_free(self, spec: LeaseSpec) -> bool:
        self.leader = spec.holder_identity or ""
        if not spec.holder_identity:
            return True
        if spec != self._seen:
            self._seen, self._seen_at = spec, self._clock()
        duration = max(self._duration, spec.lease_duration_seconds or 0)
        return self._clock() - self._seen_at > duration

    async def _create(self) -> LeaseObject:
        first = int(time.time()) - _YEAR_2020
        spec = LeaseSpec(self._identity, round(self._duration), _now(), _now(), first)
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": msgspec.to_builtins(spec),
        }
        made = msgspec.json.decode(await self._client.request("POST", self._collection, body=body), type=LeaseObject)
        self.leader = self._identity
        return made

    async def _read(self) -> LeaseObject | None:
        try:
            return msgspec.json.decode(await self._client.get(f"{self._collection}/{self._name}"), type=LeaseObject)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def _put(self, lease: LeaseObject) -> LeaseObject:
        """Replace the Lease if it is still as it was read; a conflict is an ApiError."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "resourceVersion": lease.metadata.resource_version},
            "spec": msgspec.to_builtins(lease.spec),
        }
        answer = await self._client.request("PUT", f"{self._collection}/{self._name}", body=body)
        return msgspec.json.decode(answer, type=LeaseObject)

    async def _give_back(self) -> None:
        with contextlib.suppress(ApiError, TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                current = await self._read()
                if current is not None and current.spec.holder_identity == self._identity:
                    current.spec.holder_identity = None
                    await self._put(current)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
