"""TLS of a peer's HTTP after its handshake: our record layer under nginx's HTTP, records by hand at the other end (contract 6.http-records)."""

import os
import random
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.nginx.conftest import APPLICATION_PORT, CLIENT, CLIENT_ID, Pair
from tests.nginx.memory_tls import shake_hands
from tests.nginx.network import Pod
from tests.nginx.peers import Peer
from tests.nginx.records import ALERT, CLOSE_NOTIFY, DATA, HANDSHAKE, Records
from tests.nginx.scripted import PORT, serving
from tests.nginx.sidecar import wait_until
from tests.nginx.test_mutual_tls import load
from tests.nginx.test_tcp_records import FAULTS

GET = b"GET /status/200 HTTP/1.1\r\nHost: server\r\n\r\n"
LAST = b"GET /status/200 HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n"
LARGE = 4 << 20


@contextmanager
def calling(pair: Pair, pod: Pod, port: int = APPLICATION_PORT) -> Iterator[Records]:
    """A peer by hand that has called the server's sidecar."""
    raw = pod.connect(pair.server.pod.address, port, 30)
    with Records(raw, pair.issue(CLIENT), alpn="http/1.1") as records:
        yield records


def head(records: Records, data: bytes = b"") -> tuple[bytes, bytes]:
    """An answer's head, and what came behind it."""
    while b"\r\n\r\n" not in data:
        data += records.receive_data(1)
    before, _, behind = data.partition(b"\r\n\r\n")
    return before, behind


def answer(records: Records, data: bytes = b"") -> tuple[bytes, bytes]:
    """An answer's body of the length that it says, and what came behind it."""
    before, body = head(records, data)
    [length] = [int(line[16:]) for line in before.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    if len(body) < length:
        body += records.receive_data(length - len(body))
    return body[:length], body[length:]


def until_the_end(records: Records) -> tuple[bytes, tuple[int, bytes] | None]:
    """All data, and the alert behind it, if there is one."""
    data = b""
    with suppress(EOFError, ConnectionResetError):
        while True:
            kind, content = records.receive()
            if kind == ALERT:
                return data, (kind, content)
            assert kind == DATA
            data += content
    return data, None


@pytest.mark.spec("6.http-records")
def test_records_of_every_size_and_new_keys(pair: Pair, plain_pod: Pod) -> None:
    """A body in records of any size, padded and not, in pieces that respect no border; a new key is answered with one."""
    numbers = random.Random(5)
    with calling(pair, plain_pod) as records:
        for number, size in enumerate(
            [0, 1, 15, 255, 8191, 8192, 8193, 16383, 16384, *numbers.sample(range(70000), 20)]
        ):
            content = numbers.randbytes(size)
            request = b"POST / HTTP/1.1\r\nHost: server\r\nContent-Length: %d\r\n\r\n" % size + content
            wire = b""
            while request:
                part = numbers.choice((1, 100, 5000, 16384))
                padding = numbers.choice((0, 1, 255)) if part < 16000 else 0
                wire += records.seal(request[:part], padding=padding)
                request = request[part:]
                if numbers.random() < 0.2:
                    wire += records.update(wants_answer=False)
            cut = numbers.randrange(len(wire))
            records.raw.sendall(wire[:cut])
            records.raw.sendall(wire[cut:])
            body, behind = answer(records)
            assert (b'"body_length": %d' % size) in body, number
            assert behind == b""
        records.raw.sendall(records.update(wants_answer=True) + records.seal(GET))
        assert records.receive() == (HANDSHAKE, bytes([24, 0, 0, 1, 0]))
        assert answer(records) == (b"as asked", b"")
    assert pair.server.handshakes("incoming", "ok") == 1


@pytest.mark.spec("6.http-records")
def test_many_requests_at_once(pair: Pair, plain_pod: Pod) -> None:
    """More of them than are read at once, in few large records: each is answered."""
    count = 2000
    with calling(pair, plain_pod) as records:
        requests = GET * count
        for start in range(0, len(requests), 16384):
            records.send(requests[start : start + 16384])
        behind = b""
        for _ in range(count):
            body, behind = answer(records, behind)
            assert body == b"as asked"
    assert behind == b""


@pytest.mark.spec("6.http-records")
@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_peer_may_not_send(pair: Pair, plain_pod: Pod, fault: str) -> None:
    """It is told by the right alert, and the connection ends; others go on."""
    with calling(pair, plain_pod) as records:
        records.send(GET)
        assert answer(records) == (b"as asked", b"")
        make, alert = FAULTS[fault]
        records.raw.sendall(make(records))
        assert until_the_end(records) == (b"", (ALERT, bytes([2, alert])))
        assert records.raw.recv(1) == b""
    with calling(pair, plain_pod) as records:
        records.send(GET)
        assert answer(records) == (b"as asked", b"")


@pytest.mark.spec("6.http-records")
def test_the_last_answer_ends_with_close_notify(pair: Pair, plain_pod: Pod) -> None:
    """After all of it, whether its length is said or not."""
    with calling(pair, plain_pod) as records:
        records.send(GET)
        assert answer(records) == (b"as asked", b"")
        records.send(LAST)
        data, end = until_the_end(records)
        assert data.endswith(b"as asked")
        assert end == (ALERT, CLOSE_NOTIFY)
    with (
        serving(pair, {"/": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"}),
        calling(pair, plain_pod, PORT) as records,
    ):
        records.send(b"GET / HTTP/1.0\r\nHost: server\r\n\r\n")
        data, end = until_the_end(records)
        assert data.endswith(b"whole")
        assert end == (ALERT, CLOSE_NOTIFY)


@pytest.mark.spec("6.http-records")
def test_an_answer_that_breaks_off_has_no_end(pair: Pair, plain_pod: Pod) -> None:
    """What the application did not finish never looks complete."""
    with serving(pair, {}) as script, calling(pair, plain_pod, PORT) as records:
        script.once["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
        records.send(b"GET / HTTP/1.0\r\nHost: server\r\n\r\n")
        data, end = until_the_end(records)
        assert data.endswith(b"half")
        assert end is None


@pytest.mark.spec("6.http-records")
def test_an_idle_connection_that_the_sidecar_ends(pair: Pair, plain_pod: Pod) -> None:
    """It says so."""
    with calling(pair, plain_pod) as records:
        records.send(GET)
        assert answer(records) == (b"as asked", b"")
        worker = pair.server.worker_pid
        os.kill(worker, signal.SIGQUIT)
        assert until_the_end(records) == (b"", (ALERT, CLOSE_NOTIFY))
    wait_until(lambda: pair.server.worker_pids() not in ([], [worker]), "a new worker")
    pair.server.replaced_worker()


@pytest.mark.spec("6.http-records")
@pytest.mark.parametrize("ending", ["close_notify", "nothing", "a part of a record"])
def test_a_peer_that_ends(pair: Pair, plain_pod: Pod, ending: str) -> None:
    """An idle connection ends at once, however its peer says it; a request before it is answered."""
    with calling(pair, plain_pod) as records:
        records.send(GET)
        assert answer(records) == (b"as asked", b"")
        if ending == "close_notify":
            records.send(CLOSE_NOTIFY, ALERT)
        elif ending != "nothing":
            records.raw.sendall(records.seal(GET)[:30])
        records.raw.shutdown(socket.SHUT_WR)
        data, _ = until_the_end(records)
        assert data == b""
    wait_until(lambda: pair.server.metrics()["nginxplus_connections_active"] == 0, "its end")


@pytest.mark.spec("6.http-records")
def test_what_comes_with_the_handshake_is_not_lost(pair: Pair, plain_pod: Pod) -> None:
    """Requests in one packet with the end of the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    load(context, pair.issue(CLIENT))
    with plain_pod.connect(pair.server.pod.address, APPLICATION_PORT, 30) as raw:
        peer, incoming, outgoing = shake_hands(raw, context)
        peer.write(GET * 500 + LAST)
        raw.sendall(outgoing.read())
        data = b""
        while part := raw.recv(65536):
            incoming.write(part)
            with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                while part := peer.read(65536):
                    data += part
    assert data.count(b"as asked") == 501


@pytest.mark.spec("6.http-records")
def test_a_peer_that_reads_slowly(pair: Pair, plain_pod: Pod) -> None:
    """Records that the socket does not take wait in order; the connection goes on after them."""
    with calling(pair, plain_pod) as records:
        records.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        for _ in range(2):
            records.send(b"GET /large HTTP/1.1\r\nHost: server\r\n\r\n")
            before, body = head(records)
            assert before.startswith(b"HTTP/1.1 200")
            assert body + records.receive_data(LARGE - len(body)) == bytes(LARGE)
            records.send(GET)
            assert answer(records) == (b"as asked", b"")


@pytest.mark.spec("6.http-records", "3.mtls")
def test_who_calls_is_remembered(pair: Pair, plain_pod: Pod) -> None:
    """Each request of a connection, and its line in the log, has the identity that the handshake proved."""
    with Peer(plain_pod, pair.server.pod.address, APPLICATION_PORT, pair.issue(CLIENT)) as peer:
        for _ in range(3):
            assert peer.ask().echo["headers"]["x-mesh-peer-identity"] == CLIENT_ID
    wait_until(lambda: len(pair.server.log_lines()) == 3, "the lines in the access log")
    for line in pair.server.log_lines():
        assert f'peer="{CLIENT_ID}" tls="TLSv1.3" cipher="TLS_AES_' in line
