"""Connections that HTTP/1.1 upgrades live on through every change (contract 6.websocket)."""

import pytest

from tests.nginx import application
from tests.nginx.conftest import APPLICATION_PORT, CLIENT, SERVER, Pair
from tests.nginx.documents import Document, To
from tests.nginx.network import Pod
from tests.nginx.sidecar import wait_until
from tests.nginx.test_http import upgraded


@pytest.mark.spec("6.websocket")
def test_changes_leave_it_alone(pair: Pair) -> None:
    """Endpoints, settings, modes and certificates change, and even its own endpoint goes: each message comes back."""
    generation = pair.client.status()["generation"]
    with upgraded(pair) as echo:
        for number in range(10):
            document = pair.client_document("permissive" if number % 2 else "strict", pair.endpoints(number % 3))
            document.settings["log_format"] = "json" if number % 2 else "default"
            pair.client.apply(document, pair.issue(CLIENT))
            settings: dict[str, object] = {"client_max_body_size": 1000 + number}
            pair.server.apply(Document(settings=settings, incoming={8080: "http"}), pair.issue(SERVER))
            assert echo(b"%d" % number) == b"%d" % number
        pair.client.apply(Document())
        pair.server.apply(Document())
        assert echo(b"x" * 100_000) == b"x" * 100_000
    assert pair.client.status()["generation"] > generation + 20


@pytest.mark.spec("6.websocket")
def test_drain_leaves_it_alone(pair: Pair) -> None:
    """A sidecar that drains carries what is open."""
    with upgraded(pair) as echo:
        pair.server.request("POST", "/drain")
        assert echo(b"still") == b"still"
    wait_until(lambda: pair.server.metrics()["nginxplus_connections_active"] == 0, "its end")


@pytest.mark.spec("6.websocket")
def test_plaintext(pair: Pair, plain_pod: Pod) -> None:
    """From a pod without a sidecar into a permissive one, out of one to a pod without, and both in mode off."""
    pair.set_up("permissive")
    place = (plain_pod, pair.server.pod.address, APPLICATION_PORT)
    with upgraded(pair, place) as echo:
        assert echo(b"in" * 5000) == b"in" * 5000
    with application.serve(plain_pod, APPLICATION_PORT):
        pair.client.apply(pair.client_document("permissive", [To(plain_pod.address, APPLICATION_PORT)]))
        with upgraded(pair) as echo:
            assert echo(b"out" * 5000) == b"out" * 5000
    pair.set_up("off")
    with upgraded(pair) as echo:
        assert echo(b"off") == b"off"


@pytest.mark.spec("6.http")
def test_body_that_waits_for_leave(pair: Pair) -> None:
    """Expect: 100-continue is answered before the body is sent; the application gets the body."""
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(b"hello")
        data = b""
        while b'"body_length": 5' not in data:
            part = connection.recv(4096)
            assert part
            data += part
    assert data.startswith(b"HTTP/1.1 200")
