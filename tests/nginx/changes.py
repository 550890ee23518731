"""What changes at a pair of sidecars while they work, told to them as the controller and SPIRE tell it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from mesh.api import names
from mesh.api.mtls import MtlsMode
from mesh.bus.connection import Message, Session
from mesh.model import codec, delta, reports
from mesh.model.sidecar_config import Endpoint, IncomingPort, PodAddress, Protocol, ServicePort, SidecarConfig
from tests.fakes.authority import Authority
from tests.fakes.nats_server import SIDECAR_NAME
from tests.nginx.agent_mesh import PORT, Mesh, Sidecar
from tests.nginx.held_streams import (
    GRPC_PORT,
    GRPC_SERVICE_PORT,
    TCP_PORT,
    TCP_SERVICE_PORT,
    WEBSOCKET_SERVICE_PORT,
)

WITHIN = 60.0


def changed(mesh: Mesh, sidecar: Sidecar, number: int, setting: int, websocket_port: int = PORT) -> SidecarConfig:
    """The configuration after so many changes: each leaves another endpoint out, each setting is another one.

    At *websocket_port* of the server is an application that takes WebSockets.
    """
    server = mesh.server
    left_out = number % len(server.pod.addresses)
    addresses = [address for place, address in enumerate(server.pod.addresses) if place != left_out]
    ports = {
        PORT: Protocol.HTTP,
        websocket_port: Protocol.HTTP,
        GRPC_PORT: Protocol.GRPC,
        TCP_PORT: Protocol.TCP,
    }

    def service(name: str, port: int, target: int) -> ServicePort:
        endpoints = tuple(Endpoint(address, target, server.identity, "shop/server") for address in addresses)
        return ServicePort("shop", name, port, ports[target], "round_robin", (mesh.service,), endpoints)

    return replace(
        mesh.config(sidecar, MtlsMode.STRICT),
        client_max_body_size=(1 << 20) + setting,
        error_log_level="warn" if setting % 2 else "error",
        log_format="json" if setting % 3 else "default",
        incoming=tuple(IncomingPort(*item) for item in ports.items()) if sidecar is server else (),
        services=(
            service("grpc", GRPC_SERVICE_PORT, GRPC_PORT),
            service("server", 80, PORT),
            service("tcp", TCP_SERVICE_PORT, TCP_PORT),
            service("websocket", WEBSOCKET_SERVICE_PORT, websocket_port),
        ),
        pods=tuple(PodAddress(address, server.identity, tuple(ports.items()), "shop/server") for address in addresses),
    )


class Controller:
    """Publishes as the controller does, deltas after the first, and hears from the sidecars what they have."""

    def __init__(self, mesh: Mesh, session: Session) -> None:
        self._mesh = mesh
        self._session = session
        self._given: dict[str, codec.Decoded] = {}
        self._reports: dict[str, reports.SidecarReport] = {}
        self._heard = asyncio.Condition()

    async def listen(self) -> None:
        """Begin to hear the sidecars' reports."""
        await self._session.subscribe(names.SUBJECT_SUBSCRIPTION, self._on_report)

    def _on_report(self, message: Message) -> None:
        report = reports.decode_report(message.payload)
        self._reports[report.group] = report
        asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._heard:
            self._heard.notify_all()

    async def _until(self, sidecar: Sidecar, field: str, value: str) -> None:
        def is_so() -> bool:
            report = self._reports.get(sidecar.group)
            return report is not None and getattr(report, field) == value

        async with asyncio.timeout(WITHIN), self._heard:
            await self._heard.wait_for(is_so)

    async def give(self, sidecar: Sidecar, config: SidecarConfig) -> None:
        """Publish a configuration, and wait until the sidecar has it."""
        sidecar.counter += 1
        revision = codec.Revision(1, sidecar.counter)
        state = codec.canonical(config)
        messages = codec.encode_state(state, revision)
        for message in messages:
            subject = names.config_subject(sidecar.group) + message.subject_suffix
            await self._session.store(subject, message.payload, message.headers)
        after = codec.Decoded(config, revision, codec.digest(state))
        base = self._given.get(sidecar.group)
        said = delta.encode(base, after) if base else messages[-1]
        self._given[sidecar.group] = after
        await self._session.publish(names.delta_subject(sidecar.group), said.payload, said.headers)
        await self._until(sidecar, "revision", str(revision))

    async def rotate(self, sidecar: Sidecar, more: Authority | None = None) -> None:
        """Give a sidecar another SVID, with *more* another bundle, too, and wait until it has it."""
        roots = self._mesh.authority.bundle + (more.bundle if more else b"")
        issued = self._mesh.authority.issue(sidecar.path, (SIDECAR_NAME,), bundle=roots)
        await sidecar.api.rotate(issued)
        await self._until(sidecar, "svid_serial", issued.context().svid.serial)


@contextlib.asynccontextmanager
async def controller(mesh: Mesh) -> AsyncIterator[Controller]:
    """One that both sidecars talk to."""
    async with mesh.controller() as session:
        made = Controller(mesh, session)
        await made.listen()
        yield made
