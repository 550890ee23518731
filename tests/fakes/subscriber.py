"""A sidecar as the bus sees it: the agent's own judgement and its use of the bus, and an NGINX that takes everything."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mesh.api.version import VERSION
from mesh.bus import connection
from mesh.bus.connection import Session
from mesh.sidecar import step
from mesh.sidecar.bus import BusLink
from mesh.sidecar.control import Status
from mesh.spiffe import tls
from tests.fakes.authority import Issued
from tests.fakes.nats_server import HOST

OnApplied = Callable[[step.State], None]


class Subscriber:
    """One sidecar of *group*. ``applied`` counts configurations, ``readings`` how often it read the whole."""

    def __init__(self, group: str, pod: str, on_applied: OnApplied | None = None) -> None:
        self.state = step.State(pod=pod, group=group, version=VERSION)
        self.applied = 0
        self.readings = 0
        self.heard: list[step.Event] = []
        self._on_applied = on_applied
        self.link = BusLink(group, self._take, time.monotonic)

    @asynccontextmanager
    async def connected(self, url: str, identity: Issued, host: str = HOST) -> AsyncIterator["Subscriber"]:
        """Listen for the length of a with statement."""
        context = tls.client_context(identity.context())
        async with connection.connect(url, lambda: context, self.state.pod, host) as session:
            using = asyncio.create_task(self.use(session))
            try:
                yield self
            finally:
                await end(using)

    async def use(self, session: Session) -> None:
        """Work with a connection until it is lost."""
        await self.link.use(session)

    def _take(self, event: step.Event) -> None:
        self.heard.append(event)
        self._step(event)

    def _step(self, event: step.Event) -> None:
        self.state, actions = step.step(self.state, event)
        for action in actions:
            match action:
                case step.Apply():
                    self._apply()
                case step.ReadConfig():
                    self.readings += 1
                    self.link.do(action)
                case step.Send():
                    self.link.do(action)

    def _apply(self) -> None:
        accepted = self.state.accepted
        if accepted is not None:
            self.applied += 1
            self._step(step.Applied(Status(revision=str(accepted.revision), ready=True)))
            if self._on_applied:
                self._on_applied(self.state)


async def end(*tasks: "asyncio.Task[None]") -> None:
    """End tasks that use a session."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        # Before Python 3.12, wait_for, which the client uses, loses a cancellation that comes with the answer.
        _, pending = await asyncio.wait(pending, timeout=0.5)
    await asyncio.gather(*tasks, return_exceptions=True)
