"""The message bus: one connection at a time over nats-py, and a loop that makes the next one for ever (design 7).

nats-py's own reconnecting is switched off. It gives up after a number of tries, on some errors at once, and keeps the
certificate that it began with; here every connection is new, with the SVID of the moment, and what a user of the bus
must do on each connect (subscribe, read the last message) is one function that runs from the start.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from mesh.api import names
from mesh.kit.backoff import Backoff

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
STEP_SECONDS = 5.0
REQUEST_SECONDS = 5.0
CLOSE_SECONDS = 2.0
CANCEL_SECONDS = 0.5
# A server that hangs without closing is noticed within the sum of these two. nats-py's own pings are no use for that:
# it first waits until the silent peer has agreed to end TLS.
PING_SECONDS = 5.0
PONG_SECONDS = 10.0
NEVER_SECONDS = 1 << 30
# What a slow subscriber may have waiting; beyond it messages are lost, and the revision beacon tells.
PENDING_BYTES = 16 << 20

# A connection that lived this long was a success: the next one is tried soon again.
STABLE_SECONDS = CONNECT_SECONDS + 5

# JetStream's error number for a stream of that name with other settings (nats-server errors.json).
_NAME_IN_USE = 10058

ContextSource = Callable[[], ssl.SSLContext]


class BusError(Exception):
    """The bus did not do what was asked; the text says what and why."""


class NobodyError(BusError):
    """A request went to a subject where nobody listens: the stream has not been made yet."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as received."""

    subject: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Message], None]


def server_host(namespace: str) -> str:
    """Host name of the NATS server of the mesh in *namespace*; its SVID carries it."""
    return f"{names.NATS_SERVER}.{namespace}.svc"


def server_url(namespace: str) -> str:
    """Address of the NATS server of the mesh in *namespace*."""
    return f"tls://{server_host(namespace)}:{names.PORT_NATS}"


class Session:
    """One connection. Every method raises BusError when it is lost or the server does not answer in time."""

    def __init__(self, client: Client, lost: "asyncio.Future[str]") -> None:
        self._client = client
        self._lost = lost

    async def lost(self) -> str:
        """Wait until the connection ends; return why."""
        return await asyncio.shield(self._lost)

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a message that nobody confirms."""
        async with _as_bus_errors(f"publish to {subject}"):
            await self._client.publish(subject, payload, headers=dict(headers) if headers else None)

    async def flush(self) -> None:
        """Wait until the server has taken everything that was sent."""
        async with _as_bus_errors("flush"):
            # The client's PING overtakes what it still holds back, and sends that after it: the second PING follows all.
            await self._client.flush(timeout=int(REQUEST_SECONDS))
            await self._client.flush(timeout=int(REQUEST_SECONDS))

    async def subscribe(self, subject: str, handler: Handler) -> None:
        """Call *handler* with each message on *subject*, in order; on return the server knows the subscription."""

        async def on_message(message: Msg) -> None:
            handler(_received(message))

        async with _as_bus_errors(f"subscribe to {subject}"):
            await self._client.subscribe(subject, cb=on_message, pending_bytes_limit=PENDING_BYTES)
        await self.flush()

    async def last_message(self, subject: str) -> Message | None:
        """The last message that the stream keeps on *subject*, by direct get; None when there is none.

        A bus that has just started has no stream until the controller makes it: that is none, too.
        """
        try:
            answer = await self._request(f"{names.DIRECT_GET}.{subject}", b"")
        except NobodyError:
            return None
        status = answer.headers.get("Status", "")
        if status == "404":
            return None
        if status:
            raise BusError(f"last message of {subject}: {status} {answer.headers.get('Description', '')}")
        return Message(subject, answer.payload, answer.headers)

    async def store(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a message and wait until the stream holds it."""
        answer = _decode(await self._request(subject, payload, headers), f"store {subject}")
        if answer.get("stream") != names.STREAM:
            raise BusError(f"store {subject}: {answer}")

    async def forget(self, subject: str) -> None:
        """Remove what the stream keeps on *subject*; it may end in a wildcard."""
        await self._api(f"STREAM.PURGE.{names.STREAM}", {"filter": subject})

    async def kept_subjects(self, subject: str) -> set[str]:
        """The subjects under *subject*, which may end in a wildcard, of which the stream keeps a message."""
        found: set[str] = set()
        while True:
            ask = {"subjects_filter": subject, "offset": len(found)}
            state = (await self._api(f"STREAM.INFO.{names.STREAM}", ask)).get("state", {})
            page = set(state.get("subjects") or {}) - found
            if not page:
                return found
            found |= page

    async def ensure_stream(self) -> None:
        """Make the stream that keeps the last configuration per subject, or bring it to what it must be."""
        wanted = {
            "name": names.STREAM,
            "subjects": [f"{names.SUBJECT_CONFIG}.>"],
            "storage": "memory",
            "retention": "limits",
            "discard": "old",
            "max_msgs_per_subject": 1,
            "allow_direct": True,
            "num_replicas": 1,
        }
        try:
            await self._api(f"STREAM.CREATE.{names.STREAM}", wanted)
        except _ApiError as error:
            if error.number != _NAME_IN_USE:
                raise
            await self._api(f"STREAM.UPDATE.{names.STREAM}", wanted)

    async def _api(self, name: str, body: Mapping[str, object]) -> dict[str, Any]:
        answer = _decode(await self._request(f"$JS.API.{name}", json.dumps(body).encode()), name)
        if "error" in answer:
            raise _ApiError(name, answer["error"])
        return answer

    async def _request(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> Message:
        asking = asyncio.ensure_future(
            self._client.request(subject, payload, timeout=REQUEST_SECONDS, headers=dict(headers) if headers else None)
        )
        try:
            await asyncio.wait((asking, self._lost), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise BusError(f"request to {subject}: {self._lost.result()}")
            async with _as_bus_errors(f"request to {subject}"):
                return _received(await asking)
        finally:
            asking.cancel()


class _ApiError(BusError):
    def __init__(self, name: str, error: Mapping[str, Any]) -> None:
        self.number = error.get("err_code")
        super().__init__(f"{name}: {error.get('description', error)}")


@asynccontextmanager
async def connect(server: str, context_source: ContextSource, name: str, host: str = "") -> AsyncIterator[Session]:
    """One connection to *server* (``tls://host:port``) by mutual TLS with a context made for it; closed at the end.

    The server's certificate must carry *host*, or the host of the address where *host* is empty. A server that does
    not ask for TLS is refused. Raises BusError within CONNECT_SECONDS.
    """
    lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors[:] = [str(error) or type(error).__name__]
        if isinstance(error, nats.errors.SlowConsumerError) and not lost.done():
            # Messages were dropped; each new connection begins with reading what is current.
            lost.set_result("too slow for what arrives")
        if lost.done() or client.is_connected:
            log.warning("bus error", extra={"reason": errors[0], "server": server})

    async def on_closed() -> None:
        if not lost.done():
            lost.set_result(errors[0] if errors else "connection closed")

    client = Client()
    requests = _cancellation_requests()
    try:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect(
                    [server],
                    tls=context_source(),
                    tls_hostname=host or None,
                    name=name,
                    error_cb=on_error,
                    closed_cb=on_closed,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=int(STEP_SECONDS),
                    ping_interval=NEVER_SECONDS,
                )
        except TimeoutError:
            raise BusError(f"connect to {server}: no answer in {CONNECT_SECONDS} s") from None
        except (nats.errors.Error, OSError) as error:
            raise BusError(f"connect to {server}: {errors[0] if errors else error}") from error
        _end_if_cancelled(requests)
        if not _is_encrypted(client):
            raise BusError(f"connect to {server}: the server does not ask for TLS")
        pings = asyncio.create_task(_ping(client, lost))
        try:
            yield Session(client, lost)
        finally:
            pings.cancel()
    finally:
        await _close(client)


def _cancellation_requests() -> int:
    """How often the current task was told to end, and has not."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _end_if_cancelled(before: int) -> None:
    """Raise what was lost since there were as many requests as *before*.

    Before Python 3.12, wait_for, which the client uses, loses a cancellation that comes with the answer.
    """
    if _cancellation_requests() > before:
        raise asyncio.CancelledError


async def keep_connected(
    server: str,
    context_source: ContextSource,
    name: str,
    use: Callable[[Session], Awaitable[None]],
    host: str = "",
    backoff: Backoff | None = None,
) -> None:
    """Connect and run *use* with the session, again and again, for ever.

    *use* is cancelled when its connection is lost. When it returns or raises BusError, the connection is closed and the
    next one made after a growing wait with jitter, so that a restarted server is not met by all clients at once. The
    same reason in a row is logged once: a sidecar that outlives its mesh tries for ever.
    """
    waits = backoff or Backoff(0.1, 5.0)
    told = ""
    clock = asyncio.get_running_loop().time
    requests = _cancellation_requests()
    while True:
        _end_if_cancelled(requests)
        started = clock()
        try:
            async with connect(server, context_source, name, host) as session:
                log.info("connected to the bus", extra={"server": server})
                told = ""
                reason = await _use(session, use)
        except BusError as error:
            reason = str(error)
        if clock() - started > STABLE_SECONDS:
            waits.reset()
        level = logging.WARNING if reason != told else logging.DEBUG
        told = reason
        log.log(level, "not connected to the bus", extra={"server": server, "reason": reason})
        await waits.wait()


async def _use(session: Session, use: Callable[[Session], Awaitable[None]]) -> str:
    work = asyncio.ensure_future(use(session))
    lost = asyncio.create_task(session.lost())
    try:
        await asyncio.wait((work, lost), return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            return lost.result()
        await work
    finally:
        pending: set[asyncio.Future[Any]] = {work, lost}
        while pending:
            for task in pending:
                task.cancel()
            # A cancellation may be lost (_end_if_cancelled).
            _, pending = await asyncio.wait(pending, timeout=CANCEL_SECONDS)
        await asyncio.gather(work, lost, return_exceptions=True)
    return "done with this connection"


@asynccontextmanager
async def _as_bus_errors(what: str) -> AsyncIterator[None]:
    try:
        yield
    except nats.errors.NoRespondersError:
        raise NobodyError(f"{what}: nobody answers there") from None
    except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
        raise BusError(f"{what}: {str(error) or type(error).__name__}") from error


def _received(message: Msg) -> Message:
    return Message(message.subject, message.data, message.headers or {})


def _decode(message: Message, what: str) -> dict[str, Any]:
    try:
        answer = json.loads(message.payload)
    except ValueError as error:
        raise BusError(f"{what}: an answer that is no JSON") from error
    if not isinstance(answer, dict):
        raise BusError(f"{what}: an answer that is no object")
    return answer


async def _ping(client: Client, lost: "asyncio.Future[str]") -> None:
    """Ask the server for an answer now and then; call the connection lost when none comes."""
    while not lost.done():
        await asyncio.sleep(PING_SECONDS)
        try:
            async with asyncio.timeout(PONG_SECONDS):
                await client.flush(timeout=NEVER_SECONDS)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            if not lost.done():
                lost.set_result(f"no answer to a ping in {PONG_SECONDS} s ({type(error).__name__})")


async def _close(client: Client) -> None:
    """Say good-bye to a server that listens, for a short time; then cut."""
    writer = _writer(client)
    if client.is_connected:
        with suppress(nats.errors.Error, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.close()
    if writer is not None:
        writer.transport.abort()


def _is_encrypted(client: Client) -> bool:
    """Whether TLS is on: nats-py goes on in plaintext where the server does not ask, whatever the address says."""
    writer = _writer(client)
    return writer is not None and writer.get_extra_info("ssl_object") is not None


def _writer(client: Client) -> asyncio.StreamWriter | None:
    """What nats-py writes to; it has no public name."""
    return getattr(client._transport, "_io_writer", None)  # noqa: SLF001
