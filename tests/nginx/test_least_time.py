"""The balancing methods that look at times, in real time: long runs, for a machine that does nothing else (contract 6.balancing-laws)."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.nginx import streams
from tests.nginx.conftest import SERVER_ID, SERVICE_PORT, Pair
from tests.nginx.documents import Document, To

PORT = 8104
CALLERS, EACH = 4, 500
SHARE = 0.7
FAST_MS, SLOW_MS = 5, 20
BY_TIME = (
    "least_time",
    "least_time last_byte",
    "least_time last_byte inflight",
    "random two least_time",
    "random two least_time=last_byte",
)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("method", BY_TIME)
@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_the_faster_of_two_applications_gets_most(pair: Pair, protocol: str, method: str) -> None:
    """5 ms against 20 ms, in real time through NGINX: at least 70 % of 2,000 requests, or connections, of four callers."""
    picks = dict.fromkeys(pair.server.pod.addresses[:2], 0)
    fast = pair.server.pod.addresses[0]
    guard = threading.Lock()

    def answer(_: streams.Server, connection: socket.socket) -> None:
        while connection.recv(65536):
            address = connection.getsockname()[0]
            with guard:
                picks[address] += 1
            time.sleep((FAST_MS if address == fast else SLOW_MS) / 1000)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def requests(_: int) -> None:
        with pair.caller() as client:
            for _ in range(EACH):
                assert client.request("GET", "/").status == 204

    def connections(_: int) -> None:
        for _ in range(EACH):
            with pair.client.pod.connect(pair.service, SERVICE_PORT) as connection:
                connection.sendall(b"x")
                assert connection.recv(100)

    endpoints = [To(address, PORT, SERVER_ID) for address in picks]
    pair.server.apply(Document(incoming={PORT: protocol}))
    pair.client.apply(Document().service("shop/server", pair.service, SERVICE_PORT, endpoints, protocol, method))
    with streams.serving(pair.server.pod, answer, PORT), ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(requests if protocol == "http" else connections, range(CALLERS)))
    share = picks[fast] / sum(picks.values())
    print(f"{method}, {protocol}: {share:.1%} of {sum(picks.values())} to {FAST_MS} ms against {SLOW_MS} ms")
    assert sum(picks.values()) >= CALLERS * EACH
    assert share >= SHARE
