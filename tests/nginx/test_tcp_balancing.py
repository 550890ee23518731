"""TCP connections are spread by the same methods as requests, and leave out what fails (contract 6.tcp, 6.balancing)."""

import socket
import threading
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.nginx.conftest import SERVER_ID, Pair
from tests.nginx.documents import To
from tests.nginx.network import Pod
from tests.nginx.sidecar import wait_until
from tests.nginx.streams import (
    GREETING,
    TCP_PORT,
    Server,
    call,
    call_is_reset,
    client_document,
    endpoints,
    exchange,
    server_document,
    serving,
)

METHODS = (
    "round_robin",
    "least_conn",
    "least_time",
    "least_time last_byte",
    "least_time last_byte inflight",
    "random",
    "random two",
    "random two least_conn",
    "random two least_time",
    "random two least_time=last_byte",
)


@pytest.mark.spec("6.tcp")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_spreads_connections(pair: Pair, method: str) -> None:
    """Each reaches more than one of five endpoints in thirty connections."""
    pair.client.apply(client_document(pair, to=endpoints(pair, 5), lb=method))
    pair.server.apply(server_document())
    with serving(pair.server.pod) as server:
        for _ in range(30):
            with call(pair) as connection:
                assert exchange(connection) == b"ping"
    used = Counter(server.local)
    assert sum(used.values()) == 30
    assert len(used) > 1
    if method == "round_robin":
        assert set(used.values()) == {6}


@pytest.mark.spec("6.tcp")
def test_least_conn_counts_open_connections(pair: Pair) -> None:
    """Ten that stay open are two at each of five endpoints; where one closes, the next comes."""
    pair.client.apply(client_document(pair, to=endpoints(pair, 5), lb="least_conn"))
    pair.server.apply(server_document())
    with serving(pair.server.pod) as server, ExitStack() as stack:
        open_connections = []
        for _ in range(10):
            open_connections.append(stack.enter_context(call(pair)))
            # One after the other, so that the server's list is in this order, too.
            assert exchange(open_connections[-1]) == b"ping"
        assert set(Counter(server.local).values()) == {2}
        assert {item["active"] for item in pair.client.status()["endpoints"]} == {2}
        freed = server.local[3]
        open_connections[3].close()
        wait_until(lambda: _active(pair, freed) == 1, "the end of one connection")
        with call(pair) as connection:
            assert exchange(connection) == b"ping"
        assert server.local[-1] == freed


def _active(pair: Pair, address: str) -> int:
    """Open connections of the client's sidecar to one address."""
    return sum(item["active"] for item in pair.client.status()["endpoints"] if item["address"] == address)


@pytest.mark.spec("6.tcp")
@pytest.mark.parametrize("first", ["client", "server"])
def test_least_time_is_the_time_to_the_first_byte(pair: Pair, first: str) -> None:
    """The slow endpoint gets few of the connections, whoever speaks first; a client that thinks long spoils nothing."""
    fast, slow = endpoints(pair, 2)
    never = threading.Event()

    def answer(_: Server, connection: socket.socket) -> None:
        if first == "client":
            connection.recv(100)
        if connection.getsockname()[0] == slow.address:
            never.wait(1)
        connection.sendall(GREETING)
        connection.recv(100)

    pair.client.apply(client_document(pair, to=[fast, slow], lb="least_time"))
    pair.server.apply(server_document())
    with serving(pair.server.pod, answer) as server:
        for _ in range(12):
            with call(pair) as connection:
                if first == "client":
                    connection.sendall(b"x")
                assert connection.recv(100) == GREETING
    assert Counter(server.local)[slow.address] <= 4


@pytest.mark.spec("6.tcp")
def test_endpoint_that_takes_no_connection_is_left_out(pair: Pair, plain_pod: Pod) -> None:
    """The connection goes to the next at once, and the dead one is not asked again for a while."""
    dead = To(plain_pod.address, 9999)
    alive = To(plain_pod.address, TCP_PORT)
    pair.client.apply(client_document(pair, "permissive", [dead, alive]))
    with serving(plain_pod) as server:
        for _ in range(6):
            with call(pair) as connection:
                assert exchange(connection) == b"ping"
        failing = {item["port"]: item["failing"] for item in pair.client.status()["endpoints"]}
    assert len(server.accepted) == 6
    assert failing[9999]


@pytest.mark.spec("6.tcp")
def test_dead_endpoint_is_tried_again_later(pair: Pair, plain_pod: Pod) -> None:
    """When it takes connections again it gets its turn, with nothing told to NGINX meanwhile."""
    revived, alive = To(plain_pod.address, 9999), To(plain_pod.address, TCP_PORT)
    pair.client.apply(client_document(pair, "permissive", [revived, alive]))

    def answers() -> bool:
        with call(pair) as connection:
            return exchange(connection) == b"ping"

    with serving(plain_pod):
        assert [answers() for _ in range(6)] == [True] * 6
        with serving(plain_pod, port=revived.port) as server:
            wait_until(lambda: answers() and server.accepted, "a turn of the revived one")
            before = len(server.accepted)
            assert [answers() for _ in range(10)] == [True] * 10
            assert len(server.accepted) == before + 5
    assert not any(item["failing"] for item in pair.client.status()["endpoints"])


@pytest.mark.spec("6.tcp")
def test_endpoint_whose_handshake_fails_is_left_out(pair: Pair, plain_pod: Pod) -> None:
    """A pod that is not who it must be: the connection goes to the next one, none to it."""
    [good] = endpoints(pair)
    wrong = To(plain_pod.address, TCP_PORT, SERVER_ID)
    pair.client.apply(client_document(pair, to=[wrong, good]))
    pair.server.apply(server_document())
    with serving(plain_pod) as impostor, serving(pair.server.pod) as server:
        for _ in range(4):
            with call(pair) as connection:
                assert exchange(connection) == b"ping"
    assert len(server.accepted) == 4
    assert b"ping" not in impostor.heard
    assert 1 <= len(impostor.accepted) <= 2


@pytest.mark.spec("6.tcp")
def test_endpoint_whose_application_is_gone_is_left_out(pair: Pair) -> None:
    """Its sidecar takes the connection and resets it: that one fails, the next ones go elsewhere."""
    [good] = endpoints(pair)
    gone = To(pair.server.pod.address, 9001, SERVER_ID, "shop/db-1")
    pair.client.apply(client_document(pair, to=[gone]))
    document = server_document()
    document.incoming[9001] = "tcp"
    pair.server.apply(document)
    assert call_is_reset(pair)
    pair.client.apply(client_document(pair, to=[gone, good]))
    with serving(pair.server.pod) as server:
        for _ in range(4):
            with call(pair) as connection:
                assert exchange(connection) == b"ping"
    assert len(server.accepted) == 4
