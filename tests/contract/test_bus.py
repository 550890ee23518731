"""The bus against a real nats-server with the mesh's permissions (design 7; contract 4.permissions, 4.rotation)."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from mesh.api import names
from mesh.bus import connection
from mesh.bus.connection import BusError, Message, Session
from mesh.kit.backoff import Backoff
from mesh.spiffe import tls
from tests.fakes.authority import Authority, Issued
from tests.fakes.eventually import eventually
from tests.fakes.nats_server import CONTROLLER_PATH, HOST, SIDECAR_NAME, NatsServer, write_certificates

AUTHORITY, STRANGER = Authority(), Authority()
CONTROLLER = AUTHORITY.issue(CONTROLLER_PATH)
SIDECAR = AUTHORITY.issue("/ns/shop/sa/web", ("web-0", SIDECAR_NAME))
SUBJECT = names.config_subject("0123456789abcdef")
TRIES, CONNECTED_SECONDS = 100, 0.05


def server_identity() -> Issued:
    return AUTHORITY.issue("/ns/nginx-mesh/sa/nats", (HOST,))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    running = NatsServer(tmp_path)
    write_certificates(tmp_path, server_identity())
    await running.start()
    yield running
    running.kill()


def connect(server: NatsServer, who: Issued, host: str = HOST) -> AbstractAsyncContextManager[Session]:
    return connection.connect(server.url, lambda: tls.client_context(who.context()), "test", host)


def following(server: NatsServer, who: Issued, use: Callable[[Session], Awaitable[None]]) -> asyncio.Task[None]:
    source = lambda: tls.client_context(who.context())  # noqa: E731
    return asyncio.create_task(connection.keep_connected(server.url, source, "test", use, HOST, Backoff(0.05, 0.1)))


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.spec("4.late")
async def test_a_late_sidecar_reads_the_last_configuration(server: NatsServer) -> None:
    """The publisher has gone; the stream in memory answers by direct get, with payload and headers."""
    async with connect(server, CONTROLLER) as controller:
        await controller.ensure_stream()
        await controller.store(SUBJECT, b"old", {names.HEADER_REVISION: "1.1"})
        await controller.store(SUBJECT, b"new", {names.HEADER_REVISION: "1.2"})
    async with connect(server, SIDECAR) as sidecar:
        found = await sidecar.last_message(SUBJECT)
        assert found
        assert (found.payload, found.headers[names.HEADER_REVISION]) == (b"new", "1.2")
        assert await sidecar.last_message(names.config_subject("ffffffffffffffff")) is None


async def test_the_stream_is_made_once_and_corrected(server: NatsServer) -> None:
    """Making it twice keeps what it holds; a group that is gone can be forgotten."""
    async with connect(server, CONTROLLER) as controller:
        await controller.ensure_stream()
        await controller.store(SUBJECT, b"kept")
        await controller.ensure_stream()
        kept = await controller.last_message(SUBJECT)
        assert kept is not None
        await controller.forget(SUBJECT)
        assert await controller.last_message(SUBJECT) is None


async def test_a_changed_stream_is_brought_back(server: NatsServer) -> None:
    """Someone changed the number of messages kept: the controller's next connect repairs it."""
    async with connect(server, CONTROLLER) as controller:
        await controller._api(
            f"STREAM.CREATE.{names.STREAM}",
            {"name": names.STREAM, "subjects": [f"{names.SUBJECT_CONFIG}.>"], "storage": "memory"},
        )
        await controller.ensure_stream()
        found = await controller._api(f"STREAM.INFO.{names.STREAM}", {})
        assert (found["config"]["max_msgs_per_subject"], found["config"]["allow_direct"]) == (1, True)


async def test_messages_arrive_in_order(server: NatsServer) -> None:
    """A subscription that subscribe returned for misses nothing that is published afterwards."""
    received: list[Message] = []
    async with connect(server, CONTROLLER) as controller, connect(server, SIDECAR) as sidecar:
        await sidecar.subscribe(SUBJECT, received.append)
        for number in range(200):
            await controller.publish(SUBJECT, str(number).encode(), {names.HEADER_REVISION: f"1.{number}"})
        await controller.flush()
        await eventually(lambda: len(received) == 200, "all messages")
    assert [int(message.payload) for message in received] == list(range(200))
    assert received[7].headers == {names.HEADER_REVISION: "1.7"}


async def test_a_connection_that_lost_messages_ends(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is too slow begins anew, and so reads what is current, instead of going on with a gap."""
    monkeypatch.setattr(connection, "PENDING_BYTES", 1000)
    received: list[Message] = []
    async with connect(server, CONTROLLER) as controller, connect(server, SIDECAR) as sidecar:
        await sidecar.subscribe(SUBJECT, received.append)
        await controller.publish(SUBJECT, bytes(5000))
        await controller.flush()
        assert "too slow" in await asyncio.wait_for(sidecar.lost(), 30)


async def test_subscribe_returns_when_the_server_knows(server: NatsServer) -> None:
    """Whoever publishes after subscribe returned is heard, each time: the client's PING must not overtake its SUB."""
    received: list[Message] = []
    async with connect(server, CONTROLLER) as controller, connect(server, CONTROLLER) as other:
        for number in range(500):
            await controller.subscribe(f"try.{number}", received.append)
            await other.publish(f"try.{number}", b"")
        await other.flush()
        await controller.flush()
    assert len(received) == 500


FORBIDDEN = [SUBJECT, names.SUBJECT_PING, "foo", "$JS.API.STREAM.PURGE.MESH", f"{names.SUBJECT_DELTA}.x"]


@pytest.mark.spec("4.permissions")
@pytest.mark.parametrize("subject", FORBIDDEN)
async def test_a_sidecar_may_publish_nothing_but_reports(server: NatsServer, subject: str) -> None:
    """A sidecar's message on any other subject reaches nobody; its report does."""
    received: list[Message] = []
    async with connect(server, CONTROLLER) as controller, connect(server, SIDECAR) as sidecar:
        await controller.subscribe(">", received.append)
        await sidecar.publish(subject, b"evil")
        await sidecar.publish(names.SUBJECT_SUBSCRIPTION, b"report")
        await sidecar.flush()
        await eventually(lambda: any(item.payload == b"report" for item in received), "the report")
    assert b"evil" not in [item.payload for item in received]
    assert "Publish Violation" in server.log


@pytest.mark.spec("4.permissions")
async def test_a_sidecar_may_not_listen_elsewhere(server: NatsServer) -> None:
    """Reports of other sidecars stay unheard."""
    heard: list[Message] = []
    async with connect(server, SIDECAR) as sidecar, connect(server, SIDECAR) as other:
        await sidecar.subscribe(names.SUBJECT_SUBSCRIPTION, heard.append)
        await other.publish(names.SUBJECT_SUBSCRIPTION, b"report")
        await other.flush()
        await sidecar.flush()
    assert heard == []
    assert "Subscription Violation" in server.log


@pytest.mark.spec("4.late")
async def test_without_a_stream_there_is_no_last_message(server: NatsServer) -> None:
    """A bus that lost everything: a sidecar keeps its connection, hears nothing, and then hears the controller."""
    received: list[Message] = []
    async with connect(server, CONTROLLER) as controller, connect(server, SIDECAR) as sidecar:
        await sidecar.subscribe(SUBJECT, received.append)
        assert await sidecar.last_message(SUBJECT) is None
        await controller.ensure_stream()
        await controller.store(SUBJECT, b"new")
        await eventually(lambda: received, "the message")


@pytest.mark.parametrize(
    ("who", "host", "reason"),
    [
        (STRANGER.issue("/ns/shop/sa/web", (SIDECAR_NAME,), bundle=AUTHORITY.bundle), HOST, "connect to"),
        (AUTHORITY.issue("/ns/shop/sa/unmapped"), HOST, "Authorization Violation"),
        (SIDECAR, "other.nginx-mesh.svc", "certificate verify failed"),
        (AUTHORITY.issue("/x", (SIDECAR_NAME,), bundle=STRANGER.bundle), HOST, "certificate verify failed"),
    ],
    ids=["foreign root", "no user for it", "wrong server name", "server of a foreign root"],
)
@pytest.mark.spec("4.tls")
async def test_who_does_not_belong_is_refused(server: NatsServer, who: Issued, host: str, reason: str) -> None:
    """Neither side talks to one that it cannot verify, and the error says why."""
    with pytest.raises(BusError, match=reason):
        async with connect(server, who, host):
            pytest.fail("connected")


@pytest.mark.spec("4.tls")
async def test_tls_12_is_refused(server: NatsServer) -> None:
    """The server takes TLS 1.3 only."""

    def old() -> ssl.SSLContext:
        context = tls.client_context(SIDECAR.context(), ssl.TLSVersion.TLSv1_2)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    with pytest.raises(BusError):
        async with connection.connect(server.url, old, "test", HOST):
            pytest.fail("connected")


@pytest.mark.spec("4.tls")
async def test_a_plaintext_server_is_refused(tmp_path: Path) -> None:
    """nats-py would go on in plaintext; the bus does not."""
    plain = NatsServer(tmp_path, encrypted=False)
    await plain.start()
    try:
        with pytest.raises(BusError, match="does not ask for TLS"):
            async with connect(plain, SIDECAR):
                pytest.fail("connected")
    finally:
        plain.kill()


async def test_a_hung_server_is_given_up(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and says nothing ends the try in a bounded time."""
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    server.send(signal.SIGSTOP)
    with pytest.raises(BusError, match="no answer"):
        async with connect(server, SIDECAR):
            pytest.fail("connected")
    server.send(signal.SIGCONT)


async def test_a_server_that_hangs_later_is_noticed(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unanswered pings end the connection."""
    monkeypatch.setattr(connection, "PING_SECONDS", 0.1)
    monkeypatch.setattr(connection, "PONG_SECONDS", 0.3)
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.1)
    async with connect(server, SIDECAR) as sidecar:
        server.send(signal.SIGSTOP)
        reason = await asyncio.wait_for(sidecar.lost(), 30)
        with pytest.raises(BusError):
            await sidecar.last_message(SUBJECT)
    server.send(signal.SIGCONT)
    assert "no answer to a ping" in reason


@pytest.mark.spec("4.reconnect")
async def test_reconnects_after_a_crash_for_ever(server: NatsServer) -> None:
    """Three crashes: each time the work to do on connect runs anew, also after a while without any server."""
    sessions: asyncio.Queue[Session] = asyncio.Queue()

    async def use(session: Session) -> None:
        await session.ensure_stream()
        await session.store(SUBJECT, b"state")
        sessions.put_nowait(session)
        await session.lost()

    task = following(server, CONTROLLER, use)
    first = await asyncio.wait_for(sessions.get(), 30)
    for _ in range(3):
        server.kill()
        with pytest.raises(BusError):
            await first.store(SUBJECT, b"lost")
        await server.start()
        first = await asyncio.wait_for(sessions.get(), 30)
        async with connect(server, SIDECAR) as sidecar:
            found = await sidecar.last_message(SUBJECT)
            assert found
            assert found.payload == b"state"
    await stop(task)


@pytest.mark.spec("4.rotation")
async def test_rotating_the_servers_certificate_drops_nobody(server: NatsServer) -> None:
    """Under steady messages: three rotations, every message arrives, no connection ends; new ones see the new one."""
    received: list[Message] = []
    async with connect(server, CONTROLLER) as controller, connect(server, SIDECAR) as sidecar:
        await sidecar.subscribe(SUBJECT, received.append)
        sent, rotated = 0, asyncio.Event()

        async def rotate() -> None:
            for _ in range(3):
                write_certificates(server.directory, server_identity())
                await server.reload()
            rotated.set()

        rotation = asyncio.create_task(rotate())
        while not rotated.is_set() or sent < 200:
            await controller.publish(SUBJECT, str(sent).encode())
            await controller.flush()
            sent += 1
        await rotation
        await eventually(lambda: len(received) == sent, "all messages")
        async with connect(server, SIDECAR) as late:
            await late.flush()
    assert [int(message.payload) for message in received] == list(range(sent))


async def test_a_server_reload_with_a_wrong_key_keeps_the_old(server: NatsServer) -> None:
    """A half-written rotation is rejected by the server, and clients still come in."""
    (server.directory / "tls.key").write_bytes(server_identity().context().svid.key_pem)
    server.send(signal.SIGHUP)
    await eventually(lambda: "Failed to reload" in server.log, "the refusal")
    async with connect(server, SIDECAR) as sidecar:
        await sidecar.flush()


async def test_the_next_connection_has_the_next_identity(server: NatsServer) -> None:
    """The context is made for each connection: an SVID of before is not used again."""
    asked: list[int] = []
    connected: asyncio.Queue[int] = asyncio.Queue()

    def source() -> ssl.SSLContext:
        asked.append(1)
        return tls.client_context(AUTHORITY.issue("/ns/shop/sa/web", (SIDECAR_NAME,)).context())

    async def use(session: Session) -> None:
        connected.put_nowait(len(asked))
        await session.lost()

    task = asyncio.create_task(connection.keep_connected(server.url, source, "t", use, HOST, Backoff(0.05, 0.1)))
    before = await asyncio.wait_for(connected.get(), 30)
    server.kill()
    await server.start()
    assert await asyncio.wait_for(connected.get(), 30) > before
    await stop(task)


async def test_whoever_is_cancelled_ends_however_far_the_connection_is(server: NatsServer) -> None:
    """A controller that is told to stop while it connects stops: no step of connecting loses that."""

    async def for_ever(_: Session) -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    for number in range(TRIES):
        task = following(server, SIDECAR, for_ever)
        began = loop.time()
        # Not asleep: the cancellation comes between any two things that happen in the loop.
        while loop.time() - began < CONNECTED_SECONDS * number / TRIES:
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=30)
        assert done, number
