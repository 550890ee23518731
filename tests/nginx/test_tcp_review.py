"""Open TCP connections that a new table would refuse are closed; all others go on (contract 6.tcp-review)."""

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from mesh.spiffe import tls
from tests.fakes.authority import Issued
from tests.nginx.conftest import CLIENT_ID, SERVER, Pair
from tests.nginx.documents import Document
from tests.nginx.memory_tls import shake_hands
from tests.nginx.network import Pod
from tests.nginx.peers import pod_certificate
from tests.nginx.sidecar import Sidecar, wait_until
from tests.nginx.streams import (
    TCP_PORT,
    call,
    client_document,
    exchange,
    is_reset,
    read_all,
    server_document,
    serving,
    set_up,
    wait_for_refusal,
)

OTHER_ID = "spiffe://example.org/ns/shop/sa/other"


def _context(issued: Issued) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.apply(context, issued.context())
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _other(pair: Pair, pod: Pod) -> socket.socket:
    """A connection of another service account."""
    context = _context(pod_certificate(pair.authority, "shop/other-0", "other"))
    return context.wrap_socket(pod.connect(pair.server.pod.address, TCP_PORT))


@pytest.mark.spec("6.tcp-review", "7.access")
def test_who_is_allowed_no_more_is_cut_off(pair: Pair, plain_pod: Pod) -> None:
    """At both ends, with its reason; who is still allowed notices nothing, however often access changes."""
    set_up(pair)
    both = server_document().enforce_access().target("shop/both", [CLIENT_ID, OTHER_ID])
    pair.server.apply(both)
    with serving(pair.server.pod) as server, call(pair) as allowed, _other(pair, plain_pod) as other:
        assert exchange(allowed) == exchange(other) == b"ping"
        pair.server.apply(both.target("shop/more", [CLIENT_ID]))
        assert exchange(allowed) == exchange(other) == b"ping"
        pair.server.apply(server_document().enforce_access().target("shop/one", [CLIENT_ID]))
        assert read_all(other) == b""
        assert pair.server.refusals("incoming", "access_no_target") == 1
        for number in range(20):
            pair.server.apply(server_document().enforce_access().target(f"shop/{number}", [CLIENT_ID], tcp=True))
            assert exchange(allowed) == b"ping"
        wait_until(lambda: server.errors == ["ConnectionResetError"], "the reset at the application")
        assert exchange(allowed) == b"ping"
        wait_until(pair.server.log_lines, "a line in the access log")
        [line] = pair.server.log_lines()
    assert '"TCP" 403 ' in line
    assert f'peer="{OTHER_ID}"' in line
    assert 'refused="access_no_target"' in line


@pytest.mark.spec("6.tcp-review", "7.access")
def test_a_policy_that_allows_no_connections_any_more_is_named(pair: Pair) -> None:
    """Its rules are about requests now."""
    set_up(pair)
    pair.server.apply(server_document().enforce_access().target("shop/db", [CLIENT_ID], tcp=True))
    with serving(pair.server.pod), call(pair) as connection:
        assert exchange(connection) == b"ping"
        pair.server.apply(server_document().enforce_access().target("shop/db", [CLIENT_ID], rules=[]))
        assert is_reset(connection)
    assert pair.server.refusals("incoming", 'access_no_rule",policy="shop/db') == 1


@pytest.mark.spec("6.tcp-review", "3.modes")
def test_strict_ends_plaintext_that_came_in_before(pair: Pair, plain_pod: Pod) -> None:
    """And leaves the mutual TLS of peers alone; back in permissive, plaintext comes in again."""
    set_up(pair, "permissive")
    with serving(pair.server.pod), call(pair) as peer:
        assert exchange(peer) == b"ping"
        with plain_pod.connect(pair.server.pod.address, TCP_PORT) as plain:
            assert exchange(plain) == b"ping"
            pair.server.apply(server_document("strict"))
            assert is_reset(plain)
        assert pair.server.refusals("incoming", "plaintext") == 1
        pair.server.apply(server_document("permissive"))
        with plain_pod.connect(pair.server.pod.address, TCP_PORT) as plain:
            assert exchange(plain) == exchange(peer) == b"ping"


@pytest.mark.spec("6.tcp-review", "7.access")
def test_enforced_access_ends_plaintext(pair: Pair, plain_pod: Pod) -> None:
    """Nobody proved who they are."""
    set_up(pair, "permissive")
    with serving(pair.server.pod), plain_pod.connect(pair.server.pod.address, TCP_PORT) as plain:
        assert exchange(plain) == b"ping"
        pair.server.apply(server_document("permissive").enforce_access().target("shop/all", [CLIENT_ID]))
        assert is_reset(plain)
    assert pair.server.refusals("incoming", "access_plaintext") == 1


@pytest.mark.spec("6.tcp-review", "3.modes")
def test_strict_ends_plaintext_that_went_out_before(pair: Pair, plain_pod: Pod) -> None:
    """To what is outside, by its address or as an endpoint; the pod's calls of itself go on."""
    set_up(pair, "permissive")
    client, own = pair.client.pod, pair.client.pod.address
    with ExitStack() as stack:
        stack.enter_context(serving(plain_pod))
        stack.enter_context(serving(client))
        outside = stack.enter_context(client.connect(plain_pod.address, TCP_PORT))
        itself = stack.enter_context(client.connect(own, TCP_PORT))
        assert exchange(outside) == exchange(itself) == b"ping"
        pair.client.apply(client_document(pair, "strict"))
        assert is_reset(outside)
        assert exchange(itself) == b"ping"
    assert pair.client.refusals("outgoing", "unknown_destination") == 1


@pytest.mark.spec("6.tcp-review", "6.tcp-changes")
def test_what_only_says_where_traffic_goes_closes_nothing(pair: Pair) -> None:
    """Services, endpoints and declared ports that go, in strict with access enforced; and being transparent."""
    set_up(pair)
    empty = Document(mode="strict").enforce_access().target("shop/all", [CLIENT_ID])
    with serving(pair.server.pod), call(pair) as connection:
        for document in (empty, Document(mode="strict", settings={"transparent": 1}).enforce_access()):
            pair.server.apply(document)
            pair.client.apply(Document(mode="strict"))
            assert exchange(connection) == b"ping"


@pytest.mark.spec("6.tcp-review")
def test_a_worker_that_nobody_told_learns_by_itself(
    pair: Pair, start_sidecar: Callable[..., Sidecar], other_pod: Pod, plain_pod: Pod
) -> None:
    """The one that answers the agent and the other one, without any new connection."""
    sidecar = start_sidecar(other_pod, workers=2)
    sidecar.apply(server_document("permissive"), pair.issue(SERVER))
    with serving(other_pod), ExitStack() as stack:
        streams = [stack.enter_context(plain_pod.connect(other_pod.address, TCP_PORT, 30)) for _ in range(16)]
        assert {exchange(stream) for stream in streams} == {b"ping"}
        sidecar.apply(server_document("strict"))
        assert all(is_reset(stream) for stream in streams)
    assert sidecar.refusals("incoming", "plaintext") == 16


@pytest.mark.spec("6.tcp-review", "7.access")
def test_permission_that_goes_during_the_handshake(pair: Pair, plain_pod: Pod) -> None:
    """Is gone: the connection was accepted before, and carries nothing."""
    set_up(pair)
    allowed = server_document().enforce_access().target("shop/other", [OTHER_ID])
    pair.server.apply(allowed)
    context = _context(pod_certificate(pair.authority, "shop/other-0", "other"))
    with serving(pair.server.pod) as server, plain_pod.connect(pair.server.pod.address, TCP_PORT) as raw:
        session, _, outgoing = shake_hands(raw, context)
        pair.server.apply(server_document().enforce_access())
        session.write(b"ping")
        raw.sendall(outgoing.read())
        read_all(raw)
        wait_for_refusal(pair, "incoming", "access_no_target")
        assert bytes(server.heard) == b""
