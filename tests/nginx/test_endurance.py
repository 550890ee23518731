"""Long lives: certificates, endpoints and settings change over and over under traffic, with the real agent and NGINX.

The long forms are part of `make soak`; the short ones are the same with fewer changes.
"""

import asyncio
import contextlib
import os
import socket
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest

from mesh.api.mtls import MtlsMode
from mesh.model.sidecar_config import Endpoint, IncomingPort, PodAddress, Protocol, ServicePort, SidecarConfig
from tests.fakes.authority import Authority
from tests.fakes.nats_server import SIDECAR_NAME
from tests.nginx import streams
from tests.nginx.agent_mesh import PORT, Mesh, Sidecar
from tests.nginx.load import Load, running
from tests.nginx.network import Network, Pod
from tests.nginx.processes import descriptors, private_kib, shared_memory_kib
from tests.nginx.sidecar import Client

TCP_PORT, TCP_SERVICE_PORT = 9000, 5432
MIB = 1024
# What traffic of four callers may open more at one moment than at another; a leak is one per change.
DESCRIPTORS = 12
SHARED_KIB = 256


@pytest.fixture(scope="module")
def pods(network: Network) -> tuple[Pod, Pod, Pod]:
    """The server has four addresses: four endpoints behind one sidecar."""
    return (network.add_pod("longa", 70), network.add_pod("longb", 71, more=3), network.add_pod("longh", 79))


@dataclass(frozen=True)
class Held:
    """What the processes of both sidecars hold, by role."""

    pids: dict[str, int]
    private: dict[str, int]
    shared: dict[str, int]
    descriptors: dict[str, int]

    @classmethod
    def by(cls, mesh: Mesh) -> "Held":
        pids = {
            f"{side} {role}": getattr(sidecar, role)()
            for side, sidecar in (("client", mesh.client), ("server", mesh.server))
            for role in ("agent", "master", "worker")
        }
        return cls(
            pids,
            {name: private_kib(pid) for name, pid in pids.items()},
            {name: shared_memory_kib(pid) for name, pid in pids.items()},
            {name: descriptors(pid) for name, pid in pids.items()},
        )

    def grew(self, since: "Held", private_kib: int) -> list[str]:
        """What is more than a moment's difference: of private memory, more than so much."""
        return [
            f"{name}: {kind} {before[name]} -> {after[name]}"
            for kind, before, after, limit in (
                ("private KiB", since.private, self.private, private_kib),
                ("shared KiB", since.shared, self.shared, SHARED_KIB),
                ("descriptors", since.descriptors, self.descriptors, DESCRIPTORS),
            )
            for name in after
            if after[name] - before[name] >= limit
        ]


def traffic(mesh: Mesh, threads: int) -> contextlib.AbstractContextManager[Load]:
    """Some 100 requests/s of each thread, on kept connections."""
    return running(lambda: Client(mesh.client.pod, mesh.service, 80, 30), threads)


def told(what: str, load: Load, seconds: float) -> None:
    """Print what was measured."""
    p99 = statistics.quantiles(load.seconds, n=100)[98] * 1000
    print(f"{what} in {seconds:.0f} s; {load.done} requests, {load.done / seconds:.0f}/s, p99 {p99:.1f} ms", end="; ")
    print(f"{len(load.failures)} failed; load average {os.getloadavg()[0]:.1f}")


@pytest.mark.spec("3.rotation")
@pytest.mark.parametrize(
    ("rotations", "warm", "growth_kib"),
    [
        # Python's allocator takes memory by the MiB: few rotations may meet one such step.
        pytest.param(60, 20, 2 * MIB, id="short", marks=pytest.mark.timeout(300, func_only=True)),
        pytest.param(1600, 160, MIB, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
async def test_certificates_rotate_for_ever(serving: Mesh, rotations: int, warm: int, growth_kib: int) -> None:
    """Of both sidecars, each as soon as the last is in use: nothing fails, nothing grows, nothing is replaced."""
    started = time.monotonic()
    with traffic(serving, 3) as load:
        early = Held.by(serving)
        for number in range(rotations):
            serials = [await sidecar.rotate() for sidecar in (serving.client, serving.server)]
            for sidecar, serial in zip((serving.client, serving.server), serials, strict=True):
                await sidecar.until(svid_serial=serial)
            if number == warm:
                early = Held.by(serving)
        late = Held.by(serving)
    told(f"{rotations} rotations of both sidecars", load, time.monotonic() - started)
    print(f"  private KiB after {warm}: {early.private}\n  at the end: {late.private}")
    assert load.failures == []
    assert late.pids == early.pids
    assert late.grew(early, growth_kib) == []


def changed(mesh: Mesh, sidecar: Sidecar, number: int, setting: int) -> SidecarConfig:
    """The configuration after so many changes: each leaves another endpoint out, each setting is another one."""
    server = mesh.server
    left_out = number % len(server.pod.addresses)
    addresses = [address for place, address in enumerate(server.pod.addresses) if place != left_out]

    def service(name: str, port: int, target: int, protocol: Protocol) -> ServicePort:
        endpoints = tuple(Endpoint(address, target, server.identity, "shop/server") for address in addresses)
        return ServicePort("shop", name, port, protocol, "round_robin", (mesh.service,), endpoints)

    own = (IncomingPort(PORT, Protocol.HTTP), IncomingPort(TCP_PORT, Protocol.TCP)) if sidecar is server else ()
    return replace(
        mesh.config(sidecar, MtlsMode.STRICT),
        client_max_body_size=(1 << 20) + setting,
        error_log_level="warn" if setting % 2 else "error",
        log_format="json" if setting % 3 else "default",
        incoming=own,
        services=(service("server", 80, PORT, Protocol.HTTP), service("tcp", TCP_SERVICE_PORT, TCP_PORT, Protocol.TCP)),
        pods=tuple(
            PodAddress(address, server.identity, ((PORT, Protocol.HTTP),), "shop/server") for address in addresses
        ),
    )


@contextlib.contextmanager
def websocket(mesh: Mesh) -> Iterator[socket.socket]:
    """An upgraded connection to the Service, which echoes."""
    with mesh.client.pod.connect(mesh.service, 80, 20) as connection:
        connection.sendall(
            b"GET /websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1) or b"\r\n\r\n"
        assert head.startswith(b"HTTP/1.1 101"), head
        yield connection


def echoes(connection: socket.socket, message: bytes) -> bool:
    """Whether the stream is alive: what is sent comes back."""
    connection.sendall(message)
    back = b""
    while len(back) < len(message):
        part = connection.recv(4096)
        if not part:
            return False
        back += part
    return back == message


@contextlib.asynccontextmanager
async def open_streams(mesh: Mesh) -> AsyncIterator[list[socket.socket]]:
    """Two WebSockets and two TCP connections through both sidecars, each to another endpoint."""
    server = streams.Server(mesh.server.pod.listener(TCP_PORT), streams.echo)
    try:
        with contextlib.ExitStack() as stack:
            opened = [await asyncio.to_thread(stack.enter_context, websocket(mesh)) for _ in range(2)]
            for _ in range(2):
                connection = await asyncio.to_thread(mesh.client.pod.connect, mesh.service, TCP_SERVICE_PORT, 20)
                opened.append(stack.enter_context(connection))
            yield opened
    finally:
        server.close()


@pytest.mark.spec("6.apply")
@pytest.mark.parametrize(
    ("endpoints", "others", "threads"),
    [
        pytest.param(50, 5, 3, id="short", marks=pytest.mark.timeout(300, func_only=True)),
        pytest.param(1000, 100, 6, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
async def test_everything_changes_under_load(serving: Mesh, endpoints: int, others: int, threads: int) -> None:
    """Endpoints, settings, certificates and once the trust bundle, with streams open: no request and no stream is lost.

    *endpoints* changes of endpoints, *others* of settings and of certificates.
    """
    mesh, sides = serving, (serving.client, serving.server)
    more_roots = mesh.authority.bundle + Authority().bundle
    async with mesh.controller() as session:
        for sidecar in sides:
            await mesh.give(session, sidecar, changed(mesh, sidecar, 0, 0))
        early = Held.by(mesh)
        started = time.monotonic()
        async with open_streams(mesh) as opened:
            with traffic(mesh, threads) as load:
                for number in range(1, endpoints + 1):
                    setting = number * others // endpoints
                    new_setting = setting != (number - 1) * others // endpoints
                    for sidecar in sides if new_setting else sides[:1]:
                        await mesh.give(session, sidecar, changed(mesh, sidecar, number, setting))
                    if new_setting:
                        roots = more_roots if setting > others // 2 else None
                        for sidecar in sides:
                            issued = mesh.authority.issue(sidecar.path, (SIDECAR_NAME,), bundle=roots)
                            await sidecar.api.rotate(issued)
                            await sidecar.until(svid_serial=issued.context().svid.serial)
                        alive = [await asyncio.to_thread(echoes, stream, b"%d" % number) for stream in opened]
                        assert all(alive), (number, alive)
                late = Held.by(mesh)
        told(
            f"{endpoints} changes of endpoints, {others} of settings and certificates", load, time.monotonic() - started
        )
    digests = [status.bundle_digest for sidecar in sides if (status := await sidecar.status())]
    assert load.failures == []
    assert late.pids == early.pids
    assert len(load.by_server) == len(mesh.server.pod.addresses)
    assert len(set(digests)) == 1
