"""A gRPC client for unary and server-streaming calls over HTTP/2 (grpc.io, PROTOCOL-HTTP2), one connection per call.

Made for local sockets and few calls: no channel, no load balancing, no compression.
"""

import asyncio
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from enum import IntEnum
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]
Metadata = Sequence[tuple[str, str]]

MAX_MESSAGE_BYTES = 4 << 20
READ_BYTES = 64 << 10
CONNECT_SECONDS = 5.0
_PREFIX = struct.Struct(">?I")


class Status(IntEnum):
    """The gRPC status codes that this client makes or its callers tell apart."""

    UNKNOWN = 2
    DEADLINE_EXCEEDED = 4
    PERMISSION_DENIED = 7
    INTERNAL = 13
    UNAVAILABLE = 14


class GrpcError(Exception):
    """A call that failed: ``status`` is the number from the server, or UNAVAILABLE when there was none."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        names = {int(member): member.name for member in Status}
        super().__init__(f"{names.get(status, f'status {status}')}: {message}")


def unix(path: str) -> Connect:
    """Connector to the Unix socket at *path*."""
    return lambda: asyncio.open_unix_connection(path)


async def unary(connect: Connect, method: str, request: bytes, metadata: Metadata = (), seconds: float = 10.0) -> bytes:
    """Call *method* (``/package.Service/Method``) and return its one message within *seconds*. Raises GrpcError."""
    try:
        async with asyncio.timeout(seconds), aclosing(server_stream(connect, method, request, metadata)) as messages:
            answers = [message async for message in messages]
    except TimeoutError:
        raise GrpcError(Status.DEADLINE_EXCEEDED, f"no answer in {seconds} s") from None
    if len(answers) != 1:
        raise GrpcError(Status.INTERNAL, f"{len(answers)} messages where one belongs")
    return answers[0]


async def server_stream(
    connect: Connect, method: str, request: bytes, metadata: Metadata = ()
) -> AsyncGenerator[bytes, None]:
    """Call *method* and yield its messages until the server ends the call with status OK. Raises GrpcError otherwise.

    Waits for ever between messages; only connecting is limited, to CONNECT_SECONDS.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await connect()
    except TimeoutError:
        raise GrpcError(Status.UNAVAILABLE, f"no connection in {CONNECT_SECONDS} s") from None
    except OSError as error:
        raise GrpcError(Status.UNAVAILABLE, f"cannot connect: {error}") from error
    call = _Call(method, request, metadata)
    try:
        while not call.ended:
            writer.write(call.to_send())
            data = await reader.read(READ_BYTES)
            for message in call.receive(data):
                yield message
        call.check()
    except h2.exceptions.H2Error as error:
        raise GrpcError(Status.INTERNAL, f"HTTP/2: {error}") from error
    except OSError as error:
        raise GrpcError(Status.UNAVAILABLE, f"connection lost: {error}") from error
    finally:
        writer.close()


class _Call:
    """The state of one call, without a socket: bytes in, messages out."""

    def __init__(self, method: str, request: bytes, metadata: Metadata) -> None:
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self._http.initiate_connection()
        self._stream = self._http.get_next_available_stream_id()
        self._http.send_headers(
            self._stream,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", method),
                (":authority", "localhost"),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                *metadata,
            ],
        )
        self._unsent = _PREFIX.pack(False, len(request)) + request
        self._send_request()
        self._buffer = bytearray()
        self._status: tuple[int, str] | None = None
        self._http_status = b""
        self.ended = False

    def to_send(self) -> bytes:
        return self._http.data_to_send()

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes from the server (none: it hung up); return the messages that are complete."""
        if not data:
            raise GrpcError(Status.UNAVAILABLE, "the server closed the connection")
        for event in self._http.receive_data(data):
            self._handle(event)
        return self._take_messages()

    def check(self) -> None:
        """Raise GrpcError unless the server ended the call with status OK."""
        if self._status is None:
            raise GrpcError(
                Status.UNKNOWN, f"no grpc-status; HTTP status {self._http_status.decode('latin-1') or 'missing'}"
            )
        if self._status[0] != 0:
            raise GrpcError(*self._status)
        if self._buffer:
            raise GrpcError(Status.INTERNAL, "the last message was cut short")

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                self._take_headers(event.headers or ())
            case h2.events.DataReceived():
                self._buffer += event.data or b""
                self._http.acknowledge_received_data(event.flow_controlled_length or 0, self._stream)
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._send_request()
            case h2.events.StreamEnded():
                self.ended = True
            case h2.events.StreamReset():
                # NO_ERROR after the trailers only says that the server wants no more from us (RFC 9113, 8.1).
                if event.error_code != h2.errors.ErrorCodes.NO_ERROR or self._status is None:
                    raise GrpcError(Status.UNAVAILABLE, f"stream reset, code {event.error_code}")
                self.ended = True
            case h2.events.ConnectionTerminated() if not self.ended:
                raise GrpcError(Status.UNAVAILABLE, f"the server is going away, code {event.error_code}")

    def _take_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        found = {bytes(name): bytes(value) for name, value in headers}
        self._http_status = found.get(b":status", self._http_status)
        status = found.get(b"grpc-status")
        if status is not None:
            number = int(status) if status.isdigit() and len(status) < 4 else int(Status.UNKNOWN)
            self._status = number, unquote(found.get(b"grpc-message", b"").decode("utf-8", "replace"))

    def _send_request(self) -> None:
        """Send what the server's flow control lets through."""
        while self._unsent:
            room = min(self._http.local_flow_control_window(self._stream), self._http.max_outbound_frame_size)
            if room <= 0:
                return
            chunk, self._unsent = self._unsent[:room], self._unsent[room:]
            self._http.send_data(self._stream, chunk, end_stream=not self._unsent)

    def _take_messages(self) -> list[bytes]:
        messages = []
        while len(self._buffer) >= _PREFIX.size:
            compressed, size = _PREFIX.unpack_from(self._buffer)
            if compressed or size > MAX_MESSAGE_BYTES:
                raise GrpcError(Status.INTERNAL, f"a message of {size} bytes, compressed: {compressed}")
            end = _PREFIX.size + size
            if len(self._buffer) < end:
                break
            messages.append(bytes(self._buffer[_PREFIX.size : end]))
            del self._buffer[:end]
        return messages
