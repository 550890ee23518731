"""TLS of relayed TCP after its handshake: our record layer at one end, OpenSSL or records by hand at the other (contract 6.tcp-records)."""

import hashlib
import random
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.nginx.conftest import CLIENT, SERVER, SERVER_ID, Pair
from tests.nginx.documents import To
from tests.nginx.memory_tls import shake_hands
from tests.nginx.network import Pod
from tests.nginx.records import ALERT, CLOSE_NOTIFY, DATA, HANDSHAKE, Records
from tests.nginx.sidecar import wait_until
from tests.nginx.streams import (
    TCP_PORT,
    Handler,
    Server,
    call,
    client_document,
    echo,
    is_reset,
    read_exactly,
    serving,
    set_up,
)
from tests.nginx.test_mutual_tls import load

UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW, ILLEGAL_PARAMETER, DECODE_ERROR = 10, 20, 22, 47, 50
STREAM_BYTES = 12 * 1024 * 1024
WAITING = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def digest_both_ways(connection: socket.socket, seed: int) -> tuple[str, str]:
    """Send a stream in pieces of random sizes and end it, and read one meanwhile: the digests of both."""
    numbers = random.Random(seed)
    sent, received = hashlib.sha256(), hashlib.sha256()
    left, count, piece = STREAM_BYTES, 0, b""
    connection.setblocking(False)
    while left or piece or count < STREAM_BYTES:
        is_stuck = True
        if left and not piece:
            piece = numbers.randbytes(min(left, numbers.choice((1, 100, 16384, 16385, 70000, 300000))))
            sent.update(piece)
            left -= len(piece)
        with suppress(*WAITING):
            if piece:
                piece = piece[connection.send(piece) :]
                is_stuck = False
        with suppress(*WAITING):
            data = connection.recv(numbers.choice((1000, 65536, 1 << 20)))
            assert data or count == STREAM_BYTES
            received.update(data)
            count += len(data)
            is_stuck = not data
        if is_stuck:
            select.select([connection], [connection] if piece else [], [], 20)
    if isinstance(connection, ssl.SSLSocket):
        # Says close_notify, and would wait for the other side's.
        with suppress(*WAITING):
            connection.unwrap()
    else:
        connection.shutdown(socket.SHUT_WR)
    return sent.hexdigest(), received.hexdigest()


@contextmanager
def openssl(raw: socket.socket, pair: Pair, *, server_side: bool = False) -> Iterator[ssl.SSLSocket]:
    """A peer whose TLS is all OpenSSL's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    load(context, pair.issue(SERVER if server_side else CLIENT))
    context.set_alpn_protocols(["nsm/1"])
    with context.wrap_socket(raw, server_side=server_side) as connection:
        yield connection


def peer_is_the_endpoint(pair: Pair, pod: Pod) -> None:
    """Let the client's sidecar call *pod*, which has no sidecar, as the server."""
    set_up(pair)
    pair.client.apply(client_document(pair, "strict", [To(pod.address, TCP_PORT, SERVER_ID)]))


@contextmanager
def calling(pair: Pair, pod: Pod, handler: Handler = echo) -> Iterator[tuple[Records, Server]]:
    """A peer by hand that has called the server's sidecar, and the application there."""
    set_up(pair)
    with serving(pair.server.pod, handler) as server:
        raw = pod.connect(pair.server.pod.address, TCP_PORT, 30)
        with Records(raw, pair.issue(CLIENT)) as records:
            yield records, server


@pytest.mark.spec("6.tcp-records")
def test_openssl_calls(pair: Pair, plain_pod: Pod) -> None:
    """Large streams go both ways at once, and come as they were said."""
    answers: list[tuple[str, str]] = []

    def stream(_: Server, connection: socket.socket) -> None:
        answers.append(digest_both_ways(connection, 1))

    set_up(pair)
    with serving(pair.server.pod, stream):
        raw = plain_pod.connect(pair.server.pod.address, TCP_PORT, 30)
        with openssl(raw, pair) as connection:
            sent, received = digest_both_ways(connection, 2)
            wait_until(lambda: answers, "the application's digests")
    assert answers == [(received, sent)]


@pytest.mark.spec("6.tcp-records")
def test_openssl_answers(pair: Pair, plain_pod: Pod) -> None:
    """The same the other way; its session tickets are passed over."""
    answers: list[tuple[str, str]] = []

    def stream(_: Server, connection: socket.socket) -> None:
        with openssl(connection, pair, server_side=True) as secure:
            answers.append(digest_both_ways(secure, 1))

    peer_is_the_endpoint(pair, plain_pod)
    with serving(plain_pod, stream), call(pair, 30) as connection:
        sent, received = digest_both_ways(connection, 2)
        wait_until(lambda: answers, "the application's digests")
    assert answers == [(received, sent)]


@pytest.mark.spec("6.tcp-records")
@pytest.mark.parametrize("server_side", [False, True])
def test_records_of_every_size_and_new_keys(pair: Pair, plain_pod: Pod, server_side: bool) -> None:
    """From none to 2^14 bytes, padded and not, in pieces that respect no border; a new key is answered with one."""
    numbers = random.Random(7)
    sizes = [0, 1, 2, 15, 16, 17, 255, 16383, 16384, *(numbers.randrange(16385) for _ in range(40))]

    def talk(records: Records) -> None:
        for number, size in enumerate(sizes):
            content = numbers.randbytes(size)
            padding = (0, 1, 255)[number % 3] if size < 16000 else 0
            wire = records.update(wants_answer=False) if number % 8 == 3 else b""
            wire += records.seal(content, padding=padding)
            cut = numbers.randrange(len(wire))
            records.raw.sendall(wire[:cut])
            records.raw.sendall(wire[cut:])
            assert records.receive_data(size) == content
        records.raw.sendall(records.update(wants_answer=True) + records.update(wants_answer=True))
        records.send(b"after")
        assert records.receive() == (HANDSHAKE, bytes([24, 0, 0, 1, 0]))
        assert records.receive_data(5) == b"after"
        records.send(CLOSE_NOTIFY, ALERT)
        records.raw.shutdown(socket.SHUT_WR)
        assert records.receive() == (ALERT, CLOSE_NOTIFY)

    if server_side:
        faults: list[Exception] = []

        def answer(_: Server, connection: socket.socket) -> None:
            try:
                with Records(connection, pair.issue(SERVER), server_side=True) as records:
                    assert records.cipher == "TLS_AES_128_GCM_SHA256"
                    talk(records)
            except (AssertionError, OSError, EOFError) as error:
                faults.append(error)

        peer_is_the_endpoint(pair, plain_pod)
        with serving(plain_pod, answer), call(pair, 30) as connection, suppress(ConnectionResetError):
            while data := connection.recv(65536):
                connection.sendall(data)
        assert not faults
    else:
        with calling(pair, plain_pod) as (records, _):
            assert records.cipher == "TLS_AES_256_GCM_SHA384"
            talk(records)


def _flipped(record: bytes) -> bytes:
    return record[:-1] + bytes([record[-1] ^ 1])


FAULTS: dict[str, tuple[Callable[[Records], bytes], int]] = {
    "tampered": (lambda peer: _flipped(peer.seal(b"x" * 100)), BAD_RECORD_MAC),
    "tampered-header": (lambda peer: b"\x17\x03\x01" + peer.seal(b"x")[3:], BAD_RECORD_MAC),
    "again": (lambda peer: peer.seal(b"said") * 2, BAD_RECORD_MAC),
    "left-out": (lambda peer: (peer.seal(b"one"), peer.seal(b"two"))[1], BAD_RECORD_MAC),
    "too-short": (lambda _: b"\x17\x03\x03\x00\x10" + bytes(16), BAD_RECORD_MAC),
    "too-long": (lambda _: b"\x17\x03\x03\x41\x01", RECORD_OVERFLOW),
    "too-long-inside": (lambda peer: peer.seal(bytes(16385)), RECORD_OVERFLOW),
    "plaintext": (lambda _: b"\x15\x03\x03\x00\x02\x01\x00", UNEXPECTED_MESSAGE),
    "change-cipher-spec": (lambda _: b"\x14\x03\x03\x00\x01\x01", UNEXPECTED_MESSAGE),
    "only-padding": (lambda peer: peer.seal(b"", 0, 20), UNEXPECTED_MESSAGE),
    "another-kind": (lambda peer: peer.seal(b"x", 24), UNEXPECTED_MESSAGE),
    "empty": (lambda peer: b"".join(peer.seal(b"") for _ in range(33)), UNEXPECTED_MESSAGE),
    "key-updates": (
        lambda peer: b"".join(peer.update(wants_answer=False) for _ in range(33)),
        UNEXPECTED_MESSAGE,
    ),
    "ticket-from-a-client": (lambda peer: peer.seal(bytes([4, 0, 0, 1, 0]), HANDSHAKE), UNEXPECTED_MESSAGE),
    "hello": (lambda peer: peer.seal(bytes([1, 0, 0, 1, 0]), HANDSHAKE), UNEXPECTED_MESSAGE),
    "message-in-parts": (lambda peer: peer.seal(bytes([24, 0]), HANDSHAKE) + peer.seal(b"x"), UNEXPECTED_MESSAGE),
    "update-with-more": (lambda peer: peer.seal(bytes([24, 0, 0, 1, 0, 24]), HANDSHAKE), UNEXPECTED_MESSAGE),
    "update-too-long": (lambda peer: peer.seal(bytes([24, 0, 0, 2, 0, 0]), HANDSHAKE), DECODE_ERROR),
    "update-of-another-kind": (lambda peer: peer.seal(bytes([24, 0, 0, 1, 2]), HANDSHAKE), ILLEGAL_PARAMETER),
    "empty-message": (lambda peer: peer.seal(b"", HANDSHAKE), UNEXPECTED_MESSAGE),
    "alert-of-one-byte": (lambda peer: peer.seal(b"\x01", ALERT), DECODE_ERROR),
}


@pytest.mark.spec("6.tcp-records")
@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_peer_may_not_send(pair: Pair, plain_pod: Pod, fault: str) -> None:
    """It is told by the right alert, and the application sees a reset, never an end."""
    with calling(pair, plain_pod) as (records, server):
        records.send(b"ping")
        assert records.receive_data(4) == b"ping"
        make, alert = FAULTS[fault]
        records.raw.sendall(make(records))
        wait_until(lambda: server.errors == ["ConnectionResetError"], "the reset at the application")
        with suppress(ConnectionResetError):
            told = records.receive()
            while told[0] == DATA:
                told = records.receive()
            assert told == (ALERT, bytes([2, alert]))


@contextmanager
def taking_nobody(pod: Pod) -> Iterator[None]:
    """An application whose queue is full: a connection to it is neither made nor refused."""
    with ExitStack() as opened:
        listener = opened.enter_context(pod.listener(TCP_PORT))
        listener.listen(0)
        for _ in range(2):
            with pod.inside():
                waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", TCP_PORT))
        yield


@pytest.mark.spec("6.tcp-records")
def test_what_comes_after_a_fault_is_not_read(pair: Pair, plain_pod: Pod) -> None:
    """Nor does the worker look for it again and again, while the application has not been reached yet."""
    set_up(pair)
    with (
        taking_nobody(pair.server.pod),
        plain_pod.connect(pair.server.pod.address, TCP_PORT, 30) as raw,
        Records(raw, pair.issue(CLIENT)) as records,
    ):
        records.raw.sendall(_flipped(records.seal(b"x" * 100)))
        assert records.receive() == (ALERT, bytes([2, BAD_RECORD_MAC]))
        records.raw.sendall(b"more")
        for _ in range(3):
            assert pair.server.status()["revision"]


@pytest.mark.spec("6.tcp-records")
@pytest.mark.parametrize("ending", ["alert", "cut", "cut-in-a-record"])
def test_an_end_that_is_none(pair: Pair, plain_pod: Pod, ending: str) -> None:
    """A fatal alert, and bytes that end without close_notify, are a reset for the application."""
    with calling(pair, plain_pod) as (records, server):
        records.send(b"ping")
        assert records.receive_data(4) == b"ping"
        if ending == "alert":
            records.send(bytes([2, 80]), ALERT)
        elif ending == "cut-in-a-record":
            records.raw.sendall(records.seal(b"x" * 1000)[:500])
        records.raw.shutdown(socket.SHUT_WR)
        wait_until(lambda: server.errors == ["ConnectionResetError"], "the reset at the application")


@pytest.mark.spec("6.tcp-records")
def test_what_comes_with_the_handshake_is_not_lost(pair: Pair, plain_pod: Pod) -> None:
    """Data in one packet with the end of the handshake, from a client that ends at once."""

    def swallow(server: Server, connection: socket.socket) -> None:
        while data := connection.recv(65536):
            server.heard += data

    set_up(pair)
    with serving(pair.server.pod, swallow) as server:
        raw = plain_pod.connect(pair.server.pod.address, TCP_PORT, 30)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        load(context, pair.issue(CLIENT))
        context.set_alpn_protocols(["nsm/1"])
        peer, _, outgoing = shake_hands(raw, context)
        peer.write(b"at once " * 5000)
        with suppress(ssl.SSLWantReadError):
            peer.unwrap()
        with raw:
            raw.sendall(outgoing.read())
            wait_until(lambda: bytes(server.heard) == b"at once " * 5000, "what came with the handshake")
    assert server.errors == []


@pytest.mark.spec("6.tcp-records")
def test_a_peer_that_reads_slowly(pair: Pair, plain_pod: Pod) -> None:
    """Records that the socket does not take wait in order, while bytes of the other direction go on."""
    size = 8 * 1024 * 1024
    block = random.Random(3).randbytes(size)

    def flood(server: Server, connection: socket.socket) -> None:
        sender = threading.Thread(target=connection.sendall, args=(block,))
        sender.start()
        server.heard += read_exactly(connection, 4)
        sender.join()
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""

    with calling(pair, plain_pod, flood) as (records, server):
        records.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        data = records.receive_data(1)
        records.send(b"ping")
        wait_until(lambda: bytes(server.heard) == b"ping", "what goes the other way")
        data += records.receive_data(size - len(data))
        assert data == block
        assert records.receive() == (ALERT, CLOSE_NOTIFY)
        records.send(CLOSE_NOTIFY, ALERT)
        records.raw.shutdown(socket.SHUT_WR)
        assert not is_reset(records.raw)
    assert server.errors == []
