"""Circuits through two sidecars: what counts as an error, who answers instead, who shares the count (contract 7.breaker).

Exact times are tests/balance/test_circuit_laws.py's.
"""

import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from mesh.api.mesh_config import LbMethod
from tests.nginx import application
from tests.nginx.conftest import APPLICATION_PORT, CLIENT, SERVER, Pair
from tests.nginx.divided import GRPC_PORT, Divided, answering, caller, circuit, grpc_calls, refused
from tests.nginx.grpc_application import failure
from tests.nginx.network import Pod
from tests.nginx.sidecar import Client, Sidecar, wait_until
from tests.nginx.streams import TCP_PORT, Server, exchange, is_reset, server_document, serving

# Longer than any test, so that only what is asked for closes a circuit.
LONG = 600_000


def statuses(client: Client, count: int, path: str = "/") -> list[int]:
    """Of so many requests."""
    return [client.request("GET", path).status for _ in range(count)]


@pytest.mark.spec("7.breaker")
@pytest.mark.parametrize("method", LbMethod)
def test_opens_at_the_count_and_refuses(pair: Pair, method: str) -> None:
    """By every balancing method: the third 5xx opens it, 503 follows without asking the application; it is told and counted."""
    Divided(pair, {"server": [0, 1]}, lb=method).breaker("server", 3, LONG).apply()
    with pair.caller() as client:
        assert statuses(client, 2, "/status/500") == [500, 500]
        assert statuses(client, 3, "/status/404") == [404, 404, 404]
        assert circuit(pair) == {"policy": "shop/breaker-server", "open": False, "errors": 2, "until": None}
        assert pair.client.metrics()['nginx_mesh_circuit_open{policy="shop/breaker-server"}'] == 0
        assert statuses(client, 1, "/status/502") == [502]
        asked = len(pair.app.requests)
        response = client.request("GET", "/")
        assert response.headers["X-Mesh-Refused"] == "circuit_open:shop/breaker-server"
        assert statuses(client, 3) == [503] * 3
    assert len(pair.app.requests) == asked
    assert refused(pair) == 4
    assert circuit(pair)["open"] is True
    metrics = pair.client.metrics()
    assert metrics['nginx_mesh_circuit_open{policy="shop/breaker-server"}'] == 1
    assert metrics['nginx_mesh_circuit_opened_total{policy="shop/breaker-server"}'] == 1


@pytest.mark.spec("7.breaker")
def test_closes_by_itself(pair: Pair) -> None:
    """When its time is over, requests pass again."""
    Divided(pair, {"server": [0]}).breaker("server", 1, 1500).apply()
    with pair.caller() as client:
        pair.app.failures = [500]
        client.request("GET", "/")
        wait_until(lambda: not circuit(pair)["open"], "a closed circuit")
        assert client.request("GET", "/").status == 200
    assert pair.client.metrics()['nginx_mesh_circuit_opened_total{policy="shop/breaker-server"}'] == 1


@pytest.mark.spec("7.breaker")
def test_what_counts_as_an_error(pair: Pair) -> None:
    """A connection that fails, an answer that does not come, a time-out, a Service without endpoints; a retried request once."""
    divided = Divided(pair, {"server": [0], "none": [], "closed": [1]})
    divided.breaker("server", 100, LONG).breaker("none", 100, LONG).breaker("closed", 100, LONG)
    divided.document.line("request", 0, 4000, 1, "idempotent")
    divided.apply()
    with pair.caller() as client:
        pair.app.failures = [503, 503]
        assert client.request("GET", "/").status == 503
        assert circuit(pair)["errors"] == 1
        pair.app.failures = [503]
        assert client.request("GET", "/").status == 200
        assert circuit(pair)["errors"] == 1
        assert client.request("GET", "/hang").status == 504
        assert circuit(pair)["errors"] == 2
        pair.app.failures = [0]
        assert client.request("POST", "/").status == 502
        assert circuit(pair)["errors"] == 3
    with caller(pair, 1) as client:
        assert statuses(client, 2) == [503, 503]
    assert circuit(pair, "shop/breaker-none")["errors"] == 2
    pair.server.apply(pair.server_document(), pair.issue("/ns/shop/sa/other"))
    with caller(pair, 2) as client:
        assert statuses(client, 1) == [502]
    assert circuit(pair, "shop/breaker-closed")["errors"] == 1


@pytest.mark.spec("7.breaker")
def test_what_never_reached_the_service_is_no_error(pair: Pair) -> None:
    """A caller that does not send the body that it announced, until its time is up; one that goes away."""
    divided = Divided(pair, {"server": [0]}).breaker("server", 1, LONG)
    divided.document.line("request", 0, 500, 1, "any")
    divided.apply()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 504 ")
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(head)
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: "/hang" in pair.app.requests, "the request")
    wait_until(lambda: len(pair.client.log_lines()) == 3, "the access log")
    assert circuit(pair) == {"policy": "shop/breaker-server", "open": False, "errors": 0, "until": None}
    assert pair.app.requests == ["/hang"]


@pytest.mark.spec("7.breaker")
def test_fallback_answers_meanwhile(pair: Pair) -> None:
    """One hop far: the fallback's errors are its own, and when its circuit is open nobody answers."""
    divided = Divided(pair, {"server": [0], "spare": [1], "last": [2]})
    divided.breaker("server", 1, LONG, "spare").breaker("spare", 2, LONG, "last").apply()
    with pair.caller() as client:
        assert statuses(client, 1, "/status/500") == [500]
        assert answering(pair, 3, client) == [1, 1, 1]
        assert statuses(client, 2, "/status/500") == [500, 500]
        assert circuit(pair, "shop/breaker-spare")["open"] is True
        assert statuses(client, 2) == [503, 503]
    assert refused(pair) == 2
    with caller(pair, 1) as client:
        assert answering(pair, 2, client) == [2, 2]


@pytest.mark.spec("7.breaker")
def test_behind_a_split(pair: Pair) -> None:
    """A backend's circuit refuses its share alone; the Service's own counts all of its backends."""
    divided = Divided(pair, {"server": [0], "v2": [1], "v3": [2]}).split("server", {"v2": 1, "v3": 1})
    divided.breaker("v2", 2, LONG, "v3").breaker("server", 4, LONG).apply()
    with pair.caller() as client, caller(pair, 1) as direct:
        assert statuses(direct, 2, "/status/500") == [500, 500]
        assert set(answering(pair, 30, client)) == {2}
        assert circuit(pair)["errors"] == 0
        Divided(pair, {"server": [0], "v2": [1]}).split("server", {"v2": 1}).breaker("server", 4, LONG).apply()
        assert statuses(client, 4, "/status/500") == [500] * 4
        assert statuses(client, 1) == [503]
        assert statuses(direct, 1) == [200]


@pytest.mark.spec("7.breaker")
def test_outlives_configurations_and_workers(pair: Pair) -> None:
    """Errors and an open circuit are the policy's: another document or a killed worker changes nothing."""
    Divided(pair, {"server": [0]}).breaker("server", 2, LONG).apply()
    with pair.caller() as client:
        assert statuses(client, 1, "/status/500") == [500]
        Divided(pair, {"server": [0, 1], "more": [2]}).breaker("more", 9, LONG).breaker("server", 2, LONG).apply()
        assert circuit(pair)["errors"] == 1
        assert statuses(client, 1, "/status/500") == [500]
        before = pair.client.worker_pids()
        os.kill(pair.client.worker_pid, signal.SIGKILL)
        wait_until(lambda: pair.client.worker_pids() not in ([], before), "a new worker")
    with pair.caller() as client:
        assert statuses(client, 1) == [503]
    pair.client.replaced_worker()


@pytest.mark.spec("7.breaker")
def test_workers_count_together(
    start_sidecar: Callable[..., Sidecar], client_pod: Pod, server_pod: Pod, authority: Any, network: Any
) -> None:
    """Errors of connections of two workers open it for both."""
    with application.serve(server_pod, APPLICATION_PORT) as app:
        pair = Pair(start_sidecar(client_pod, workers=2), start_sidecar(server_pod), app, authority, network)
        pair.client.apply(None, pair.issue(CLIENT))
        pair.server.apply(pair.server_document(), pair.issue(SERVER))
        Divided(pair, {"server": [0]}).breaker("server", 40, LONG).apply()
        # Which worker takes a connection is the kernel's choice: of 40, each takes some.
        for _ in range(40):
            with pair.caller() as client:
                assert statuses(client, 1, "/status/500") == [500]
        for _ in range(20):
            with pair.caller() as client:
                assert statuses(client, 1) == [503]


@pytest.mark.spec("7.breaker")
def test_grpc(pair: Pair) -> None:
    """The server's own faults count, other statuses do not; an open circuit is UNAVAILABLE."""
    Divided(pair, {"server": [0]}, "grpc", GRPC_PORT).breaker("server", 6, LONG).apply()
    with grpc_calls(pair) as calls:
        assert calls.echo(b"hello", timeout=20, wait_for_ready=True) == b"hello"
        for status in (1, 3, 5, 6, 7, 8, 9, 10, 11, 16):
            failure(calls.fail, str(status).encode())
        assert circuit(pair)["errors"] == 0
        for number, status in enumerate((2, 4, 12, 13, 14, 15)):
            assert circuit(pair)["errors"] == number
            failure(calls.fail, str(status).encode())
        code, message = failure(calls.echo, b"hello")
        assert code == grpc.StatusCode.UNAVAILABLE
        assert "circuit_open" in message


def _reset(_: Server, connection: socket.socket) -> None:
    """End a connection by a reset before a byte was sent."""
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _connect(pair: Pair, number: int = 0) -> socket.socket:
    return pair.client.pod.connect(pair.network.service_address(200 + number), 80)


def _is_refused(pair: Pair) -> bool:
    """Whether a connection ends before a byte comes."""
    try:
        with _connect(pair) as connection:
            connection.sendall(b"ping")
            return connection.recv(100) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


@pytest.mark.spec("7.breaker")
def test_tcp_connections_that_are_reset_before_the_first_byte(pair: Pair) -> None:
    """They open it; the next connection goes to the fallback; those that had a byte count for nothing."""
    divided = Divided(pair, {"server": [0], "spare": [1]}, "tcp", TCP_PORT)
    divided.breaker("server", 2, LONG, "spare").apply()
    pair.server.apply(server_document())
    with serving(pair.server.pod) as server:
        with _connect(pair) as connection:
            assert exchange(connection) == b"ping"
        assert server.local == [pair.server.pod.addresses[0]]
    with serving(pair.server.pod, _reset):
        for number in (1, 2):
            with _connect(pair) as connection:
                connection.sendall(b"ping")
                assert is_reset(connection)
            # An open circuit remembers nothing.
            counted = {"open": number == 2, "errors": number % 2}
            wait_until(lambda counted=counted: counted.items() <= circuit(pair).items(), "the count")  # type: ignore[misc]
    with serving(pair.server.pod) as server:
        with _connect(pair) as connection:
            assert exchange(connection) == b"ping"
        assert server.local == [pair.server.pod.addresses[1]]


@pytest.mark.spec("7.breaker")
def test_tcp_connections_that_no_endpoint_takes(pair: Pair) -> None:
    """With and without endpoints; an open circuit closes the connection."""
    pair.server.apply(server_document())
    Divided(pair, {"server": []}, "tcp", TCP_PORT).breaker("server", 2, LONG).apply()
    assert _is_refused(pair)
    wait_until(lambda: circuit(pair)["errors"] == 1, "the count")
    # Nobody holds the identity that this endpoint must have.
    pair.server.apply(server_document(), pair.issue("/ns/shop/sa/other"))
    Divided(pair, {"server": [0]}, "tcp", TCP_PORT).breaker("server", 2, LONG).apply()
    assert _is_refused(pair)
    wait_until(lambda: circuit(pair)["open"], "an open circuit")
    assert _is_refused(pair)
    wait_until(lambda: refused(pair) == 1, "the refusal")
