"""Sizes and numbers that must change nothing: bodies of a gigabyte, endpoints that stall, paths without end (contract 6.stress)."""

import random
import socket
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.nginx import application, streams
from tests.nginx.conftest import APPLICATION_PORT, SERVER, SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.load import running
from tests.nginx.processes import most_memory_kib
from tests.nginx.scripted import read_head
from tests.nginx.sidecar import wait_until

MEBIBYTE = 1 << 20
GROWTH_KIB = 16 * 1024
BULK_PORT = 8103
SOAK = [pytest.mark.soak, pytest.mark.timeout(3600)]


def bulk(_: streams.Server, connection: socket.socket) -> None:
    """Take a body of the announced length, or give one: the number is the path's."""
    block = bytes(256 * 1024)
    while head := read_head(connection):
        size = int(head.split()[1].rpartition(b"/")[2])
        if head.startswith(b"PUT"):
            while size and (part := connection.recv(min(size, len(block)))):
                size -= len(part)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            continue
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _block in range(size // len(block)):
            connection.sendall(block)


@pytest.mark.spec("6.stress")
@pytest.mark.parametrize("size", [pytest.param(64, id="short"), pytest.param(1024, id="long", marks=SOAK)])
def test_bodies_of_any_size_take_no_memory(pair: Pair, size: int) -> None:
    """So many MiB up and down, without a limit: what both workers ever held grows by less than 16 MiB."""
    pair.server.apply(Document(settings={"client_max_body_size": 0}, incoming={BULK_PORT: "http"}))
    pair.client.apply(pair.client_document(endpoints=[To(pair.server.pod.address, BULK_PORT, SERVER_ID)]))
    workers = [pair.client.worker_pid, pair.server.worker_pid]
    block = bytes(MEBIBYTE)

    def upload(connection: socket.socket, blocks: int) -> None:
        head = b"PUT /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % (blocks * MEBIBYTE, blocks * MEBIBYTE))
        for _ in range(blocks):
            connection.sendall(block)
        assert read_head(connection).startswith(b"HTTP/1.1 200")

    def download(connection: socket.socket, blocks: int) -> None:
        connection.sendall(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % (blocks * MEBIBYTE))
        assert read_head(connection).startswith(b"HTTP/1.1 200")
        left = blocks * MEBIBYTE
        while left:
            part = connection.recv(min(left, MEBIBYTE))
            assert part
            left -= len(part)

    with (
        streams.serving(pair.server.pod, bulk, BULK_PORT),
        pair.client.pod.connect(pair.service, 80, timeout=300) as connection,
    ):
        upload(connection, 1)
        download(connection, 1)
        before = [most_memory_kib(pid) for pid in workers]
        upload(connection, size)
        download(connection, size)
        grown = [most_memory_kib(pid) - start for pid, start in zip(workers, before, strict=True)]
    print(f"KiB that the workers (client, server) grew by over {size} MiB in each direction: {grown}")
    assert max(grown) < GROWTH_KIB


@contextmanager
def stalled(pair: Pair, address: str, count: int) -> Iterator[application.Application]:
    """So many requests to another Service, whose application answers none until the end."""
    with application.serve(pair.server.pod, BULK_PORT) as app, ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(pair.client.pod.connect(address, 81, timeout=120))
            connection.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: len(app.requests) == count, "the requests at the application", 120)
        yield app
        app.release.set()


@pytest.mark.spec("6.stress")
@pytest.mark.parametrize(
    ("count", "requests", "rounds"),
    [pytest.param(50, 100, 1, id="short"), pytest.param(200, 6000, 4, id="long", marks=SOAK)],
)
def test_an_application_that_stalls_holds_up_nobody_else(pair: Pair, count: int, requests: int, rounds: int) -> None:
    """While requests to one Service get no answer, those to another do, by the same workers; the long run says how fast."""
    incoming = {APPLICATION_PORT: "http", BULK_PORT: "http"}
    pair.server.apply(Document(incoming=incoming), pair.issue(SERVER))
    slow = To(pair.server.pod.address, BULK_PORT, SERVER_ID)
    pair.client.apply(pair.client_document().service("shop/slow", pair.service, 81, [slow]))
    quiet: list[float] = []
    beside: list[float] = []
    for _ in range(rounds):
        with running(pair.caller) as load:
            load.more(requests // 2)
            quiet += load.seconds
            with stalled(pair, pair.service, count):
                begin = len(load.seconds)
                load.more(requests // 2, 600)
                beside += load.seconds[begin:]
        assert load.failures == []
    ratios = [percentile(beside, of) / percentile(quiet, of) for of in (50, 99)]
    print(f"beside {count} requests without an answer: p50 {ratios[0]:.2f}, p99 {ratios[1]:.2f} of the quiet ones")


def percentile(seconds: list[float], of: int) -> float:
    """A value under which so many of a hundred lie."""
    return statistics.quantiles(seconds, n=100)[of - 1]


@pytest.mark.spec("6.stress")
@pytest.mark.parametrize("count", [pytest.param(2_000, id="short"), pytest.param(100_000, id="long", marks=SOAK)])
def test_series_do_not_grow_with_what_callers_make_up(pair: Pair, count: int) -> None:
    """Methods of nobody, another path, query and Host in each request: not one series of metrics more."""
    made = random.Random(20261121)
    endpoint = To(pair.server.pod.address, BULK_PORT, SERVER_ID)
    pair.server.apply(Document(incoming={BULK_PORT: "http"}))
    pair.client.apply(pair.client_document(endpoints=[endpoint]))

    def ask(connection: socket.socket, method: bytes, number: int) -> None:
        name = b"%x" % made.getrandbits(64)
        connection.sendall(method + b" /%d/%s?%s HTTP/1.1\r\nHost: %s.shop\r\n\r\n" % (number, name, name, name))

    with (
        streams.serving(pair.server.pod, no_content, BULK_PORT),
        pair.client.pod.connect(pair.service, 80, timeout=60) as connection,
    ):
        for method in (b"GET", b"QUERY"):
            ask(connection, method, 0)
            read_head(connection)
        before = [set(sidecar.metrics()) for sidecar in (pair.client, pair.server)]
        batch = 50
        for start in range(0, count, batch):
            for number in range(start, start + batch):
                method = made.choice(
                    [b"GET", b"BREW", b"%s" % bytes(made.choices(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=12))]
                )
                ask(connection, method, number)
            for _ in range(batch):
                assert read_head(connection).startswith(b"HTTP/1.1 204")
        after = [set(sidecar.metrics()) for sidecar in (pair.client, pair.server)]
    for early, late in zip(before, after, strict=True):
        # Buckets of response times appear as they are needed; they are bounded by themselves.
        assert {name for name in late - early if 'le="' not in name} == set()


def no_content(_: streams.Server, connection: socket.socket) -> None:
    """204 to each request."""
    while data := connection.recv(65536):
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n" * data.count(b"\r\n\r\n"))
