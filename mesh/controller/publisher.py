"""Bring what the compiler wants to the bus, and reports from it (design 7, 8).

Every replica listens to reports; the one that leads publishes. The bus keeps the last message per group, in memory: on
every new connection, and when another begins to lead, everything is published again under new revisions, and what is
kept for groups that are no more is removed. Revisions of a later leader are always higher, so a message of one that
has not noticed yet is refused by the sidecars.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.bus.connection import Message, Session
from mesh.model import codec, reports
from mesh.model.codec import BusMessage, Revision
from mesh.model.reports import Beacon, SidecarReport
from mesh.model.sidecar_config import SidecarConfig

log = logging.getLogger(__name__)

BEACON_SECONDS: Final = 5.0
_BATCH: Final = 32

OnReport = Callable[[SidecarReport], None]


class Publisher:
    """Holds what is wanted; ``lead`` and ``use`` are run by others."""

    def __init__(self, on_report: OnReport) -> None:
        self._on_report = on_report
        self._wanted: Mapping[str, tuple[str, SidecarConfig]] = {}
        self._published: dict[str, str] = {}
        self._revisions: dict[str, Revision] = {}
        self._epoch: int | None = None
        self._counter = 0
        self._is_ready = False
        self._may_hold_others = True
        self._wake = asyncio.Event()
        self.is_connected = False

    def want(self, configs: Mapping[str, tuple[str, SidecarConfig]]) -> None:
        """Say what every group should serve: group to (digest, configuration). Nothing is published before this."""
        self._wanted = configs
        self._is_ready = True
        self._wake.set()

    def revision(self, group: str) -> Revision | None:
        """The revision last published for a group by this process."""
        return self._revisions.get(group)

    async def lead(self, epoch: int) -> None:
        """Publish under *epoch* until cancelled."""
        self._epoch, self._counter = epoch, 0
        self._begin()
        self._wake.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._epoch = None

    async def use(self, session: Session) -> None:
        """Serve one connection to the bus: for ``connection.keep_connected``."""
        await session.ensure_stream()
        await session.subscribe(names.SUBJECT_SUBSCRIPTION, self._take_report)
        self._begin()
        self.is_connected = True
        try:
            while True:
                if self._epoch is not None and self._is_ready:
                    await self._publish(session, self._epoch)
                    await self._send_beacon(session)
                await self._wait(BEACON_SECONDS)
        finally:
            self.is_connected = False

    def _begin(self) -> None:
        """Take nothing for published."""
        self._published.clear()
        self._may_hold_others = True

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _publish(self, session: Session, epoch: int) -> None:
        wanted = self._wanted
        due = [group for group, (digest, _) in wanted.items() if self._published.get(group) != digest]
        shared = codec.SharedScopes()
        started = time.monotonic()
        for start in range(0, len(due), _BATCH):
            if self._epoch != epoch:
                return
            batch = due[start : start + _BATCH]
            stores = [
                self._store(
                    session, group, wanted[group][0], codec.encode(wanted[group][1], revision, shared), revision
                )
                for group, revision in ((group, Revision(epoch, self._count())) for group in batch)
            ]
            for outcome in await asyncio.gather(*stores, return_exceptions=True):
                if outcome is not None:
                    raise outcome
        if due:
            log.info(
                "published",
                extra={
                    "groups": len(due),
                    "revision": str(Revision(epoch, self._counter)),
                    "seconds": round(time.monotonic() - started, 3),
                },
            )
        await self._forget(session, wanted)

    def _count(self) -> int:
        self._counter += 1
        return self._counter

    async def _store(
        self, session: Session, group: str, digest: str, messages: list[BusMessage], revision: Revision
    ) -> None:
        for message in messages:
            await session.store(names.config_subject(group) + message.subject_suffix, message.payload, message.headers)
        if self._epoch == revision.epoch:
            self._published[group] = digest
            self._revisions[group] = revision

    async def _forget(self, session: Session, wanted: Mapping[str, object]) -> None:
        """Remove what the bus keeps for groups that are no more, also those that another leader published."""
        gone = {group for group in self._published if group not in wanted}
        if self._may_hold_others:
            prefix = names.SUBJECT_CONFIG + "."
            kept = await session.kept_subjects(prefix + ">")
            gone |= {subject.removeprefix(prefix).partition(".")[0] for subject in kept} - wanted.keys()
        for group in sorted(gone):
            await session.forget(names.config_subject(group))
            await session.forget(names.config_subject(group) + ".>")
            self._published.pop(group, None)
            self._revisions.pop(group, None)
        self._may_hold_others = False

    async def _send_beacon(self, session: Session) -> None:
        if self._epoch is not None:
            beacon = Beacon(Revision(self._epoch, self._counter))
            await session.publish(names.SUBJECT_PING, reports.encode_beacon(beacon))
            await session.flush()

    def _take_report(self, message: Message) -> None:
        try:
            self._on_report(reports.decode_report(message.payload))
        except InvalidInputError as error:
            log.warning("report refused", extra={"reason": str(error)})
