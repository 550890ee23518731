"""TCP between two sidecars: mutual TLS, modes, the application's own TLS (contract 6.tcp, 3.modes, 3.mtls)."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.api import names
from tests.fakes.authority import Issued
from tests.nginx.conftest import CLIENT, SERVER, SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.network import Pod
from tests.nginx.sidecar import wait_until
from tests.nginx.streams import (
    GREETING,
    PARTING,
    SERVICE_PORT,
    TCP_PORT,
    Server,
    call,
    call_is_reset,
    client_document,
    endpoints,
    exchange,
    greet,
    read_all,
    server_document,
    serving,
    set_up,
    wait_for_refusal,
)
from tests.nginx.test_mutual_tls import WRONG_AUTHORITY, capture, load, wrong_certificates

CANARY = b"canary-5e1f07"


@pytest.mark.spec("6.tcp")
@pytest.mark.parametrize("mode", ["strict", "permissive"])
def test_tcp_goes_by_mutual_tls(pair: Pair, mode: str, tmp_path: Path) -> None:
    """One handshake per connection, and nothing readable on the wire."""
    set_up(pair, mode)
    with serving(pair.server.pod), capture(pair.server.pod, tmp_path / "wire") as read, call(pair) as connection:
        assert exchange(connection, CANARY) == CANARY
        wait_until(lambda: b"\x16\x03\x03" in read(), "a handshake in the capture")
        wire = read()
    assert pair.client.handshakes("outgoing", "ok") == 1
    assert pair.server.handshakes("incoming", "ok") == 1
    assert CANARY not in wire


@pytest.mark.spec("6.tcp")
@pytest.mark.parametrize("mode", ["strict", "permissive", "off"])
def test_server_that_speaks_first(pair: Pair, mode: str) -> None:
    """Its greeting comes though the client says nothing, in every mode."""
    set_up(pair, mode)
    with serving(pair.server.pod, greet), call(pair) as connection:
        assert connection.recv(100) == GREETING
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == PARTING
    assert pair.client.handshakes("outgoing", "ok") == (mode != "off")


@pytest.mark.spec("6.server-first")
@pytest.mark.parametrize("protocol", ["tcp", ""])
def test_server_first_from_outside_the_mesh(pair: Pair, plain_pod: Pod, protocol: str) -> None:
    """A silent source that is not known as injected reaches a permissive pod's application after server_first_ms."""
    incoming = {TCP_PORT: protocol} if protocol else {}
    pair.server.apply(Document(mode="permissive", incoming=incoming))
    with serving(pair.server.pod, greet), plain_pod.connect(pair.server.pod.address, TCP_PORT) as connection:
        assert connection.recv(100) == GREETING


@pytest.mark.spec("6.server-first")
def test_server_first_ms_is_a_setting(pair: Pair, plain_pod: Pod) -> None:
    """Silence is waited for as long as it says; a byte of the client ends the waiting."""
    pair.server.apply(server_document("permissive", server_first_ms=10000))
    with serving(pair.server.pod, greet), plain_pod.connect(pair.server.pod.address, TCP_PORT) as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        connection.settimeout(9)
        connection.sendall(b"x")
        assert connection.recv(100) == GREETING


@pytest.mark.spec("6.server-first")
@pytest.mark.parametrize("line", ["pod", "injected"])
def test_a_source_known_as_injected_is_waited_for(pair: Pair, plain_pod: Pod, line: str) -> None:
    """Its TLS may come late, so its silence is not taken for a client that waits for the server."""
    document = server_document("permissive", server_first_ms=1)
    if line == "pod":
        document.pod(To(plain_pod.address, 80, "spiffe://example.org/ns/shop/sa/other", "shop/other"))
    else:
        document.injected(plain_pod.address)
    pair.server.apply(document)
    with serving(pair.server.pod, greet) as server, plain_pod.connect(pair.server.pod.address, TCP_PORT) as connection:
        connection.settimeout(1)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        assert server.accepted == []
        connection.settimeout(10)
        connection.sendall(b"x")
        assert connection.recv(100) == GREETING


@pytest.mark.spec("6.tcp")
def test_permissive_takes_plaintext_and_sends_it_where_no_sidecar_is(pair: Pair, plain_pod: Pod) -> None:
    """A pod without a sidecar is served, and called, in plaintext."""
    set_up(pair, "permissive")
    with serving(pair.server.pod), plain_pod.connect(pair.server.pod.address, TCP_PORT) as connection:
        assert exchange(connection) == b"ping"
    pair.client.apply(client_document(pair, "permissive", [To(plain_pod.address, TCP_PORT)]))
    with serving(plain_pod) as server, call(pair) as connection:
        assert exchange(connection) == b"ping"
    assert server.heard == b"ping"
    assert pair.client.handshakes("outgoing", "ok") == 0


@pytest.mark.spec("3.modes")
def test_strict_refuses_plaintext_tcp(pair: Pair, plain_pod: Pod) -> None:
    """It is closed and counted, and the application sees no connection; undeclared ports likewise."""
    set_up(pair)
    with serving(pair.server.pod) as declared, serving(pair.server.pod, port=9001) as undeclared:
        for port, reason in ((TCP_PORT, "plaintext"), (9001, "undeclared_port")):
            with suppress(ConnectionResetError), plain_pod.connect(pair.server.pod.address, port) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert read_all(connection) == b""
            wait_for_refusal(pair, "incoming", reason)
        assert declared.accepted == undeclared.accepted == []


@pytest.mark.spec("3.modes")
def test_strict_sends_no_plaintext_tcp(pair: Pair, plain_pod: Pod) -> None:
    """An endpoint without an identity, and a destination that no table names, are refused and counted."""
    pair.client.apply(client_document(pair, "strict", [To(plain_pod.address, TCP_PORT)]))
    with serving(plain_pod) as server:
        with call(pair) as connection:
            assert read_all(connection) == b""
        with pair.client.pod.connect(plain_pod.address, TCP_PORT) as connection:
            assert read_all(connection) == b""
    assert server.accepted == []
    assert pair.client.refusals("outgoing", "plaintext_endpoint") == 1
    assert pair.client.refusals("outgoing", "unknown_destination") == 1


@pytest.mark.spec("6.tcp")
def test_a_service_without_endpoints_is_closed_and_counted(pair: Pair) -> None:
    """Nobody is called in its place."""
    pair.client.apply(client_document(pair, "permissive", []))
    with call(pair) as connection:
        assert read_all(connection) == b""
    assert pair.client.refusals("outgoing", "no_endpoint") == 1


@contextmanager
def tls_call(raw: socket.socket, issued: Issued | None = None, *alpn: str) -> Iterator[ssl.SSLSocket]:
    """TLS as an application speaks it, or, with a certificate, as somebody who would pass for a sidecar."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if issued is not None:
        load(context, issued)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with raw, context.wrap_socket(raw) as connection:
        yield connection


def tls_echo(issued: Issued) -> "TlsEcho":
    """An application that speaks TLS itself, with this certificate."""
    return TlsEcho(issued)


class TlsEcho:
    """Handler of an echo over the application's own TLS."""

    def __init__(self, issued: Issued) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load(self._context, issued)

    def __call__(self, server: Server, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as secure:
            while data := secure.recv(65536):
                server.heard += data
                secure.sendall(data)


@pytest.mark.spec("6.tls-passthrough")
@pytest.mark.parametrize("mode", ["strict", "permissive", "off"])
def test_the_applications_own_tls_passes(pair: Pair, mode: str) -> None:
    """It ends at the application: inside the sidecars' TLS, or in the clear where the mode is off."""
    set_up(pair, mode)
    own = pair.issue("/the/applications/own")
    with serving(pair.server.pod, tls_echo(own)), tls_call(call(pair)) as connection:
        assert exchange(connection) == b"ping"
        assert connection.getpeercert(binary_form=True) == own.certificate.public_bytes(Encoding.DER)
    assert pair.server.handshakes("incoming", "ok") == (mode != "off")


@pytest.mark.spec("6.tls-passthrough")
@pytest.mark.parametrize("mode", ["permissive", "off"])
def test_tls_without_the_marker_is_the_applications(pair: Pair, plain_pod: Pod, mode: str) -> None:
    """A pod without a sidecar speaks TLS with the application of a permissive pod."""
    pair.server.apply(server_document(mode))
    with serving(pair.server.pod, tls_echo(pair.issue("/own"))):
        with tls_call(plain_pod.connect(pair.server.pod.address, TCP_PORT), None, "h2", "http/1.1") as connection:
            assert exchange(connection) == b"ping"
    assert pair.server.metrics()["nginx_mesh_generation"] > 0
    assert pair.server.handshakes("incoming", "incomplete") == 0


@pytest.mark.spec("3.modes")
def test_off_still_ends_the_tls_of_peers(pair: Pair) -> None:
    """While a mode change spreads, a peer that is known as injected may still speak mTLS."""
    pair.client.apply(client_document(pair, "strict"))
    pair.server.apply(server_document("off").injected(pair.client.pod.address))
    with serving(pair.server.pod), call(pair) as connection:
        assert exchange(connection) == b"ping"
    assert pair.server.handshakes("incoming", "ok") == 1


_WRONG = list(wrong_certificates(SERVER))


@pytest.mark.spec("3.identity")
@pytest.mark.parametrize("name", _WRONG)
def test_server_with_a_wrong_certificate_gets_no_byte(pair: Pair, plain_pod: Pod, name: str) -> None:
    """The handshake fails, is counted, and the client's connection is reset: never a fall-back to plaintext."""
    pair.client.apply(None, WRONG_AUTHORITY.issue(CLIENT))
    pair.client.apply(client_document(pair, "permissive", [To(plain_pod.address, TCP_PORT, SERVER_ID)]))
    with serving(plain_pod, tls_echo(wrong_certificates(SERVER)[name])) as server:
        assert call_is_reset(pair, CANARY)
    assert server.heard == b""
    assert pair.client.handshakes("outgoing", name.partition(" ")[0]) == 1
    assert pair.client.handshakes("outgoing", "ok") == 0


@pytest.mark.spec("3.identity")
def test_plaintext_server_where_an_identity_is_due_gets_no_byte(pair: Pair, plain_pod: Pod) -> None:
    """A pod that lost its sidecar is not spoken to in plaintext, in permissive neither."""
    pair.client.apply(client_document(pair, "permissive", [To(plain_pod.address, TCP_PORT, SERVER_ID)]))
    with serving(plain_pod, greet) as server:
        assert call_is_reset(pair, CANARY)
    assert CANARY not in server.heard


@pytest.mark.spec("3.identity")
@pytest.mark.parametrize("name", _WRONG)
def test_client_with_a_wrong_certificate_reaches_nothing(pair: Pair, plain_pod: Pod, name: str) -> None:
    """The server's sidecar ends the handshake and counts why; the application sees no connection."""
    pair.server.apply(server_document(), WRONG_AUTHORITY.issue(SERVER))
    wrong = wrong_certificates(CLIENT)[name]
    with serving(pair.server.pod) as server:
        assert not _is_let_in(plain_pod, pair.server.pod.address, wrong)
        wait_until(lambda: pair.server.handshakes("incoming", name.partition(" ")[0]) == 1, "the count")
        assert server.accepted == []


@pytest.mark.spec("3.mtls")
def test_who_is_let_into_a_strict_tcp_port(pair: Pair, plain_pod: Pod) -> None:
    """A right certificate with the marker is; no certificate, and a protocol of the application's, are not."""
    set_up(pair)
    with serving(pair.server.pod) as server:
        assert not _is_let_in(plain_pod, pair.server.pod.address, None)
        assert not _is_let_in(plain_pod, pair.server.pod.address, pair.issue(CLIENT), "h2")
        assert server.accepted == []
        assert _is_let_in(plain_pod, pair.server.pod.address, pair.issue(CLIENT), "nsm/1")


def _is_let_in(pod: Pod, address: str, issued: Issued | None, *alpn: str) -> bool:
    try:
        with tls_call(pod.connect(address, TCP_PORT), issued, *alpn) as connection:
            return exchange(connection) == b"ping"
    except OSError:
        return False


@pytest.mark.spec("6.pod-address")
def test_injected_pod_is_called_by_its_own_address(pair: Pair) -> None:
    """By mTLS, as behind a Service."""
    [to] = endpoints(pair)
    pair.client.apply(Document().pod(to, "tcp"))
    pair.server.apply(server_document())
    with serving(pair.server.pod), pair.client.pod.connect(to.address, to.port) as connection:
        assert exchange(connection) == b"ping"
    assert pair.client.handshakes("outgoing", "ok") == 1


@pytest.mark.spec("6.own-pod")
def test_pod_calls_itself(pair: Pair) -> None:
    """By Service and by address, in strict, without TLS: the bytes do not leave the pod."""
    document = server_document().service("shop/db", pair.service, SERVICE_PORT, endpoints(pair), "tcp")
    pair.server.apply(document)
    with serving(pair.server.pod):
        for address, port in ((pair.service, SERVICE_PORT), (pair.server.pod.address, TCP_PORT)):
            with pair.server.pod.connect(address, port) as connection:
                assert exchange(connection) == b"ping"
    assert pair.server.handshakes("outgoing", "ok") == 0


@pytest.mark.spec("6.ipv6")
@pytest.mark.parametrize("mode", ["strict", "off"])
def test_ipv6(pair: Pair, mode: str) -> None:
    """The same over IPv6."""
    to = To(pair.server.pod.address6, TCP_PORT, SERVER_ID)
    pair.client.apply(Document(mode=mode).service("shop/db", "fd00:ffff::10", SERVICE_PORT, [to], "tcp"))
    pair.server.apply(server_document(mode).injected(pair.client.pod.address6))
    with (
        serving(pair.server.pod, family=socket.AF_INET6),
        pair.client.pod.connect("fd00:ffff::10", SERVICE_PORT) as connection,
    ):
        assert exchange(connection) == b"ping"
    assert pair.client.handshakes("outgoing", "ok") == (mode == "strict")


@pytest.mark.spec("6.ports")
@pytest.mark.parametrize("port", [names.PORT_OUTGOING_TCP, names.PORT_INCOMING_TCP_PERMISSIVE])
def test_internal_listeners_serve_nobody_who_calls_them(pair: Pair, port: int) -> None:
    """The application's own call of a listener behind the redirected ones is refused and counted."""
    set_up(pair, "permissive")
    with suppress(ConnectionResetError), pair.client.pod.connect("127.0.0.1", port) as connection:
        assert read_all(connection) == b""
    assert pair.client.refusals("outgoing", "not_redirected") == 1
