"""The agent: events in, ``step`` decides, actions out. Each edge is one supervised task; they meet in the queue only.

The agent may die at any point: NGINX serves on, and the next agent finds NGINX, its files and the last configuration.
"""

import asyncio
import logging
import random
import ssl
import time
from dataclasses import replace
from pathlib import Path

from mesh.api.version import VERSION
from mesh.bus import connection
from mesh.kit import atomic
from mesh.kit.backoff import Backoff
from mesh.kit.deadline import Deadline
from mesh.kit.supervise import supervise
from mesh.sidecar import control, drain, nginx_conf, nginx_state, step
from mesh.sidecar.bus import BusLink
from mesh.sidecar.files import StateDirectory
from mesh.sidecar.nginx import Nginx
from mesh.sidecar.settings import Settings
from mesh.spiffe import tls
from mesh.spiffe.workload_api import watch_x509

log = logging.getLogger(__name__)

IPV6_TABLE = Path("/proc/net/if_inet6")
REPORT_SECONDS = 60.0
EXPLAIN_SECONDS = 10.0
DRAIN_POLL_SECONDS = 0.1
QUIT_SECONDS = 2.0


class Agent:
    """One sidecar's agent. ``run`` works until it is told to stop, then drains."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = step.State(pod=settings.pod, group=settings.group, version=VERSION)
        self._events: asyncio.Queue[step.Event] = asyncio.Queue()
        self._apply_wanted = asyncio.Event()
        self._nginx_started = asyncio.Event()
        self._nginx_answers = asyncio.Event()
        self._drain_wanted = asyncio.Event()
        self._drained = asyncio.Event()
        self._has_identity = asyncio.Event()
        self._identity_trouble = "no answer from the workload API yet"
        initial = nginx_state.render_initial(settings.trust_domain, settings.mode).encode()
        self._files = StateDirectory(
            settings.run_directory, initial, settings.node, settings.health_ports, settings.pod
        )
        self._nginx = Nginx(settings.nginx, settings.run_directory)
        self._bus = BusLink(settings.group, self._events.put_nowait, time.monotonic)

    async def run(self, stop: asyncio.Event) -> int:
        """Serve until *stop*, drain, end. Returns the exit code; OSError when the directory cannot be written."""
        self._prepare()
        tasks = {
            "decide": self._decide,
            "identity": self._follow_identity,
            "bus": self._follow_bus,
            "nginx": self._keep_nginx,
            "greet nginx": self._greet_nginx,
            "apply": self._apply_changes,
            "drain": self._drain,
            "report": self._report_regularly,
            "explain": self._explain,
        }
        running = asyncio.create_task(supervise(tasks))
        await stop.wait()
        await self._shut_down()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return 0

    def _prepare(self) -> None:
        path = self._settings.template
        template = nginx_conf.join(path.read_text(), lambda name: (path.parent / name).read_text())
        rendered = nginx_conf.render(template, self._settings, has_ipv6=IPV6_TABLE.exists())
        atomic.write_if_changed(self._settings.run_directory / "nginx.conf", rendered.encode())
        self._files.write(self._state)

    async def _decide(self) -> None:
        while True:
            self._state, actions = step.step(self._state, await self._events.get())
            for action in actions:
                self._do(action)

    def _do(self, action: step.Action) -> None:
        match action:
            case step.Apply():
                self._apply_wanted.set()
            case step.Send() | step.ReadConfig():
                self._bus.do(action)
            case step.Drain():
                self._drain_wanted.set()
            case step.Say(text, fields, problem):
                log.log(logging.WARNING if problem else logging.INFO, text, extra=dict(fields))

    async def _follow_identity(self) -> None:
        async for identity in watch_x509(self._settings.spire_socket, self._note_trouble):
            self._identity_trouble = ""
            self._events.put_nowait(step.IdentityArrived(identity))
            self._has_identity.set()

    def _note_trouble(self, reason: str) -> None:
        self._identity_trouble = reason

    async def _follow_bus(self) -> None:
        await self._has_identity.wait()
        settings = self._settings
        await connection.keep_connected(
            settings.bus_server, self._bus_context, settings.pod, self._bus.use, settings.bus_host
        )

    def _bus_context(self) -> ssl.SSLContext:
        identity = self._state.identity
        if identity is None:
            raise connection.BusError("no identity yet")
        return tls.client_context(identity)

    async def _keep_nginx(self) -> None:
        await self._nginx.keep_running(self._nginx_started.set)

    async def _greet_nginx(self) -> None:
        """Ask a new or found NGINX what it has applied by itself."""
        waits = Backoff(0.02, 1.0)
        while True:
            await self._nginx_started.wait()
            self._nginx_started.clear()
            try:
                status = await control.status(self._nginx.control_socket)
            except control.UnreachableError as error:
                log.debug("NGINX does not answer yet", extra={"reason": str(error)})
                self._nginx_started.set()
                await waits.wait()
            else:
                waits.reset()
                self._nginx_answers.set()
                self._events.put_nowait(step.NginxRuns(self._explained(status)))

    async def _apply_changes(self) -> None:
        waits = Backoff(0.02, 1.0)
        await self._nginx_answers.wait()
        while True:
            await self._apply_wanted.wait()
            self._apply_wanted.clear()
            try:
                await self._apply()
            except (control.UnreachableError, OSError) as error:
                log.warning("not applied yet", extra={"reason": str(error)})
                self._apply_wanted.set()
                await waits.wait()
            else:
                waits.reset()

    async def _apply(self) -> None:
        """Bring NGINX to the newest state; on a refusal put back what it had."""
        revision = self._files.write(self._state)
        try:
            status = await control.apply(self._nginx.control_socket)
        except control.RefusedError as refusal:
            reason = self._files.explain(str(refusal))
            self._files.restore(reason)
            self._events.put_nowait(step.ApplyRefused(revision, reason))
            try:
                status = await control.apply(self._nginx.control_socket)
            except control.RefusedError as error:
                raise control.UnreachableError(f"the files before are refused, too: {error}") from error
        self._files.accept()
        self._events.put_nowait(step.Applied(self._explained(status)))

    def _explained(self, status: control.Status) -> control.Status:
        """The status, with the policies whose patterns cannot be searched."""
        return replace(status, unsearchable=self._files.explain(status.unsearchable))

    async def _drain(self) -> None:
        waits = Backoff(0.02, 1.0)
        while True:
            await self._drain_wanted.wait()
            self._drain_wanted.clear()
            try:
                await control.drain(self._nginx.control_socket)
            except control.UnreachableError as error:
                log.warning("not draining yet", extra={"reason": str(error)})
                self._drain_wanted.set()
                await waits.wait()
            else:
                log.info("draining: no new incoming connections")
                self._drained.set()

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(0.75, 1.25) * REPORT_SECONDS)  # noqa: S311
            self._events.put_nowait(step.ReportDue())

    async def _explain(self) -> None:
        """Say what is missing, now and then, while the sidecar is not ready."""
        while True:
            await asyncio.sleep(EXPLAIN_SECONDS)
            if not self._state.status.ready:
                log.warning("not ready", extra={"missing": self.missing()})

    def missing(self) -> str:
        """What the sidecar waits for, in one phrase per thing."""
        status = self._state.status
        things = []
        if not status.svid_serial:
            things.append(f"certificate ({self._identity_trouble or 'not applied yet'})")
        if self._state.revision is None:
            things.append("configuration from the controller")
        return ", ".join(things) or "NGINX's answer"

    async def _shut_down(self) -> None:
        """Take no more calls, carry the application's until it has ended, let NGINX finish (contract 6.drain)."""
        deadline = Deadline(self._settings.drain_seconds)
        try:
            async with asyncio.timeout(deadline.remaining):
                if self._settings.quiet_seconds:
                    log.info("told to end; calls are taken as long as the application listens")
                    await drain.until_deaf(DRAIN_POLL_SECONDS)
                self._events.put_nowait(step.StopRequested())
                await self._drained.wait()
                await drain.until_quiet(self._settings.quiet_seconds, DRAIN_POLL_SECONDS)
            log.info("the application has ended")
        except TimeoutError:
            log.warning("the application still runs at the end of the drain", extra={"seconds": deadline.total})
        await self._nginx.quit(Deadline(max(deadline.remaining, QUIT_SECONDS)))
