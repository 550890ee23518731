"""The sidecars of a crowd as the bus sees them: every publication is counted, and answered with its pods' reports."""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from mesh.api import names
from mesh.bus.connection import Message, Session
from mesh.model import reports
from mesh.model.reports import SidecarReport

PodsOf = Callable[[str], Iterable[str]]


class Listening:
    """Counts publications by group; ``pods_of`` gives a group's pods as ``namespace/name``."""

    def __init__(self, session: Session, pods_of: PodsOf) -> None:
        self._session = session
        self._pods_of = pods_of
        self._due: dict[str, tuple[str, str]] = {}
        self.messages: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.first_at: float | None = None

    async def begin(self) -> None:
        """Subscribe as a reader of everything."""
        for prefix in (names.SUBJECT_CONFIG, names.SUBJECT_DELTA):
            await self._session.subscribe(f"{prefix}.>", self._take)

    async def answer(self) -> None:
        """Send the reports that are due: those of each group's newest document."""
        due, self._due = self._due, {}
        for group, (revision, digest) in due.items():
            for pod in self._pods_of(group):
                report = SidecarReport(pod, group, revision, digest, mode="permissive")
                await self._session.publish(names.SUBJECT_SUBSCRIPTION, reports.encode_report(report))
        await self._session.flush()

    def _take(self, message: Message) -> None:
        self.first_at = self.first_at or time.monotonic()
        group = message.subject.split(".")[4]
        self.messages[group] += 1
        self.bytes[group] += len(message.payload)
        digest = message.headers.get(names.HEADER_DIGEST)
        if digest:
            self._due[group] = (message.headers[names.HEADER_REVISION], digest)
