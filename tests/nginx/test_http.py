"""HTTP/1.1 passes as it is: bodies, streams, upgrades, headers, limits (contract 6.http)."""

import base64
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.fakes.authority import Authority
from tests.nginx.conftest import APPLICATION_PORT, CLIENT, SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.network import Pod
from tests.nginx.processes import private_kib
from tests.nginx.sidecar import Client, wait_until

MEGABYTE = 1 << 20


def unlimited(pair: Pair, limit: int = 0) -> None:
    """Let bodies of *limit* bytes in; 0 is any."""
    pair.server.apply(Document(settings={"client_max_body_size": limit}, incoming={APPLICATION_PORT: "http"}))


@pytest.mark.spec("6.http")
@pytest.mark.parametrize("chunked", [False, True])
def test_large_body_is_streamed(pair: Pair, chunked: bool) -> None:
    """32 MiB arrive unchanged and leave no file behind."""
    unlimited(pair)
    content = os.urandom(MEGABYTE)

    def parts() -> Iterator[bytes]:
        for _ in range(32):
            yield content

    headers = {} if chunked else {"Content-Length": str(32 * MEGABYTE)}
    with pair.caller(timeout=60) as caller:
        echo = caller.request("PUT", "/", parts(), headers, encode_chunked=chunked).echo
    assert echo["body_length"] == 32 * MEGABYTE
    assert echo["body_sha256"] == hashlib.sha256(content * 32).hexdigest()
    for sidecar in (pair.client, pair.server):
        assert [path for path in sidecar.directory.rglob("temp_*/*") if path.is_file()] == []


@pytest.mark.spec("6.http")
def test_response_is_not_held_back(pair: Pair) -> None:
    """Each chunk arrives before the application sends the next."""
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(b"GET /chunked HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        for number in range(3):
            while b"chunk %d" % number not in data:
                part = connection.recv(4096)
                assert part
                data += part
            pair.app.next_chunk.release()
        while not data.endswith(b"0\r\n\r\n"):
            data += connection.recv(4096)
    assert data.startswith(b"HTTP/1.1 200")


@contextmanager
def upgraded(pair: Pair, way: tuple[Pod, str, int] | None = None) -> Iterator[Callable[[bytes], bytes]]:
    """An upgraded connection to the Service, or from a pod to an address and port: a message in, its echo out."""
    key = base64.b64encode(os.urandom(16))
    pod, address, port = way or (pair.client.pod, pair.service, 80)
    with pod.connect(address, port) as connection:
        connection.sendall(
            b"GET /websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101")

        def echo(message: bytes) -> bytes:
            connection.sendall(message)
            data = b""
            while len(data) < len(message):
                part = connection.recv(4096)
                assert part, "the connection was closed"
                data += part
            return data

        yield echo


@pytest.mark.spec("6.http")
def test_websocket(pair: Pair) -> None:
    """An upgraded connection carries bytes both ways."""
    with upgraded(pair) as echo:
        for message in (b"one", b"two" * 1000):
            assert echo(message) == message


@pytest.mark.spec("6.http")
def test_headers_pass_as_they_are(pair: Pair) -> None:
    """Host with its port, underscores, repeated names; nothing is added but the caller's identity."""
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(
            b"GET /x//a/../b%2Fc?d HTTP/1.1\r\nHost: shop.example:80\r\nunder_score: 1\r\nTwice: 1\r\nTwice: 2\r\n"
            b"X-Mesh-Request-ID: r-1\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        )
        data = b""
        while part := connection.recv(4096):
            data += part
    body = data.partition(b"\r\n\r\n")[2].decode()
    assert '"path": "/x//a/../b%2Fc?d"' in body
    sent = [
        ("Host", "shop.example:80"),
        ("under_score", "1"),
        ("Twice", "1"),
        ("Twice", "2"),
        ("X-Mesh-Request-ID", "r-1"),
    ]
    for name, value in sent:
        assert f'["{name}", "{value}"]' in body
    assert "X-Forwarded" not in body
    assert "X-Real" not in body


@pytest.mark.spec("6.http")
def test_responses_of_the_application_pass(pair: Pair) -> None:
    """Its own errors are not replaced, its Server header is kept."""
    with pair.caller() as caller:
        for status in (204, 301, 404, 502, 503):
            response = caller.request("GET", f"/status/{status}")
            assert response.status == status
            assert response.headers["Server"].startswith("BaseHTTP")


@pytest.mark.spec("6.body-size")
def test_body_limit_changes_at_run_time(pair: Pair) -> None:
    """Announced and chunked bodies over the limit get 413, at the limit they pass; 0 takes any."""
    with pair.caller() as caller:
        assert caller.request("POST", "/", b"x" * MEGABYTE).status == 200
        assert caller.request("POST", "/", b"x" * (MEGABYTE + 1)).status == 413
    unlimited(pair, 10)
    with pair.caller() as caller:
        assert caller.request("POST", "/", iter([b"x" * 10]), encode_chunked=True).status == 200
        assert caller.request("POST", "/", iter([b"x" * 6, b"x" * 5]), encode_chunked=True).status == 413
    unlimited(pair)
    with pair.caller() as caller:
        assert caller.request("POST", "/", b"x" * 2 * MEGABYTE).status == 200
    assert pair.server.refusals("incoming", "body_too_large") == 2


@pytest.mark.spec("6.http")
def test_bad_requests_are_refused_not_smuggled(pair: Pair) -> None:
    """Duplicate Host, both lengths, two lengths, none, an unknown coding: refused at the caller's own sidecar."""
    for request in (
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    ):
        with pair.client.pod.connect(pair.service, 80) as connection:
            connection.sendall(request)
            assert connection.recv(100).split()[1] in {b"400", b"501"}, request
    assert pair.app.requests == []


STEPS = [
    pytest.param((2_000, 4_000, 4_000), id="short"),
    pytest.param((200_000, 4_900_000, 4_900_000), id="long", marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
]


@pytest.mark.spec("6.memory")
@pytest.mark.parametrize("steps", STEPS)
def test_memory_of_a_long_connection(pair: Pair, steps: tuple[int, ...]) -> None:
    """Requests on one connection: the workers' private memory does not grow after the first thousands."""
    sizes: list[list[int]] = []
    total = 0
    endpoint = To(pair.server.pod.address, 8101, SERVER_ID)
    pair.server.apply(Document(incoming={8101: "http"}))
    pair.client.apply(pair.client_document(endpoints=[endpoint]))
    with fast_server(pair.server.pod, 8101), pair.client.pod.connect(pair.service, 80, timeout=60) as connection:
        for requests in steps:
            pipeline(connection, requests)
            total += requests
            sizes.append([private_kib(sidecar.worker_pid) for sidecar in (pair.client, pair.server)])
    print(f"private KiB of the workers (client, server) over {total} requests on one connection: {sizes}")
    for before, after in zip(sizes[1], sizes[2], strict=True):
        assert after - before < 256


@pytest.mark.spec("6.memory")
def test_memory_of_many_changes(pair: Pair) -> None:
    """Tables of 500 endpoints, SVIDs and bundles come and go: private memory does not grow."""
    tables = []
    for second in (1, 2):
        endpoints = [
            To(f"10.{second}.{n >> 8}.{n & 255}", 8080, f"spiffe://example.org/s/{n % 50}") for n in range(500)
        ]
        tables.append(pair.client_document().service("big/service", "10.200.0.1", 80, endpoints))
    issued = [pair.issue(CLIENT), pair.issue(CLIENT)]
    roots = [(pair.authority.bundle,), (pair.authority.bundle, Authority().bundle)]
    sizes = []
    with pair.caller() as caller:
        for _ in range(3):
            for number in range(100):
                pair.client.apply(tables[number % 2], issued[number % 2], roots[number % 2])
                assert caller.request("GET", "/").status == 200
            sizes.append(private_kib(pair.client.worker_pid))
    print(f"private KiB of the worker after 100, 200, 300 changes: {sizes}")
    assert sizes[2] - sizes[1] < 256


@contextmanager
def fast_server(pod: Pod, port: int) -> Iterator[None]:
    """Answers each read with 204, as fast as Python can."""
    listener = pod.listener(port)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                while connection.recv(4096):
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def pipeline(connection: socket.socket, requests: int) -> None:
    """Send requests in batches and read as many answers."""
    batch = 100
    for _ in range(requests // batch):
        connection.sendall(b"GET /status/204 HTTP/1.1\r\nHost: x\r\n\r\n" * batch)
        seen, rest = 0, b""
        while seen < batch:
            part = connection.recv(65536)
            assert part
            rest += part
            seen += rest.count(b"\r\n\r\n")
            rest = rest[rest.rfind(b"\r\n\r\n") + 4 :] if b"\r\n\r\n" in rest else rest


@pytest.mark.spec("6.http")
def test_caller_that_goes_away(pair: Pair) -> None:
    """An abandoned request ends at the application's side, too; nothing stays open."""
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: "/hang" in pair.app.requests, "the request")
    for sidecar in (pair.client, pair.server):
        wait_until(lambda s=sidecar: s.metrics()["nginxplus_connections_active"] == 0, "the end")  # type: ignore[misc]


@pytest.mark.spec("6.http")
def test_one_connection_many_methods(pair: Pair) -> None:
    """Keep-alive holds over methods, bodies and errors."""
    client: Client
    with pair.caller() as client:
        client.request("GET", "/")
        first = client.connection.sock
        for method, path in (("POST", "/"), ("DELETE", "/status/204"), ("PUT", "/status/500"), ("GET", "/status/404")):
            client.request(method, path, b"body" if method in {"POST", "PUT"} else None)
        assert client.connection.sock is first
