"""What is counted of TCP (contract 8.tcp-metrics)."""

import re
import socket
import threading

import pytest

from tests.nginx.conftest import Pair
from tests.nginx.network import Pod
from tests.nginx.sidecar import Sidecar, wait_until
from tests.nginx.streams import (
    SERVICE_PORT,
    TCP_PORT,
    Server,
    call,
    client_document,
    exchange,
    read_all,
    serving,
    set_up,
)

PAUSE = threading.Event()
_SERIES = re.compile(r"nginxplus_stream_upstream_server_([a-z_]+)\{(.*)\}")


def series(sidecar: Sidecar) -> dict[str, dict[str, float]]:
    """Labels to name to value."""
    found: dict[str, dict[str, float]] = {}
    for text, value in sidecar.metrics().items():
        if match := _SERIES.fullmatch(text):
            found.setdefault(match[2], {})[match[1]] = value
    return found


def only(sidecar: Sidecar) -> dict[str, float]:
    """The values of the only label set."""
    [values] = series(sidecar).values()
    return values


@pytest.mark.spec("8.tcp-metrics")
def test_connections_and_bytes_are_counted_per_endpoint(pair: Pair) -> None:
    """Both sidecars count: the client's per endpoint of the Service, the server's for its application."""
    set_up(pair)
    with serving(pair.server.pod):
        for _ in range(3):
            with call(pair) as connection:
                assert exchange(connection, b"twelve bytes") == b"twelve bytes"
                connection.shutdown(socket.SHUT_WR)
                assert read_all(connection) == b""
    address = pair.server.pod.address
    service = f'upstream="shop/db:{SERVICE_PORT}",server="{address}:{TCP_PORT}"'
    endpoint = 'dst_namespace="shop",dst_service="db",dst_pod="db-0"'
    own = f'upstream="application",server="{address}:{TCP_PORT}"'
    for sidecar, labels in ((pair.client, f"{service},{endpoint}"), (pair.server, own)):
        wait_until(lambda sidecar=sidecar: "response_time" in only(sidecar), "an ended connection")  # type: ignore[misc]
        assert list(series(sidecar)) == [labels]
        values = only(sidecar)
        assert (values["connections"], values["sent"], values["received"]) == (3, 36, 36)
        assert set(values) == {"connections", "sent", "received", "connect_time", "first_byte_time", "response_time"}


@pytest.mark.spec("8.tcp-metrics")
def test_bytes_of_an_open_connection_are_counted(pair: Pair) -> None:
    """A connection that lasts for days is no hole in the graph."""
    set_up(pair)
    with serving(pair.server.pod), call(pair) as connection:
        for number in (1, 2):
            exchange(connection, b"x" * 1000)
            values = only(pair.client)
            assert (values["connections"], values["sent"], values["received"]) == (1, 1000 * number, 1000 * number)
        assert "response_time" not in only(pair.client)


@pytest.mark.spec("8.tcp-metrics")
def test_times_are_means_in_milliseconds(pair: Pair) -> None:
    """The first byte comes after 100 ms, the end after 200 more."""

    def answer_late(_: Server, connection: socket.socket) -> None:
        connection.recv(100)
        PAUSE.wait(0.1)
        connection.sendall(b"late")
        connection.recv(100)
        PAUSE.wait(0.2)

    set_up(pair)
    with serving(pair.server.pod, answer_late), call(pair) as connection:
        assert exchange(connection, b"ping") == b"late"
        connection.sendall(b"more")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""
    wait_until(lambda: "response_time" in only(pair.client), "an ended connection")
    values = only(pair.client)
    assert 90 <= values["first_byte_time"] < 10000
    assert values["response_time"] >= values["first_byte_time"] + 180


@pytest.mark.spec("8.tcp-metrics")
def test_what_no_table_names(pair: Pair, plain_pod: Pod) -> None:
    """Connections to destinations outside the mesh are counted under "original"."""
    pair.client.apply(client_document(pair, "permissive"))
    with serving(plain_pod), pair.client.pod.connect(plain_pod.address, TCP_PORT) as connection:
        assert exchange(connection) == b"ping"
        assert list(series(pair.client)) == [f'upstream="original",server="{plain_pod.address}:{TCP_PORT}"']


@pytest.mark.spec("8.tcp-metrics")
def test_counts_outlive_the_worker(pair: Pair) -> None:
    """As all counters do."""
    set_up(pair)
    with serving(pair.server.pod), call(pair) as connection:
        assert exchange(connection) == b"ping"
        before = only(pair.client)
        pair.client.restart()
        assert only(pair.client)["connections"] == before["connections"] == 1
