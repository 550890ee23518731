"""A scrape of a sidecar that has called very many endpoints is written a little at a time (contract 8.scrape)."""

import os
import re
import socket
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh.api import names
from tests.fakes.authority import Authority
from tests.nginx import application, fast_application, open_loop
from tests.nginx.binary import Binary
from tests.nginx.conftest import CLIENT, SERVER, SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.foremost import foremost
from tests.nginx.network import Network, Pod
from tests.nginx.processes import most_memory_kib
from tests.nginx.sanitized import SANITIZED
from tests.nginx.sidecar import Client, Sidecar, get
from tests.nginx.streams import read_all
from tests.nginx.windows import Window, compare, turns

PORT = 9500
MANY = 150
# What a scrape may take while it lasts: a buffer, and what the connection has of its own.
SCRAPE_KIB = 512
RATE = 500
SECONDS = 20
PAIRS = 6
_HEADING = re.compile(r"^# TYPE (\w+) ", re.MULTILINE)


def call_many(caller: Sidecar, address: str, document: Document, count: int) -> None:
    """Let a sidecar call *count* endpoints once each: all are its own pod's, whose application answers."""
    places = [
        To(f"127.0.{1 + number // 250}.{1 + number % 250}", PORT, "", f"shop/many-7d9c5b6f4d-{number:05d}")
        for number in range(count)
    ]
    caller.apply(document.service("shop/many", address, 80, places))
    with application.serve(caller.pod, PORT), Client(caller.pod, address, 80) as client:
        for _ in range(count):
            assert client.request("GET", "/status/200").status == 200


def call_some(pair: Pair) -> None:
    """As many endpoints as make a scrape of many turns."""
    call_many(pair.client, pair.network.service_address(222), pair.client_document("permissive"), MANY)


def scrape(pod: Pod) -> str:
    """What a sidecar shows."""
    status, text = get(pod, "127.0.0.1", names.PORT_METRICS, "/metrics")
    assert status == 200
    return text


def calls(text: str) -> list[str]:
    """What a scrape says of the many endpoints."""
    return [line for line in text.splitlines() if "shop/many" in line]


@pytest.mark.spec("8.scrape")
def test_is_whole_and_takes_little_memory(pair: Pair) -> None:
    """Every series of every endpoint, each heading once, and never more than a buffer of it in the worker's memory."""
    call_some(pair)
    pid = pair.client.worker_pid
    before = most_memory_kib(pid)
    text = scrape(pair.client.pod)
    assert SANITIZED or most_memory_kib(pid) - before < SCRAPE_KIB < len(text) / 1024
    lines = text.splitlines()
    assert len(set(lines)) == len(lines)
    headings = _HEADING.findall(text)
    assert len(set(headings)) == len(headings)
    for family, code in (("requests", ""), ("responses", 'code="2xx"'), ("response_latency_ms_count", "")):
        found = re.findall(rf"^nginxplus_upstream_server_{family}{{.*shop/many.*{code}}} 1$", text, re.MULTILINE)
        assert len(found) == MANY, family


@pytest.mark.spec("8.scrape")
def test_slow_readers_get_all_and_others_may_go(pair: Pair) -> None:
    """Who reads late gets everything; who goes away in between leaves nothing behind (the pair looks for descriptors)."""
    call_some(pair)
    whole = calls(scrape(pair.client.pod))
    request = b"GET /metrics HTTP/1.0\r\n\r\n"
    for _ in range(5):
        with pair.client.pod.connect("127.0.0.1", names.PORT_METRICS) as gone:
            gone.sendall(request)
            assert gone.recv(1000)
    with pair.client.pod.inside():
        slow = socket.socket()
    with slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(30)
        slow.connect(("127.0.0.1", names.PORT_METRICS))
        slow.sendall(request)
        # Its buffers are full by now: the scrape waits for it, and nobody for the scrape.
        for _ in range(3):
            assert calls(scrape(pair.client.pod)) == whole
        with pair.caller() as caller:
            assert caller.request("GET", "/status/200").status == 200
        data = read_all(slow).decode()
    assert calls(data) == whole
    assert data.splitlines()[-1].startswith("nginx_mesh_lost_limits_total ")


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.spec("8.scrape")
def test_requests_do_not_wait_for_a_scrape_each_second(
    start_sidecar: Callable[[Pod], Sidecar],
    nginx_binary: Binary,
    network: Network,
    client_pod: Pod,
    server_pod: Pod,
    authority: Authority,
    fortio: Path,
    tmp_path: Path,
) -> None:
    """1,000 endpoints called: what requests take while everything is read each second, beside what they take otherwise."""
    client, server = start_sidecar(client_pod), start_sidecar(server_pod)
    place = network.service_address(200)
    there = To(server_pod.addresses[0], fast_application.PORT, SERVER_ID, "shop/server-0")
    client.apply(issued=authority.issue(CLIENT))
    server.apply(Document(incoming={fast_application.PORT: "http"}), authority.issue(SERVER))
    document = Document(mode="permissive").service("shop/server", place, 80, [there])
    call_many(client, network.service_address(222), document, 1000)
    windows: list[Window] = []
    sizes: list[int] = []
    spent: list[float] = []
    with (
        fast_application.serve(server_pod, nginx_binary),
        open_loop.running(fortio, client_pod, f"{place}:80", RATE, tmp_path) as load,
        foremost(client_pod, server_pod),
    ):
        for is_quiet in turns(PAIRS):
            start = time.time()
            for second in range(SECONDS):
                time.sleep(max(0, start + second - time.time()))
                if not is_quiet:
                    before = time.time()
                    sizes.append(len(scrape(client_pod)))
                    spent.append(time.time() - before)
            time.sleep(max(0, start + SECONDS - time.time()))
            windows.append(Window(is_quiet, start, time.time()))
    print(f"\n{len(sizes)} scrapes of {statistics.mean(sizes) / 1e6:.1f} MB, ", end="")
    print(f"{1000 * statistics.median(spent):.0f} ms each")
    longest = max(request.seconds for request in load.requests) * 1000
    print(f"{len(load.requests)} requests, {load.achieved:.1f}/s, longest {longest:.0f} ms, ", end="")
    print(f"load average {os.getloadavg()[0]:.1f}")
    print(compare(load.requests, windows))
    assert load.failed == 0
    assert min(sizes) > 5e6
