"""HTTP/2 that means harm, frame by frame: that connection ends, its sidecar stays as it is (contract 6.abuse)."""

import itertools
import select
import socket
from collections.abc import Iterator

import pytest

from tests.nginx import http2
from tests.nginx.conftest import Pair
from tests.nginx.network import Pod
from tests.nginx.processes import private_kib
from tests.nginx.test_abuse import GRPC_PORT, grpc_target, nobody_is_disturbed

HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
# :method GET, :scheme http, :path / of the static table, :authority "shop" as a literal.
REQUEST = b"\x82\x86\x84\x41\x04shop"
# A literal field of 16,128 bytes that is not added to the table (RFC 7541, 6.2.2).
FIELD = b"\x00\x01x\x7f\x81\x7d" + b"y" * 16_128
GROWTH_KIB = 16 * 1024


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)


def literal(name: bytes, value: bytes) -> bytes:
    """A header field that is added to the table (RFC 7541, 6.2.1); the value has 128 to 16,000 bytes."""
    length = len(value) - 127
    return b"\x40" + bytes([len(name)]) + name + bytes((0x7F, length & 0x7F | 0x80, length >> 7)) + value


def continuations() -> Iterator[bytes]:
    """Headers that never end."""
    yield frame(HEADERS, END_STREAM, 1, REQUEST)
    while True:
        yield frame(CONTINUATION, 0, 1, FIELD)


def empty_continuations() -> Iterator[bytes]:
    """The same without a byte of headers."""
    yield frame(HEADERS, END_STREAM, 1, REQUEST)
    while True:
        yield frame(CONTINUATION, 0, 1) * 1000


def bombs() -> Iterator[bytes]:
    """A header of 4,000 bytes is told once, and then named by one byte 16,000 times in each request."""
    yield frame(HEADERS, END_STREAM | END_HEADERS, 1, REQUEST + literal(b"x", b"y" * 4000))
    for stream in itertools.count(3, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST + b"\xbe" * 16_000)


def pings() -> Iterator[bytes]:
    """Each wants an answer, and none is read."""
    while True:
        yield frame(PING, 0, 0, b"12345678") * 1000


def settings() -> Iterator[bytes]:
    """The same with settings."""
    while True:
        yield frame(SETTINGS, 0, 0) * 1000


def resets_by_the_server() -> Iterator[bytes]:
    """Requests that the sidecar itself must reset, because a window grows by nothing."""
    for stream in itertools.count(1, 2):
        request = frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST)
        yield request + frame(WINDOW_UPDATE, 0, stream, bytes(4))


FLOODS = [continuations, empty_continuations, bombs, pings, settings, resets_by_the_server]
MOST_BYTES = 24 << 20


def flood(connection: socket.socket, frames: Iterator[bytes], reads: bool) -> int:
    """Send until the connection ends, at most *MOST_BYTES*; give how much went out."""
    sent = 0
    try:
        connection.sendall(OPENING)
        while sent < MOST_BYTES:
            data = next(frames)
            connection.sendall(data)
            sent += len(data)
            if reads and select.select([connection], [], [], 0)[0] and not connection.recv(65536):
                break
    except OSError:
        pass
    return sent


@pytest.fixture
def target(pair: Pair) -> Pair:
    """The server takes plaintext, so that the test's own bytes reach its sidecar."""
    pair.set_up("permissive")
    return pair


@pytest.mark.spec("6.abuse")
def test_floods(target: Pair, plain_pod: Pod) -> None:
    """Each ends its own connection before 24 MiB, takes little memory, and others are served all the time."""
    sent: dict[str, int] = {}
    with grpc_target(target), nobody_is_disturbed(target, plain_pod) as others:
        before = private_kib(target.server.worker_pid)
        for attack in FLOODS:
            with plain_pod.connect(target.server.pod.address, GRPC_PORT, timeout=5) as connection:
                sent[attack.__name__] = flood(connection, attack(), attack not in (pings, settings))
                others.more(1)
        grown = private_kib(target.server.worker_pid) - before
    print(f"bytes until the end of the connection: {sent}; memory grew by {grown} KiB")
    assert grown < GROWTH_KIB
    unbounded = {name for name, count in sent.items() if count >= MOST_BYTES}
    assert unbounded == set()


@pytest.mark.spec("6.abuse")
def test_rapid_resets_of_many_connections(target: Pair, plain_pod: Pod) -> None:
    """Whoever is cut and comes again, for as long as others have had twenty answers each."""
    streams = range(1, 20_000, 2)
    burst = b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")
        for stream in streams
    )
    with grpc_target(target), nobody_is_disturbed(target, plain_pod) as others:
        attacks = 0
        until = others.count() + 20
        while others.count() < until and not others.failures:
            with plain_pod.connect(target.server.pod.address, GRPC_PORT, timeout=30) as connection:
                try:
                    connection.sendall(OPENING + burst)
                    while connection.recv(65536):
                        pass
                except OSError:
                    pass
            attacks += 1
    print(f"{attacks} connections with 10,000 resets each")
    assert attacks >= 1


FORBIDDEN = [
    [("transfer-encoding", "chunked")],
    [("connection", "keep-alive")],
    [("x", "a\r\nb: c")],
    [("x", "a\0b")],
    [("X-Upper", "a")],
    [("content-length", "5")],
    [("content-length", "-1")],
    [("te", "gzip")],
]


@pytest.mark.spec("6.abuse")
def test_headers_that_http2_has_not(target: Pair, plain_pod: Pod) -> None:
    """Refused, or the application does not see them."""
    address = target.server.pod.address
    with grpc_target(target), nobody_is_disturbed(target, plain_pod):
        for headers in FORBIDDEN:
            with http2.connected(plain_pod, address, GRPC_PORT) as client:
                client.connection.config.normalize_outbound_headers = False
                answer = client.answer(client.send(headers=headers))
                name = headers[0][0]
                if answer.headers.get(":status") == "200":
                    assert f'"{name}"'.encode() not in answer.body.lower(), headers
                else:
                    assert answer.reset is not None or answer.headers.get(":status", "400") == "400", headers
