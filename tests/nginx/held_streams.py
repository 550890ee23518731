"""Streams of every kind that stay open through both sidecars while other things happen: WebSocket, TCP, gRPC."""

import asyncio
import contextlib
import queue
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import grpc

from tests.nginx import grpc_application, streams
from tests.nginx.agent_mesh import Mesh

TCP_PORT, TCP_SERVICE_PORT = 9000, 5432
GRPC_PORT, GRPC_SERVICE_PORT = 9001, 82
WEBSOCKET_SERVICE_PORT = 81
# The applications' own ends close what says nothing for 20 s.
PAUSE_SECONDS = 2.0

Echo = Callable[[bytes], bool]
"""Sends a message on a stream, and says whether it came back."""


@contextlib.contextmanager
def websocket(mesh: Mesh) -> Iterator[Echo]:
    """An upgraded connection to the Service."""
    with mesh.client.pod.connect(mesh.service, WEBSOCKET_SERVICE_PORT, 20) as connection:
        connection.sendall(
            b"GET /websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1) or b"\r\n\r\n"
        assert head.startswith(b"HTTP/1.1 101"), head
        yield _echo(connection)


@contextlib.contextmanager
def tcp_stream(mesh: Mesh) -> Iterator[Echo]:
    """A TCP connection to the Service."""
    with mesh.client.pod.connect(mesh.service, TCP_SERVICE_PORT, 20) as connection:
        yield _echo(connection)


@contextlib.contextmanager
def grpc_stream(mesh: Mesh) -> Iterator[Echo]:
    """A call of the Service that goes on in both directions."""
    with grpc_application.calling(mesh.client.pod, mesh.service, GRPC_SERVICE_PORT) as caller:
        messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        answers = caller.chat(iter(messages.get, None))

        def echo(message: bytes) -> bool:
            messages.put(message)
            return bool(next(answers) == message)

        try:
            yield echo
        finally:
            messages.put(None)


def _echo(connection: socket.socket) -> Echo:
    def echo(message: bytes) -> bool:
        connection.sendall(message)
        return streams.read_exactly(connection, len(message)) == message

    return echo


@contextlib.asynccontextmanager
async def open_streams(mesh: Mesh) -> AsyncIterator[dict[str, Echo]]:
    """Two WebSockets, two TCP connections, each to another endpoint, and two gRPC streams on one connection each."""
    pod = mesh.server.pod
    with contextlib.ExitStack() as stack:
        server = streams.Server(pod.listener(TCP_PORT), streams.echo)
        stack.callback(server.close)
        await asyncio.to_thread(stack.enter_context, grpc_application.serve(pod, GRPC_PORT))
        opened: dict[str, Echo] = {}
        for kind in (websocket, tcp_stream, grpc_stream):
            for number in (1, 2):
                opened[f"{kind.__name__} {number}"] = await asyncio.to_thread(stack.enter_context, kind(mesh))
        yield opened
        # Ends of gRPC wait for threads that need this loop no more.
        await asyncio.to_thread(stack.close)


async def dropped(opened: dict[str, Echo], message: bytes) -> list[str]:
    """Which streams do not echo *message*."""

    def is_alive(echo: Echo) -> bool:
        try:
            return echo(message)
        except (OSError, grpc.RpcError):
            return False

    return [name for name, echo in opened.items() if not await asyncio.to_thread(is_alive, echo)]


@contextlib.asynccontextmanager
async def talking(opened: dict[str, Echo], lost: list[str]) -> AsyncIterator[None]:
    """Each stream says something now and then for the length of the block; *lost* gets the names of those that have no echo."""

    ending = asyncio.Event()

    async def talk() -> None:
        number = 0
        while not ending.is_set():
            number += 1
            lost.extend(await dropped(opened, b"%d" % number))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), PAUSE_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(talk())
        try:
            yield
        finally:
            ending.set()
