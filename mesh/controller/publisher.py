"""Bring what the compiler wants to the bus, and reports from it (design 7, 8).

Every replica listens to reports; the one that leads publishes. The bus keeps the last message per group, in memory: on
every new connection, and when another begins to lead, everything is published again under new revisions, and what is
kept for groups that are no more is removed. Revisions of a later leader are always higher, so a message of one that
has not noticed yet is refused by the sidecars.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.bus.connection import Message, Session
from mesh.kit.wake import until_woken
from mesh.model import codec, delta, reports
from mesh.model.codec import BusMessage, Decoded, Revision
from mesh.model.reports import Beacon, SidecarReport
from mesh.model.sidecar_config import SidecarConfig

log = logging.getLogger(__name__)

BEACON_SECONDS: Final = 5.0
_BATCH: Final = 32
_SMALL_SHARE: Final = 0.5

OnReport = Callable[[SidecarReport], None]


class Publisher:
    """Holds what is wanted; ``lead`` and ``use`` are run by others."""

    def __init__(self, on_report: OnReport) -> None:
        self._on_report = on_report
        self._wanted: Mapping[str, tuple[str, SidecarConfig]] = {}
        self._published: dict[str, Decoded] = {}
        self._revisions: dict[str, Revision] = {}
        self._epoch: int | None = None
        self._counter = 0
        self._beacon_due = 0.0
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
                await until_woken(self._wake, await self._work(session))
        finally:
            self.is_connected = False

    async def _work(self, session: Session) -> float:
        """Publish what is due; give the seconds until something is, unless it is asked for before."""
        if self._epoch is None or not self._is_ready:
            return BEACON_SECONDS
        await self._publish(session, self._epoch)
        # By the clock, not with each change: that is none of other groups' business.
        if time.monotonic() >= self._beacon_due:
            await self._send_beacon(session)
            self._beacon_due = time.monotonic() + BEACON_SECONDS
        return max(0.0, self._beacon_due - time.monotonic())

    def _begin(self) -> None:
        """Take nothing for published."""
        self._published.clear()
        self._beacon_due = 0.0
        self._may_hold_others = True

    async def _publish(self, session: Session, epoch: int) -> None:
        wanted = self._wanted
        due = self._due(wanted)
        scopes, changes = codec.SharedScopes(), delta.SharedDeltas()
        started = time.monotonic()
        for start in range(0, len(due), _BATCH):
            if self._epoch != epoch:
                return
            stores = [
                self._store(session, group, Decoded(config, Revision(epoch, self._count()), digest), scopes, changes)
                for group, (digest, config) in ((group, wanted[group]) for group in due[start : start + _BATCH])
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

    def _due(self, wanted: Mapping[str, tuple[str, SidecarConfig]]) -> list[str]:
        due = []
        for group, (digest, config) in wanted.items():
            published = self._published.get(group)
            if published is None or published.digest != digest:
                due.append(group)
            else:
                # Equal, but made anew: the one before would keep everything of its compilation in memory.
                self._published[group] = published._replace(config=config)
        return due

    async def _store(
        self, session: Session, group: str, now: Decoded, scopes: codec.SharedScopes, changes: delta.SharedDeltas
    ) -> None:
        messages = codec.encode(now.config, now.revision, scopes)
        for message in messages:
            await session.store(names.config_subject(group) + message.subject_suffix, message.payload, message.headers)
        if self._epoch != now.revision.epoch:
            return
        # Not before it is kept: a sidecar that cannot use what it hears reads what is kept.
        said = _announcement(self._published.get(group), now, messages, changes)
        await session.publish(names.delta_subject(group), said.payload, said.headers)
        self._published[group] = now
        self._revisions[group] = now.revision

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


def _announcement(
    before: Decoded | None, now: Decoded, snapshot: Sequence[BusMessage], changes: delta.SharedDeltas
) -> BusMessage:
    """What the sidecars of a group are told: a change, or the whole where the change is not much smaller."""
    if before is None:
        return delta.encode_notice(now.digest, now.revision)
    change = delta.encode(before, now, changes)
    is_small = len(change.payload) <= sum(len(message.payload) for message in snapshot) * _SMALL_SHARE
    return change if is_small else snapshot[-1]
