"""The controller: watches the cluster, compiles, publishes; injects and validates; keeps the mesh's objects right.

Every replica serves webhooks and compiles; the one that holds the Lease also publishes and writes. All parts run side
by side under supervision, and each waits for what it needs: nothing here depends on the order of start.
"""

import asyncio
import logging
import os
import secrets
import ssl
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.bus import connection
from mesh.compiler.assemble import Compilation
from mesh.controller import mode_steps
from mesh.controller.api import Api
from mesh.controller.configuration import load_installation
from mesh.controller.fleet import Fleet
from mesh.controller.identity import Identity
from mesh.controller.keeper import Keeper
from mesh.controller.mode_watch import ModeWatch
from mesh.controller.policy_writer import PolicyWriter
from mesh.controller.publisher import Publisher
from mesh.controller.registry_copies import RegistryCopies
from mesh.controller.removal import Removal
from mesh.controller.surroundings import IndexedSurroundings
from mesh.controller.trust import TrustKeeper
from mesh.controller.watches import Wanted, Watches
from mesh.controller.webhooks import Webhooks
from mesh.kit import backoff, health, shutdown
from mesh.kit import log as logs
from mesh.kit.supervise import supervise
from mesh.kube import client as kube
from mesh.kube.lease import Election
from mesh.model.reports import SidecarReport

log = logging.getLogger(__name__)

# Until every node has heard that this replica is no endpoint any more, its webhooks are still called.
DRAIN_SECONDS: Final = 3.0
CONFIGURATION_EXIT: Final = 2
_NATIVE_SIDECARS_SINCE: Final = (1, 29)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. ``kubeconfig`` is empty in a pod; ports are parameters for tests alone."""

    installation: dict[str, Any]
    pod: str
    kubeconfig: str = ""
    spire_socket: str = names.SPIRE_SOCKET
    nats_server: str = ""
    api_port: int = names.PORT_CONTROLLER_API
    webhook_port: int = names.PORT_WEBHOOK
    removal_seconds: float = 15.0
    mode_step_seconds: float = mode_steps.LIMIT_SECONDS
    health_port: int = names.PORT_HEALTH

    @property
    def namespace(self) -> str:
        """The mesh's namespace."""
        return str(self.installation["namespace"])


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment. Raises InvalidInputError."""
    namespace = environment.get("MESH_NAMESPACE", names.DEFAULT_NAMESPACE)
    trust_domain = environment.get("MESH_TRUST_DOMAIN", names.DEFAULT_TRUST_DOMAIN)
    return Settings(
        installation=load_installation(environment.get("MESH_INSTALLATION", ""), namespace, trust_domain),
        pod=environment.get("MESH_POD_NAME", names.CONTROLLER),
        kubeconfig=environment.get("KUBECONFIG", ""),
        removal_seconds=_seconds(environment, "MESH_REMOVAL_SECONDS", 15.0),
        nats_server=environment.get("MESH_NATS_SERVER", connection.server_url(namespace)),
    )


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise InvalidInputError([Problem(name, quote(text), "whole seconds")])
    return float(text)


class Controller:
    """One replica."""

    def __init__(self, settings: Settings, client: kube.Client) -> None:
        self._settings = settings
        self._client = client
        self._is_stopping = False
        # Another name in every life, so that a restarted process never takes the lease for still its own.
        self._name = f"{settings.pod}_{secrets.token_hex(4)}"
        self._fleet = Fleet()
        self._publisher = Publisher(self._take_report)
        self._policies = PolicyWriter(client, self._fleet)
        self._watches = Watches(
            client, settings.installation, self._take_compilation, self._take_configuration, self._policies.take
        )
        self._identity = Identity(
            settings.spire_socket, f"{names.WEBHOOK_SERVICE}.{settings.namespace}.svc", self._take_svid
        )
        self._trust = TrustKeeper(client, settings.namespace, self._bundle)
        self._removal = Removal(client, self._watches.configuration, self._fleet, settings.removal_seconds)
        modes = ModeWatch(self._watches.configuration, self._fleet, settings.mode_step_seconds)
        self._keeper = Keeper(client, self._watches.configuration, self._fleet, self._removal, modes)
        self._copies = RegistryCopies(client, self._watches.configuration, self._injected_namespaces)
        self._election = Election(client, settings.namespace, names.LEADER_LEASE, self._name)
        self._has_svid = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop*; then give the lease back at once, and go on serving for DRAIN_SECONDS."""
        # Not the MeshConfig: it is made after the controller, so that it goes before it.
        ready = {"identity": self._identity.missing, "cluster": self._watches.unseen, "life": self._life}
        async with health.HealthServer(self._settings.health_port, ready=ready):
            serving = asyncio.create_task(self._serve())
            try:
                await supervise(
                    {
                        **self._watches.tasks(),
                        "learn version": self._learn_version,
                        "bus": self._use_bus,
                        "election": lambda: self._election.run(self._lead),
                    },
                    stop,
                )
                self._is_stopping = True
                await asyncio.gather(self._let_go(), asyncio.sleep(DRAIN_SECONDS))
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)

    async def _let_go(self) -> None:
        """Leave nothing behind that only a controller could remove, when the namespace ends with everything in it."""
        if not self._watches.configuration.namespace_ends:
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._removal.let_go()
        except (kube.ApiError, TimeoutError) as error:
            log.warning("MeshConfig not let go", extra={"reason": str(error)})

    async def _serve(self) -> None:
        await supervise(
            {
                "identity": self._identity.follow,
                "webhooks": self._serve_webhooks,
                "api": self._serve_api,
            }
        )

    async def _serve_webhooks(self) -> None:
        await self._has_svid.wait()
        application = Webhooks(self._watches.configuration, IndexedSurroundings(self._watches.index)).application()
        await _serve(application, self._settings.webhook_port, self._identity.server_context())

    async def _serve_api(self) -> None:
        api = Api(self._fleet, self._publisher.revision, self._facts)
        await _serve(api.application(), self._settings.api_port, None)

    async def _use_bus(self) -> None:
        await self._has_svid.wait()
        server = self._settings.nats_server
        host = connection.server_host(self._settings.namespace)
        await connection.keep_connected(server, self._identity.client_context, self._name, self._publisher.use, host)

    async def _lead(self, epoch: int) -> None:
        async def publish() -> None:
            await self._publisher.lead(epoch)

        self._keeper.changed()
        await supervise(
            {
                **self._trust.tasks(),
                **self._keeper.tasks(),
                **self._policies.tasks(),
                **self._copies.tasks(),
                "publish": publish,
            }
        )

    async def _learn_version(self) -> None:
        """Ask the API server whether it knows native sidecars; once, since it never goes back."""
        waits = backoff.Backoff(0.2, 5.0)
        version: dict[str, str] = {}
        while not version:
            try:
                version = msgspec.json.decode(await self._client.get("/version"), type=dict[str, str])
            except (kube.ApiError, msgspec.MsgspecError) as error:
                log.warning("API server's version not known", extra={"reason": str(error)})
                await waits.wait()
        number = tuple(int("".join(filter(str.isdigit, version[part])) or 0) for part in ("major", "minor"))
        self._watches.configuration.native_sidecar = number >= _NATIVE_SIDECARS_SINCE

    def _take_configuration(self) -> None:
        self._keeper.changed()

    def _take_svid(self) -> None:
        self._has_svid.set()
        self._trust.bundle_changed()

    def _bundle(self) -> bytes:
        return self._identity.current.bundle_pem if self._identity.current else b""

    def _take_compilation(self, wanted: Wanted, compilation: Compilation) -> None:
        self._publisher.want(wanted)
        digests = {group: row[0] for group, row in wanted.items()}
        pods = self._watches.index.injected_pods()
        self._fleet.expect(pods, digests, time.monotonic(), self._watches.configuration.mode_change)
        self._policies.want(compilation.policies)
        self._copies.changed()
        self._keeper.tell(compilation.findings)
        self._keeper.changed()

    def _take_report(self, report: SidecarReport) -> None:
        if self._fleet.take_report(report, time.monotonic()):
            self._keeper.changed()
            self._policies.changed()
            if report.refused:
                self._keeper.tell_refusal(report.pod, report.refused)

    def _injected_namespaces(self) -> set[str]:
        return {pod.namespace for pod in self._watches.index.injected_pods()}

    def _facts(self) -> dict[str, Any]:
        return {
            "replica": self._name,
            "leader": self._election.leader,
            "bus_connected": self._publisher.is_connected,
            "missing": self._identity.missing() or self._watches.missing(),
        }

    def _life(self) -> str:
        return "stopping" if self._is_stopping else ""


async def _serve(application: web.Application, port: int, context: ssl.SSLContext | None) -> None:
    """Serve until cancelled; requests that run get a moment to end."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port, ssl_context=context).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def run(settings: Settings, stop: asyncio.Event) -> int:
    """Run a replica with *settings* until *stop*; return the exit code."""
    try:
        async with kube.connect(Path(settings.kubeconfig) if settings.kubeconfig else None) as client:
            await Controller(settings, client).run(stop)
    except kube.ConfigurationError as error:
        log.error("no way to the API server", extra={"reason": str(error)})
        return CONFIGURATION_EXIT
    return 0


def main() -> int:
    """Entry point of ``python -m mesh.controller``."""
    try:
        logs.from_environment(os.environ)
        settings = load_settings(os.environ)
    except ValueError as error:
        print(f"nginx-mesh-controller: {error}", file=sys.stderr)  # noqa: T201 - logging is not configured yet
        return CONFIGURATION_EXIT

    async def work(stop: asyncio.Event) -> int:
        return await run(settings, stop)

    return shutdown.run(work)
