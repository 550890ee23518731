"""Requests in progress that a new table would refuse are ended; all others go on (contract 6.http-review)."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.nginx import application
from tests.nginx.conftest import APPLICATION_PORT, CLIENT_ID, SERVER, Pair
from tests.nginx.documents import Document, Match, escaped
from tests.nginx.network import Pod
from tests.nginx.peers import Limited, Peer, pod_certificate
from tests.nginx.sidecar import Sidecar, wait_until
from tests.nginx.streams import is_reset
from tests.nginx.test_http import upgraded
from tests.nginx.test_limits_waiting import waiting

OTHER_ID = "spiffe://example.org/ns/shop/sa/other"
WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def guarded(*callers: str, mode: str = "strict", rules: list[Match] | None = None) -> Document:
    """The server's document, with access for these."""
    document = Document(mode=mode, incoming={APPLICATION_PORT: "http"}).enforce_access()
    return document.target("shop/some", list(callers), rules=rules) if callers else document


@contextmanager
def other(pair: Pair, pod: Pod) -> Iterator[Peer]:
    """A connection of another service account."""
    issued = pod_certificate(pair.authority, "shop/other-0", "other")
    with Peer(pod, pair.server.pod.address, APPLICATION_PORT, issued) as peer:
        yield peer


def socket_of(peer: Peer) -> socket.socket:
    assert peer.connection.sock is not None
    return peer.connection.sock


def open_websocket(peer: Peer) -> socket.socket:
    """The peer's connection, upgraded."""
    connection = socket_of(peer)
    lines = [f"{name}: {value}" for name, value in WEBSOCKET.items()]
    connection.sendall("\r\n".join(["GET /websocket HTTP/1.1", "Host: x", *lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101")
    return connection


def begin_long_answer(peer: Peer) -> socket.socket:
    """The peer's connection, after an answer's first part."""
    connection = socket_of(peer)
    connection.sendall(b"GET /chunked HTTP/1.1\r\nHost: x\r\n\r\n")
    data = b""
    while b"chunk 0" not in data:
        part = connection.recv(4096)
        assert part
        data += part
    connection.settimeout(10)
    while not data.endswith(b"chunk 0\r\n"):
        data += connection.recv(1)
    return connection


def is_cut(connection: socket.socket) -> bool:
    """Whether a peer's connection ends without a word. Python's TLS has the same exception for a reset."""
    assert isinstance(connection, ssl.SSLSocket)
    vars(connection)["suppress_ragged_eofs"] = False
    try:
        while connection.recv(65536):
            pass
    except (ssl.SSLEOFError, ConnectionResetError):
        return True
    return False


def last_line(sidecar: Sidecar) -> str:
    wait_until(sidecar.log_lines, "a line in the access log")
    return sidecar.log_lines()[-1]


@pytest.mark.spec("6.http-review", "7.access", "7.reasons")
def test_a_websocket_of_one_who_is_allowed_no_more(pair: Pair, plain_pod: Pod) -> None:
    """It is reset and counted and logged with its reason; one that is still allowed echoes on, however often access changes."""
    pair.server.apply(guarded(CLIENT_ID, OTHER_ID))
    with upgraded(pair) as echo, other(pair, plain_pod) as peer:
        connection = open_websocket(peer)
        connection.sendall(b"ping")
        assert connection.recv(4) == b"ping"
        pair.server.apply(guarded(CLIENT_ID))
        assert is_cut(connection)
        for number in range(10):
            pair.server.apply(guarded(CLIENT_ID, f"{OTHER_ID}-{number}"))
            assert echo(b"%d" % number) == b"%d" % number
        line = last_line(pair.server)
        wait_until(lambda: pair.server.refusals("incoming", "access_no_target") == 1, "the refusal")
        assert echo(b"still") == b"still"
    assert "/websocket" in line
    assert f'peer="{OTHER_ID}"' in line
    assert 'refused="access_no_target"' in line


@pytest.mark.spec("6.http-review", "7.access")
def test_a_long_answer_that_no_rule_allows_any_more(pair: Pair, plain_pod: Pod) -> None:
    """It breaks off, and does not look complete; the policy is named, and the same caller's other requests go on."""
    pair.server.apply(guarded(OTHER_ID))
    with other(pair, plain_pod) as first, other(pair, plain_pod) as second:
        connection = begin_long_answer(first)
        second.send("/hang")
        wait_until(lambda: "/hang" in pair.app.requests, "the other request")
        rule = Match(escaped("^/hang$"), "GET")
        pair.server.apply(guarded(OTHER_ID, rules=[rule]))
        assert is_cut(connection)
        pair.app.release.set()
        assert second.answer().status == 200
    assert pair.server.refusals("incoming", 'access_no_rule",policy="shop/some') == 1


@pytest.mark.spec("6.http-review", "7.access")
def test_the_caller_behind_a_sidecar_sees_no_end(pair: Pair) -> None:
    """A long answer breaks off at the caller's application, too, and the next request is refused."""
    pair.server.apply(guarded(CLIENT_ID))
    with pair.client.pod.connect(pair.service, 80, 20) as connection:
        connection.sendall(b"GET /chunked HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        while b"chunk 0" not in data:
            data += connection.recv(4096)
        pair.server.apply(guarded())
        while part := connection.recv(4096):
            data += part
    assert not data.endswith(b"0\r\n\r\n")
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 403


@pytest.mark.spec("6.http-review", "3.modes")
@pytest.mark.parametrize("form", ["websocket", "answer", "no answer yet"])
def test_strict_ends_plaintext_that_came_in_before(pair: Pair, plain_pod: Pod, form: str) -> None:
    """And leaves the mutual TLS of peers alone; back in permissive, plaintext comes in again."""
    pair.set_up("permissive")
    place = (plain_pod, pair.server.pod.address, APPLICATION_PORT)
    with upgraded(pair) as echo, Peer(*place) as peer:
        if form == "websocket":
            connection = open_websocket(peer)
        elif form == "answer":
            connection = begin_long_answer(peer)
        else:
            peer.send("/hang")
            connection = socket_of(peer)
            wait_until(lambda: "/hang" in pair.app.requests, "the request")
        pair.server.apply(pair.server_document("strict"))
        assert is_reset(connection)
        assert echo(b"peer") == b"peer"
        assert pair.server.refusals("incoming", "plaintext") == 1
        pair.server.apply(pair.server_document("permissive"))
        with upgraded(pair, place) as again:
            assert again(b"again") == echo(b"again") == b"again"


@pytest.mark.spec("6.http-review", "7.limits")
def test_one_that_waits_for_its_turn_is_answered(pair: Pair, plain_pod: Pod) -> None:
    """It has not reached the application: 403, and the reason."""
    limited = Limited(pair, plain_pod)
    with waiting(limited) as kept:
        limited.apply(limited.document().enforce_access())
        response = kept.answer()
    assert response.status == 403
    assert response.headers["x-mesh-refused"] == "access_no_target"
    assert len(pair.app.requests) == 2


@pytest.mark.spec("6.http-review")
def test_what_only_says_where_traffic_goes_ends_nothing(pair: Pair, plain_pod: Pod) -> None:
    """Declared ports that go, in strict with access enforced; limits of bodies; and being transparent."""
    pair.server.apply(guarded(CLIENT_ID, OTHER_ID))
    with upgraded(pair) as echo, other(pair, plain_pod) as peer:
        connection = begin_long_answer(peer)
        gone = Document(mode="strict").enforce_access().target("shop/all", [CLIENT_ID, OTHER_ID])
        for document in (gone, Document(mode="strict", settings={"transparent": 1}).enforce_access()):
            pair.server.apply(document)
            assert echo(b"x" * 5000) == b"x" * 5000
        for _ in range(3):
            pair.app.next_chunk.release()
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            part = connection.recv(4096)
            assert part
            data += part


@pytest.mark.spec("6.http-review")
def test_a_worker_that_nobody_told_learns_by_itself(
    pair: Pair, start_sidecar: Callable[..., Sidecar], other_pod: Pod, plain_pod: Pod
) -> None:
    """The one that answers the agent and the other one, without any new request."""
    sidecar = start_sidecar(other_pod, workers=2)
    sidecar.apply(pair.server_document("permissive"), pair.issue(SERVER))
    with application.serve(other_pod, APPLICATION_PORT), ExitStack() as stack:
        place = (plain_pod, other_pod.address, APPLICATION_PORT)
        connections = [open_websocket(stack.enter_context(Peer(*place))) for _ in range(16)]
        sidecar.apply(pair.server_document("strict"))
        assert all(is_reset(connection) for connection in connections)
    assert sidecar.refusals("incoming", "plaintext") == 16
