"""Peers that are endlessly slow: cut before a request is there, and bounded in what they hold after it (contract 6.abuse)."""

import select
import socket
import time
from contextlib import ExitStack, suppress

import pytest

from tests.nginx.conftest import APPLICATION_PORT, Pair
from tests.nginx.network import Pod
from tests.nginx.processes import private_kib
from tests.nginx.sidecar import wait_until
from tests.nginx.test_abuse import GRPC_PORT, grpc_target, nobody_is_disturbed
from tests.nginx.test_abuse_http2 import FIELD, HEADERS, OPENING, REQUEST, frame

CUT_WITHIN = 45.0
SLOW = 100
KIB_EACH = 160
# A ClientHello that says it has 500 bytes.
HELLO = b"\x16\x03\x01\x01\xf4\x01\0\x01\xf0\x03\x03"
# Where it is sent, how it begins, and what then comes twice a second.
BEGINNINGS = {
    "header": (APPLICATION_PORT, b"GET / HTTP/1.1\r\nX: ", b"y"),
    "request line": (APPLICATION_PORT, b"GET /", b"y"),
    "TLS": (APPLICATION_PORT, HELLO, b"\0"),
    "HTTP/2 preface": (GRPC_PORT, OPENING[:5], b""),
    "HTTP/2 headers": (GRPC_PORT, OPENING + frame(HEADERS, 1, 1, REQUEST + FIELD)[:-16_000], b"y"),
}


@pytest.fixture
def target(pair: Pair) -> Pair:
    """The server takes plaintext, so that the test's own bytes reach its sidecar."""
    pair.set_up("permissive")
    return pair


def is_cut(connection: socket.socket) -> bool:
    """Whether the other side has said anything, or ended."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    with suppress(ConnectionResetError):
        # Settings and acknowledgements of HTTP/2 come at once, and say nothing of this.
        return connection.recv(65536)[3:4] != b"\x04"
    return True


@pytest.mark.spec("6.abuse")
def test_what_comes_byte_by_byte_before_a_request_is_cut(target: Pair, plain_pod: Pod) -> None:
    """Headers, handshakes and frames that do not end: cut in under a minute, while others are served."""
    open_connections: dict[str, socket.socket] = {}
    with ExitStack() as stack, grpc_target(target), nobody_is_disturbed(target, plain_pod) as others:
        for name, (port, beginning, _) in BEGINNINGS.items():
            connection = stack.enter_context(plain_pod.connect(target.server.pod.address, port, timeout=60))
            connection.sendall(beginning)
            open_connections[name] = connection
        began, served = time.monotonic(), others.count()
        while open_connections and time.monotonic() < began + CUT_WITHIN:
            select.select([], [], [], 0.5)
            for name, connection in list(open_connections.items()):
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(BEGINNINGS[name][2])
                if is_cut(connection):
                    del open_connections[name]
        assert list(open_connections) == []
        assert others.count() > served + 10
    assert "/" not in target.app.requests


@pytest.mark.spec("6.abuse")
def test_slow_bodies_and_slow_readers_hold_little_and_nobody(target: Pair, plain_pod: Pod) -> None:
    """A hundred bodies that do not come, a hundred answers that are not read: others are served, memory is bounded."""
    address = target.server.pod.address
    with ExitStack() as stack, nobody_is_disturbed(target, plain_pod) as others:
        before = private_kib(target.server.worker_pid)
        for number in range(2 * SLOW):
            connection = stack.enter_context(plain_pod.connect(address, APPLICATION_PORT))
            if number % 2:
                connection.sendall(b"POST /slow HTTP/1.1\r\nHost: shop\r\nContent-Length: 1000\r\n\r\nx")
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.sendall(b"GET /large HTTP/1.1\r\nHost: shop\r\n\r\n")
        wait_until(lambda: target.app.requests.count("/large") == SLOW, "the requests at the application", 120)
        others.more(20)
        grown = private_kib(target.server.worker_pid) - before
        print(f"{grown / 2 / SLOW:.0f} KiB for each of {2 * SLOW} connections that do not go on")
        assert grown < 2 * SLOW * KIB_EACH
