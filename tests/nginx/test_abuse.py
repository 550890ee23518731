"""Requests that mean harm: answered with 4xx or a closed connection, and nobody else is disturbed (contract 6.abuse)."""

import re
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest

from tests.nginx import bystanders, http2
from tests.nginx.conftest import APPLICATION_PORT, SERVER, Pair
from tests.nginx.documents import Document, To
from tests.nginx.network import Pod
from tests.nginx.sidecar import Client, wait_until
from tests.nginx.test_modes import read_all

GRPC_PORT = 9095
HOST = b"Host: shop\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: shop\r\n\r\n"
CHUNKED = b"0\r\n\r\n" + SMUGGLED


def post(headers: bytes, body: bytes = CHUNKED) -> bytes:
    """A POST with these header lines."""
    return b"POST / HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


MALFORMED = {
    "length and coding": post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    "coding and length": post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    "two lengths": post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello" + SMUGGLED),
    "list of lengths": post(b"Content-Length: 5, 5\r\n", b"hello" + SMUGGLED),
    "signed length": post(b"Content-Length: +5\r\n", b"hello" + SMUGGLED),
    "negative length": post(b"Content-Length: -1\r\n"),
    "two codings": post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
    "list of codings": post(b"Transfer-Encoding: gzip, chunked\r\n"),
    "unknown coding": post(b"Transfer-Encoding: xchunked\r\n"),
    "control character in a coding": post(b"Transfer-Encoding: \x0bchunked\r\n"),
    "space before a colon": post(b"Transfer-Encoding : chunked\r\n"),
    "folded line": post(b"X: a\r\n b: c\r\nTransfer-Encoding:\r\n chunked\r\n"),
    "coding in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "chunk size": post(b"Transfer-Encoding: chunked\r\n", b"0x5\r\nhello\r\n" + CHUNKED),
    "chunk without an end": post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhelloX0\r\n\r\n" + SMUGGLED),
    "huge chunk": post(b"Transfer-Encoding: chunked\r\n", b"fffffffffffffffff\r\n" + SMUGGLED),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: other\r\n\r\n",
    "bad host": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "another host than the URI's": b"GET http://other/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "another port than the URI's": b"GET http://shop:81/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "bare line feed after the request line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare line feed after a header": b"GET / HTTP/1.1\r\nHost: shop\nX: y\r\n\r\n",
    "bare line feed after the last header": b"GET / HTTP/1.1\r\nX: y\r\nHost: shop\n\r\n",
    "bare line feed as the empty line": b"GET / HTTP/1.1\r\n" + HOST + b"\n",
    "bare line feeds everywhere": b"GET / HTTP/1.1\nHost: shop\n\n",
    "no version": b"GET /\r\n",
    "version": b"GET / HTTP/3.0\r\n" + HOST + b"\r\n",
    "NUL": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "header of 64 KiB": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 65536 + b"\r\n\r\n",
    "URI of 64 KiB": b"GET /" + b"x" * 65536 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "101 headers": b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: y\r\n" % n for n in range(100)) + b"\r\n",
}


@pytest.fixture
def target(pair: Pair) -> Pair:
    """The server takes plaintext, so that the test's own bytes reach its sidecar."""
    pair.set_up("permissive")
    return pair


@contextmanager
def nobody_is_disturbed(pair: Pair, plain_pod: Pod) -> Iterator[bystanders.Bystanders]:
    """Others' connections, with and without a sidecar, are served before, meanwhile and after, by the same worker."""
    worker = pair.server.worker_pid
    stranger = partial(Client, plain_pod, pair.server.pod.address, APPLICATION_PORT)
    with bystanders.served(stranger, pair.caller) as others:
        yield others
    assert pair.server.worker_pid == worker


@pytest.mark.spec("6.abuse")
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request(target: Pair, plain_pod: Pod, name: str) -> None:
    """4xx (501 for codings, 505 for versions) and a closed connection; the application sees nothing of it."""
    with nobody_is_disturbed(target, plain_pod):
        with plain_pod.connect(target.server.pod.address, APPLICATION_PORT) as connection:
            # The answer may come, and the connection end, before all is sent.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(MALFORMED[name])
            answer = read_all(connection)
        # HTTP/0.9 has no status line: the page says it.
        status = re.match(rb"HTTP/1\.1 (\d+)|<html>\r\n<head><title>(\d+)", answer)
        assert status, answer[:200]
        assert (status[1] or status[2]) in {b"400", b"414", b"431", b"501", b"505"}
        assert answer.count(b"HTTP/1.1 ") <= 1
    assert set(target.app.requests) <= {"/other", "/"}
    assert "/smuggled" not in target.app.requests


CHUNKS = {
    "bare line feed after a size": b"5\nhello\r\n" + CHUNKED,
    "bare line feed after data": b"5\r\nhello\n" + CHUNKED,
    "bare line feed after an extension": b"5;a\nhello\r\n" + CHUNKED,
    "bare line feed after the last size": b"0\n\r\n" + SMUGGLED,
    "bare line feed at the end": b"0\r\n\n" + SMUGGLED,
    "bare line feed after a trailer": b"0\r\nX: y\n\r\n" + SMUGGLED,
    "bare carriage return after a size": b"5\rhello\r\n" + CHUNKED,
    "bare carriage return in an extension": b"5;a\rb\r\nhello\r\n" + CHUNKED,
    "bare carriage return in a trailer": b"0\r\nX: a\rb\r\n\r\n" + SMUGGLED,
    "NUL in an extension": b"5;a\0b\r\nhello\r\n" + CHUNKED,
    "folded trailer": b"0\r\n X: y\r\n\r\n" + SMUGGLED,
    "negative size": b"-5\r\nhello\r\n" + CHUNKED,
    "signed size": b"+5\r\nhello\r\n" + CHUNKED,
    "no size": b"\r\nhello\r\n" + CHUNKED,
    "space before a size": b" 5\r\nhello\r\n" + CHUNKED,
    "size of other letters": b"5g\r\nhello\r\n" + CHUNKED,
    "size over 64 bits": b"10000000000000005\r\nhello\r\n" + CHUNKED,
    "size over 63 bits": b"8000000000000000\r\n" + SMUGGLED,
    "too much data": b"5\r\nhello!\r\n" + CHUNKED,
    "extension without end": b"5;" + b"x" * 20_000 + b"\r\nhello\r\n" + CHUNKED,
    "trailers without end": b"0\r\n" + b"X: y\r\n" * 5_000 + b"\r\n" + SMUGGLED,
}
FRAMED = [
    b"5\r\nhello\r\n0\r\n\r\n",
    b"0005\r\nhello\r\n000\r\n\r\n",
    b'5;a=b;c="d;e"\r\nhello\r\n0;last\r\n\r\n',
    b"5 ; a\r\nhello\r\n0\r\n\r\n",
    b"1\r\nh\r\n4\r\nello\r\n0\r\nX: y\r\nZ:\r\n\r\n",
    b"0005\r\n\r\n\r\n\r\r\n0\r\n\r\n",
]


def send_framed(connection: socket.socket, chunks: bytes, slowly: bool) -> None:
    """A POST of these chunks: all at once, or when the sidecar is ready to read them, in single bytes at first."""
    expected = b"Expect: 100-continue\r\n" if slowly else b""
    head = b"POST /framed HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n" + expected + b"\r\n"
    if slowly:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        head = b""
    with suppress(BrokenPipeError, ConnectionResetError):
        for byte in chunks[: 50 * slowly]:
            connection.sendall(bytes([byte]))
        connection.sendall(head + chunks[50 * slowly :])


@pytest.mark.spec("6.abuse")
@pytest.mark.parametrize("slowly", [False, True])
def test_malformed_chunks(target: Pair, plain_pod: Pod, slowly: bool) -> None:
    """4xx or a closed connection, and no second request, whether the chunks come with the headers or after them."""
    with nobody_is_disturbed(target, plain_pod):
        for name, chunks in CHUNKS.items():
            with plain_pod.connect(target.server.pod.address, APPLICATION_PORT) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                send_framed(connection, chunks, slowly)
                answer = read_all(connection)
            assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413")), (name, answer[:100])
            assert answer.count(b"HTTP/1.1 ") <= 1, name
    assert "/smuggled" not in target.app.requests
    assert target.server.refusals("incoming", "malformed") == len(CHUNKS)


@pytest.mark.spec("6.http")
@pytest.mark.parametrize("slowly", [False, True])
def test_chunks_in_every_allowed_form(target: Pair, plain_pod: Pod, slowly: bool) -> None:
    """Extensions, zeros before a size and trailers are nothing to the application; the next request follows at once."""
    for chunks in FRAMED:
        with plain_pod.connect(target.server.pod.address, APPLICATION_PORT) as connection:
            send_framed(connection, chunks + b"GET /next HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", slowly)
            answers = read_all(connection)
        assert answers.count(b"HTTP/1.1 200") == 2, chunks
        assert answers.count(b'"body_length": 5') == 1, chunks
    assert target.app.requests == ["/framed", "/next"] * len(FRAMED)


@pytest.mark.spec("6.abuse")
def test_hundred_headers_pass(target: Pair, plain_pod: Pod) -> None:
    """The limits leave room for what people send."""
    request = b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 300) for n in range(95))
    request += b"Empty:\r\nBlank:   \r\nTrailing: x  \r\nConnection: close\r\n\r\n"
    with plain_pod.connect(target.server.pod.address, APPLICATION_PORT) as connection:
        connection.sendall(request)
        assert read_all(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.spec("6.abuse")
@pytest.mark.parametrize("chunked", [False, True])
def test_body_over_the_limit_ends_clean(target: Pair, plain_pod: Pod, chunked: bool) -> None:
    """413 arrives whole, without a reset, while the body is still being sent."""
    body = b"x" * (2 << 20)
    head = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % len(body)
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    with (
        nobody_is_disturbed(target, plain_pod),
        plain_pod.connect(target.server.pod.address, APPLICATION_PORT) as connection,
    ):
        connection.sendall(post(head + b"Connection: close\r\n", sent))
        data = b""
        while part := connection.recv(4096):
            data += part
        assert data.startswith(b"HTTP/1.1 413")
        assert data.rstrip().endswith(b"</html>")
    assert target.server.refusals("incoming", "body_too_large") == 1


@contextmanager
def grpc_target(pair: Pair, mode: str = "permissive") -> Iterator[None]:
    """An HTTP/2 application behind the server's sidecar, beside the other."""
    incoming = {APPLICATION_PORT: "http", GRPC_PORT: "grpc"}
    pair.server.apply(Document(mode=mode, incoming=incoming), pair.issue(SERVER))
    with http2.serve(pair.server.pod, GRPC_PORT):
        yield


@pytest.mark.spec("6.abuse")
def test_rapid_reset(target: Pair, plain_pod: Pod) -> None:
    """10,000 streams that are opened and reset at once: that connection is ended, another is not."""
    address = target.server.pod.address
    with (
        grpc_target(target),
        nobody_is_disturbed(target, plain_pod),
        http2.connected(plain_pod, address, GRPC_PORT) as other,
        http2.connected(plain_pod, address, GRPC_PORT) as attacker,
    ):
        assert other.answer(other.send()).headers[":status"] == "200"
        ended_after = reset_streams(attacker, 10_000)
        assert ended_after < 10_000
        assert other.answer(other.send()).headers[":status"] == "200"
        assert not other.closed
        wait_until(lambda: target.server.status()["ready"], "an answer")


def reset_streams(attacker: http2.Http2, count: int) -> int:
    """Open and reset, 100 at a time, until the other side ends the connection; give how many there were."""
    for number in range(0, count, 100):
        try:
            for _ in range(100):
                attacker.connection.reset_stream(attacker.begin(), 8)
            attacker.flush()
            while select.select([attacker.socket], [], [], 0)[0] and not attacker.closed:
                attacker.read()
        except OSError:
            return number
        if attacker.closed or attacker.told_to_go:
            return number
    attacker.socket.shutdown(socket.SHUT_WR)
    return count


@pytest.mark.spec("6.abuse")
def test_calls_that_are_cancelled_now_and_then(target: Pair) -> None:
    """A caller may reset 500 streams, a hundred at once: its connection stays."""
    with grpc_target(target):
        endpoints = [To(target.server.pod.address, GRPC_PORT)]
        document = Document(mode="permissive").service("shop/server", target.service, 80, endpoints, "grpc")
        target.client.apply(document)
        with http2.connected(target.client.pod, target.service, 80) as caller:
            for _ in range(5):
                for _ in range(100):
                    caller.connection.reset_stream(caller.begin(), 8)
                caller.flush()
                assert caller.answer(caller.send()).headers[":status"] == "200"
            assert not caller.told_to_go


@pytest.mark.spec("6.abuse")
def test_oversized_and_doubled_headers_of_http2(target: Pair, plain_pod: Pod) -> None:
    """As in HTTP/1.1: refused, and the application sees nothing of it."""
    address = target.server.pod.address
    oversized = [[("x", "y" * 65536)], [(f"x-{n}", "y") for n in range(100)], [("host", "other"), ("host", "third")]]
    with grpc_target(target), nobody_is_disturbed(target, plain_pod):
        for headers in oversized:
            with http2.connected(plain_pod, address, GRPC_PORT) as client:
                answer = client.answer(client.send(headers=headers))
                assert answer.headers.get(":status", "") in {"400", "431", ""}, headers[0][0]
