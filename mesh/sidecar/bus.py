"""The agent's use of the bus: hear changes and beacons, read the last configuration, send reports (design 7).

Whole configurations are read from the stream; what is said on the group's own subject is mostly a change of them.
"""

import asyncio
import logging
import random
from collections.abc import Callable

from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.bus.connection import BusError, Message, Session
from mesh.model import codec, delta, reports
from mesh.sidecar import step

log = logging.getLogger(__name__)

SPREAD_SECONDS = 1.0


class BusLink:
    """Carries out ``Send`` and ``ReadConfig`` over the connection of the moment and posts what arrives."""

    def __init__(self, group: str, post: Callable[[step.Event], None], clock: Callable[[], float]) -> None:
        self._subject = names.config_subject(group)
        self._changes = names.delta_subject(group)
        self._post = post
        self._clock = clock
        self._outbox: asyncio.Queue[step.Send | step.ReadConfig] | None = None
        self._will_read = False

    def do(self, action: step.Send | step.ReadConfig) -> None:
        """Queue an action; without a connection it is dropped, as each new one begins with both."""
        if self._outbox is None or (self._will_read and isinstance(action, step.ReadConfig)):
            return  # A reading that has not begun finds whatever is there by then.
        self._will_read |= isinstance(action, step.ReadConfig)
        self._outbox.put_nowait(action)

    async def use(self, session: Session) -> None:
        """Work with one connection until it is lost."""
        outbox = self._outbox = asyncio.Queue()
        self._will_read = False
        try:
            await session.subscribe(self._changes, self._on_change)
            await session.subscribe(names.SUBJECT_PING, self._on_beacon)
            self._post(step.BusConnected(self._clock()))
            while True:
                match await outbox.get():
                    case step.Send(report):
                        await session.publish(names.SUBJECT_SUBSCRIPTION, reports.encode_report(report))
                    case step.ReadConfig(spread):
                        if spread:
                            # Not in the way of reports, and not all sidecars in the same instant.
                            await asyncio.sleep(random.uniform(0, SPREAD_SECONDS))  # noqa: S311
                        self._will_read = False
                        await self._read(session)
        finally:
            self._outbox = None

    def _on_change(self, message: Message) -> None:
        if delta.is_delta(message.headers):
            self._post(step.DeltaArrived(message.headers, message.payload))
        elif names.HEADER_CHUNK in message.headers:
            self._post(step.ManifestArrived())
        else:
            self._post(step.ConfigArrived(message.headers, message.payload))

    def _on_beacon(self, message: Message) -> None:
        self._post(step.BeaconArrived(message.payload, self._clock()))

    async def _read(self, session: Session) -> None:
        """Post the last configuration that the stream keeps for the group, if there is one."""
        found = await session.last_message(self._subject)
        if found is None:
            log.warning("no configuration for this group on the bus yet", extra={"subject": self._subject})
            return
        try:
            payload = await self._join(session, found)
        except InvalidInputError as error:
            # Chunks of two revisions: the controller is just publishing, and its manifest will follow.
            log.info("configuration not whole yet", extra={"reason": str(error)})
            return
        self._post(step.ConfigArrived(found.headers, payload))

    async def _join(self, session: Session, manifest: Message) -> bytes:
        count = codec.chunk_count(manifest.headers)
        if not count:
            return manifest.payload
        chunks = []
        for number in range(count):
            chunk = await session.last_message(f"{self._subject}.{number}")
            if chunk is None:
                raise BusError(f"chunk {number} of {count} is missing")
            chunks.append((chunk.headers, chunk.payload))
        return codec.join_chunks(manifest.headers, chunks)
