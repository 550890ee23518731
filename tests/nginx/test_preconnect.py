"""Connections to endpoints that come are there before a request asks for them (contract 6.preconnect)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.fakes.authority import Authority
from tests.nginx import application, grpc_application
from tests.nginx.conftest import APPLICATION_PORT, CLIENT, CLIENT_ID, SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.grpc_application import calling
from tests.nginx.network import Network, Pod
from tests.nginx.sidecar import Sidecar, wait_until
from tests.nginx.test_grpc import PORT as GRPC_PORT
from tests.nginx.test_grpc import SERVICE_PORT as GRPC_SERVICE_PORT
from tests.nginx.test_grpc import GrpcPair

DEAD_PORT = 8099


def preconnects(sidecar: Sidecar, result: str) -> float:
    """How many connections came to this end."""
    series = f'nginx_mesh_preconnects_total{{direction="outgoing",result="{result}"}}'
    return sidecar.metrics().get(series, 0)


def until_made(sidecar: Sidecar, count: int) -> None:
    """Wait until so many connections were made early, in all."""
    wait_until(lambda: preconnects(sidecar, "made") >= count, f"connection {count} that nobody asked for")


@contextmanager
def hanging(pair: Pair, count: int) -> Iterator[None]:
    """So many requests at once, in flight for the length of the block."""
    with ExitStack() as stack:
        stack.callback(pair.app.release.set)
        for _ in range(count):
            connection = stack.enter_context(pair.client.pod.connect(pair.service, 80))
            connection.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: pair.app.requests.count("/hang") == count, "the requests that hang")
        yield


@pytest.mark.spec("6.preconnect")
def test_first_request_of_a_new_endpoint_finds_a_connection(pair: Pair) -> None:
    """The endpoint's handshake is over before it gets its first request, whose answer takes no further one."""
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
        pair.client.apply(pair.client_document(endpoints=pair.endpoints(2)))
        until_made(pair.client, 1)
        assert pair.server.handshakes("incoming", "ok") == 2
        assert pair.app.requests == ["/"]
        seen = {caller.request("GET", "/").echo["local"] for _ in range(4)}
    assert seen == set(pair.server.pod.addresses[:2])
    assert preconnects(pair.client, "used") == 1
    assert pair.client.handshakes("outgoing", "ok") == pair.server.handshakes("incoming", "ok") == 2


@pytest.mark.spec("6.preconnect")
def test_an_endpoint_that_returns_has_its_connections(pair: Pair) -> None:
    """They wait for it: while it is away no request goes there, and then none is made anew."""
    with pair.caller() as caller:
        for _ in range(3):
            pair.client.apply(pair.client_document(endpoints=pair.endpoints(1)))
            away = {caller.request("GET", "/").echo["local"] for _ in range(4)}
            assert away == {pair.server.pod.addresses[0]}
            pair.client.apply(pair.client_document(endpoints=pair.endpoints(2)))
            until_made(pair.client, 1)
            seen = {caller.request("GET", "/").echo["local"] for _ in range(4)}
            assert len(seen) == 2
    assert preconnects(pair.client, "made") == preconnects(pair.client, "used") == 1
    assert pair.client.handshakes("outgoing", "ok") == 2


@pytest.mark.spec("6.preconnect", "3.identity")
def test_what_waits_for_an_endpoint_is_for_its_identity_alone(pair: Pair) -> None:
    """Another identity at the same place gets a handshake of its own, which fails here."""
    address = pair.server.pod.addresses[0]
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
        for identity, status in ((CLIENT_ID, 502), (SERVER_ID, 200)):
            pair.client.apply(pair.client_document(endpoints=[To(address, APPLICATION_PORT, identity)]))
            assert caller.request("GET", "/").status == status
    assert pair.client.handshakes("outgoing", "ok") == 1
    assert pair.client.handshakes("outgoing", "identity") >= 1


@pytest.mark.soak
@pytest.mark.spec("6.preconnect")
def test_an_endpoint_that_stays_away_is_forgotten(pair: Pair) -> None:
    """Its connections are closed within 30 s."""
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    connected = pair.server.metrics()["nginxplus_connections_active"]
    pair.client.apply(pair.client_document(endpoints=[]))
    wait_until(lambda: pair.server.metrics()["nginxplus_connections_active"] < connected, "the end of what waited", 45)


@pytest.mark.spec("6.preconnect")
@pytest.mark.parametrize(("in_use", "made"), [(3, 3), (6, 4)])
def test_as_many_connections_as_others_have_four_at_most(pair: Pair, in_use: int, made: int) -> None:
    """What is in use at an endpoint now is what two that come are prepared for, one connection of each in turn."""
    with hanging(pair, in_use):
        pair.client.apply(pair.client_document(endpoints=pair.endpoints(3)))
        until_made(pair.client, 2 * made)
        pair.client.apply(pair.client_document(endpoints=pair.endpoints(3), lb="random"))
        with pair.caller() as caller:
            assert caller.request("GET", "/").status == 200
        assert preconnects(pair.client, "made") == 2 * made


@pytest.mark.spec("6.preconnect")
def test_who_is_not_called_is_not_connected_to(pair: Pair) -> None:
    """Nothing is made for a Service without a call, though its turn is before that of one that is called."""
    other = pair.network.service_address(210)
    quiet, called = pair.endpoints(4)[2:], pair.endpoints(2)

    def document(count: int) -> Document:
        first = Document().service("shop/quiet", other, 80, quiet[:count])
        return first.service("shop/server", pair.service, 80, called[:count])

    pair.client.apply(document(1))
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
        pair.client.apply(document(2))
        until_made(pair.client, 1)
        assert len({caller.request("GET", "/").echo["local"] for _ in range(4)}) == 2
    assert preconnects(pair.client, "made") == preconnects(pair.client, "used") == 1
    assert pair.server.handshakes("incoming", "ok") == 2


@pytest.mark.spec("6.preconnect")
def test_the_only_endpoint_is_used_at_once(pair: Pair) -> None:
    """Whoever replaces all others takes requests before it has a connection."""
    with pair.caller() as caller:
        for number in (1, 2, 3):
            pair.client.apply(pair.client_document(endpoints=pair.endpoints(5)[number : number + 1]))
            assert caller.request("GET", "/").echo["local"] == pair.server.pod.addresses[number]


@pytest.mark.spec("6.preconnect")
def test_refusing_endpoint_is_asked_once_and_not_judged(pair: Pair, plain_pod: Pod) -> None:
    """Where three connections are wanted, the first refusal ends it; only a request's own failure leaves an endpoint out."""
    dead = To(plain_pod.address, DEAD_PORT, SERVER_ID)
    with hanging(pair, 3):
        pair.client.apply(pair.client_document(endpoints=[dead, *pair.endpoints(2)]))
        wait_until(lambda: preconnects(pair.client, "failed"), "the refusal")
        until_made(pair.client, 3)
        assert not any(item["failing"] for item in pair.client.status()["endpoints"])
        with pair.caller() as caller:
            assert [caller.request("POST", "/", b"x").status for _ in range(6)] == [200] * 6
    assert preconnects(pair.client, "failed") == 1


@pytest.mark.spec("6.preconnect", "3.identity")
def test_another_identity_is_refused_and_not_kept(pair: Pair) -> None:
    """A connection made early demands exactly the endpoint's identity."""
    wrong = To(pair.server.pod.addresses[1], APPLICATION_PORT, CLIENT_ID)
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
        pair.client.apply(pair.client_document(endpoints=[*pair.endpoints(), wrong]))
        wait_until(lambda: preconnects(pair.client, "failed"), "the refusal")
        assert pair.client.handshakes("outgoing", "identity") == 1
        assert [caller.request("GET", "/").status for _ in range(4)] == [200] * 4
    assert preconnects(pair.client, "made") == preconnects(pair.client, "used") == 0


@pytest.mark.spec("6.preconnect", "3.rotation")
def test_what_a_bundle_closed_is_made_again(pair: Pair) -> None:
    """Connections verified by roots of before are not used; the next request finds one that was verified by those of now."""
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
        both = (pair.authority.bundle, Authority().bundle)
        pair.client.apply(None, pair.issue(CLIENT), both)
        until_made(pair.client, 1)
        assert caller.request("GET", "/").status == 200
    assert preconnects(pair.client, "used") == 1
    assert pair.client.handshakes("outgoing", "ok") == 2


@pytest.mark.spec("6.preconnect", "6.own-pod")
def test_the_own_pod_is_left_alone(pair: Pair) -> None:
    """An application would get the handshake: nothing is redirected there. Its turn would have been first."""
    own = To(pair.client.pod.address, APPLICATION_PORT, CLIENT_ID)
    with application.serve(pair.client.pod, APPLICATION_PORT, "own") as app, pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
        pair.client.apply(pair.client_document(endpoints=[own, *pair.endpoints(2)]))
        until_made(pair.client, 1)
        assert app.connections == 0
    assert preconnects(pair.client, "failed") == 0


@pytest.fixture
def grpc_pair(
    start_sidecar: Callable[..., Sidecar], client_pod: Pod, server_pod: Pod, authority: Authority, network: Network
) -> Iterator[GrpcPair]:
    service = network.service_address(201)
    with (
        grpc_application.serve(server_pod, GRPC_PORT) as app,
        calling(client_pod, service, GRPC_SERVICE_PORT) as caller,
    ):
        pair = GrpcPair(start_sidecar(client_pod), start_sidecar(server_pod), app, caller, authority, service)
        pair.set_up()
        yield pair


@pytest.mark.spec("6.preconnect", "6.grpc")
def test_first_call_of_a_new_endpoint_finds_a_connection(grpc_pair: GrpcPair) -> None:
    """HTTP/2 begins with the first call on it, though its server has spoken before."""
    pair = grpc_pair
    assert pair.caller.echo(b"before", timeout=20) == b"before"
    pair.client.apply(pair.client_document(endpoints=pair.endpoints(2)))
    until_made(pair.client, 1)
    for number in range(8):
        assert pair.caller.echo(b"%d" % number, timeout=20) == b"%d" % number
    assert preconnects(pair.client, "used") == 1
    assert pair.client.handshakes("outgoing", "ok") == pair.server.handshakes("incoming", "ok") == 2


@pytest.mark.spec("6.preconnect", "6.grpc")
def test_early_connection_that_died_costs_no_call(grpc_pair: GrpcPair) -> None:
    """The server's sidecar is restarted before the first call: calls are answered, and no endpoint is left out."""
    pair = grpc_pair
    assert pair.caller.echo(b"before", timeout=20) == b"before"
    pair.client.apply(pair.client_document(endpoints=pair.endpoints(2)))
    until_made(pair.client, 1)
    pair.server.restart()
    for number in range(4):
        assert pair.caller.echo(b"%d" % number, timeout=20) == b"%d" % number
    assert not any(item["failing"] for item in pair.client.status()["endpoints"])
