"""How TCP connections end: halves by themselves, breaks as breaks, and nothing is lost before (contract 6.tcp-ends)."""

import hashlib
import os
import signal
import socket
import struct
import threading

import pytest

from tests.nginx.conftest import Pair
from tests.nginx.documents import To
from tests.nginx.network import Pod
from tests.nginx.sidecar import wait_until
from tests.nginx.streams import (
    GREETING,
    PARTING,
    TCP_PORT,
    Server,
    call,
    call_is_reset,
    client_document,
    exchange,
    greet,
    is_reset,
    read_all,
    read_exactly,
    serving,
    set_up,
)

BULK = 256 * 1024 * 1024
BLOCK = bytes(range(256)) * 1024

modes = pytest.mark.parametrize("mode", ["strict", "off"])


def reset(connection: socket.socket) -> None:
    """Close with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@modes
@pytest.mark.spec("6.tcp-ends")
def test_client_ends_its_half_first(pair: Pair, mode: str) -> None:
    """The server learns of it, and what it says afterwards arrives."""
    set_up(pair, mode)
    with serving(pair.server.pod, greet) as server, call(pair) as connection:
        assert connection.recv(100) == GREETING
        connection.sendall(b"from the client")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == PARTING
    assert server.heard == b"from the client"


@modes
@pytest.mark.spec("6.tcp-ends")
def test_server_ends_its_half_first(pair: Pair, mode: str) -> None:
    """The client learns of it, and what it says afterwards arrives."""

    def end_first(server: Server, connection: socket.socket) -> None:
        connection.sendall(GREETING)
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65536):
            server.heard += data

    set_up(pair, mode)
    with serving(pair.server.pod, end_first) as server, call(pair) as connection:
        assert read_all(connection) == GREETING
        for _ in range(3):
            connection.sendall(b"still here ")
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: bytes(server.heard) == b"still here " * 3, "what was said after the end")


@modes
@pytest.mark.spec("6.tcp-ends")
def test_client_that_says_nothing_at_all(pair: Pair, mode: str) -> None:
    """It ends its half at once, and the server speaks all the same."""
    set_up(pair, mode)
    with serving(pair.server.pod, greet), call(pair) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == GREETING + PARTING


@pytest.mark.spec("6.tcp-ends")
def test_client_from_outside_that_says_nothing_at_all(pair: Pair, plain_pod: Pod) -> None:
    """The look at the first bytes does not take its end for the end of the connection."""
    set_up(pair, "permissive")
    with serving(pair.server.pod, greet), plain_pod.connect(pair.server.pod.address, TCP_PORT) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == GREETING + PARTING


@modes
@pytest.mark.spec("6.tcp-ends")
def test_reset_by_the_server(pair: Pair, mode: str) -> None:
    """It comes to the client as a reset."""

    def answer_and_reset(_: Server, connection: socket.socket) -> None:
        connection.recv(100)
        reset(connection)

    set_up(pair, mode)
    with serving(pair.server.pod, answer_and_reset):
        assert call_is_reset(pair)


@modes
@pytest.mark.spec("6.tcp-ends")
def test_reset_by_the_client(pair: Pair, mode: str) -> None:
    """It comes to the server as a reset."""
    set_up(pair, mode)
    with serving(pair.server.pod) as server:
        connection = call(pair)
        assert exchange(connection) == b"ping"
        reset(connection)
        wait_until(lambda: server.errors == ["ConnectionResetError"], "the reset at the server")


@pytest.mark.spec("6.tcp-ends")
def test_sidecar_that_is_killed_does_not_end_a_stream_as_if_it_were_complete(pair: Pair) -> None:
    """Neither application takes the bytes so far for all there are."""
    set_up(pair)
    with serving(pair.server.pod), call(pair) as connection:
        assert exchange(connection) == b"ping"
        os.kill(pair.server.worker_pid, signal.SIGKILL)
        assert is_reset(connection)
        wait_until(lambda: len(pair.server.worker_pids()) == 1, "the next worker")
    pair.server.replaced_worker()


@pytest.mark.spec("6.tcp-ends")
def test_application_that_takes_no_connection(pair: Pair) -> None:
    """Nobody listens: the client is reset, in place of an end that looks like an empty answer."""
    set_up(pair)
    assert call_is_reset(pair)


@pytest.mark.spec("6.tcp-ends")
def test_endpoint_that_takes_no_connection(pair: Pair, plain_pod: Pod) -> None:
    """No endpoint is left: the client is reset."""
    pair.client.apply(client_document(pair, "permissive", [To(plain_pod.address, 9999)]))
    assert call_is_reset(pair)


@modes
@pytest.mark.spec("6.tcp")
def test_bulk_both_ways(pair: Pair, mode: str) -> None:
    """Much more than all buffers goes there and comes back, and none of it by way of a file."""

    def digest_then_send(_: Server, connection: socket.socket) -> None:
        digest = hashlib.sha256()
        while data := connection.recv(1 << 20):
            digest.update(data)
        connection.sendall(digest.digest())
        for _block in range(BULK // len(BLOCK)):
            connection.sendall(BLOCK)

    set_up(pair, mode)
    sent, received = hashlib.sha256(), hashlib.sha256()
    with serving(pair.server.pod, digest_then_send), call(pair, 60) as connection:
        for _ in range(BULK // len(BLOCK)):
            connection.sendall(BLOCK)
            sent.update(BLOCK)
        connection.shutdown(socket.SHUT_WR)
        digest = read_exactly(connection, 32)
        while data := connection.recv(1 << 20):
            received.update(data)
    assert digest == received.digest() == sent.digest()
    for sidecar in (pair.client, pair.server):
        assert not [path for path in sidecar.directory.glob("temp_*/**/*") if path.is_file()]


@modes
@pytest.mark.spec("6.tcp-ends")
def test_a_slow_reader_gets_all_of_it(pair: Pair, mode: str) -> None:
    """The sender ends long before the reader has read: nothing is cut off, and the end arrives as an end."""
    size = 32 * 1024 * 1024
    released = threading.Event()

    def send(_: Server, connection: socket.socket) -> None:
        for _block in range(size // len(BLOCK)):
            connection.sendall(BLOCK)

    set_up(pair, mode)
    with serving(pair.server.pod, send) as server, call(pair) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.recv(1)
        assert not released.wait(0.2)
        rest = 0
        while data := connection.recv(65536):
            rest += len(data)
    assert rest == size - 1
    assert server.errors == []


@pytest.mark.spec("6.tcp")
def test_small_writes_are_not_held_back(pair: Pair) -> None:
    """TCP_NODELAY is on for every connection of either sidecar."""
    set_up(pair)
    with serving(pair.server.pod), call(pair) as connection:
        assert exchange(connection) == b"ping"
        for sidecar in (pair.client, pair.server):
            assert sidecar.tcp_options(socket.TCP_NODELAY) == [1, 1]
