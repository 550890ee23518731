"""Two sidecars speak mutual TLS, each knowing who the other is (contract 3.mtls, 3.identity)."""

import datetime as dt
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mesh.spiffe import tls
from tests.fakes.authority import Authority, Issued
from tests.nginx.conftest import APPLICATION_PORT, CLIENT, CLIENT_ID, SERVER, SERVER_ID, Pair
from tests.nginx.documents import To
from tests.nginx.network import Pod
from tests.nginx.sidecar import wait_until


@pytest.mark.spec("3.mtls")
def test_identities_reach_both_sides(pair: Pair) -> None:
    """A call goes by TLS 1.3; the server's application learns the caller's identity from the certificate."""
    with pair.caller() as caller:
        response = caller.request("GET", "/hello?x=%2F&y=a//b")
    assert response.status == 200, response.text
    echo = response.echo
    assert echo["path"] == "/hello?x=%2F&y=a//b"
    assert echo["headers"]["x-mesh-peer-identity"] == CLIENT_ID
    assert pair.client.handshakes("outgoing", "ok") == 1
    assert pair.server.handshakes("incoming", "ok") == 1


@pytest.mark.spec("3.mtls")
def test_access_log_says_who_called_whom(pair: Pair) -> None:
    """Both logs carry direction, the other side's identity and the TLS of the connection between the sidecars."""
    with pair.caller() as caller:
        assert caller.request("GET", "/logged").status == 200
    for sidecar, direction, peer in ((pair.client, "outgoing", SERVER_ID), (pair.server, "incoming", CLIENT_ID)):
        wait_until(lambda sidecar=sidecar: sidecar.log_lines(), "a line in the access log")  # type: ignore[misc]
        [line] = sidecar.log_lines()
        for part in (f"direction={direction}", f'peer="{peer}"', 'tls="TLSv1.3"', 'cipher="TLS_AES_128_GCM_SHA256"'):
            assert part in line


@pytest.mark.spec("3.identity-headers")
@pytest.mark.parametrize(
    "name", ["X-Mesh-Peer-Identity", "x_mesh-PEER_identity", "X.Mesh.Peer.Identity", "X-Forwarded-Client-Cert"]
)
def test_identity_headers_from_outside_are_dropped(pair: Pair, name: str) -> None:
    """What a caller says of itself never reaches the application, in no spelling that it would take for the same."""
    with pair.caller() as caller:
        echo = caller.request("GET", "/", headers={name: "spiffe://example.org/ns/kube-system/sa/root"}).echo
    assert "kube-system" not in str(echo)
    assert echo["headers"]["x-mesh-peer-identity"] == CLIENT_ID


def wrong_certificates(path: str) -> dict[str, Issued]:
    """Certificates that must not be accepted for *path*, with the reason that is counted as key's first word."""
    ours, other_domain = WRONG_AUTHORITY, Authority("example.com")
    expected = f"spiffe://example.org{path}"
    return {
        "expired": ours.issue(path, lifetime=dt.timedelta(seconds=-5)),
        "untrusted other-authority": Authority().issue(path, bundle=ours.bundle),
        "untrusted other-domain": other_domain.issue(path, bundle=ours.bundle),
        "identity two-uris": ours.issue(path, uris=(expected, expected + "/more")),
        "identity other-domain-in-our-authority": ours.issue(path, uris=(f"spiffe://example.com{path}",)),
        "identity dots": ours.issue(path, uris=(f"{expected}/../admin",)),
        "identity no-path": ours.issue(path, uris=("spiffe://example.org",)),
        "identity no-uri": ours.issue(path, dns_names=("server.shop.svc",), uris=()),
        "identity not-spiffe": ours.issue(path, uris=("https://example.org/ns/shop/sa/server",)),
    }


WRONG_AUTHORITY = Authority()
_WRONG = list(wrong_certificates(SERVER))


@pytest.mark.spec("3.identity")
@pytest.mark.parametrize("name", _WRONG)
def test_server_with_a_wrong_certificate_gets_no_request(pair: Pair, plain_pod: Pod, name: str) -> None:
    """The client's sidecar refuses the handshake, counts why, and says 502; the application sees nothing."""
    wrong = wrong_certificates(SERVER)[name]
    pair.client.apply(None, WRONG_AUTHORITY.issue(CLIENT))
    pair.client.apply(pair.client_document(endpoints=[To(plain_pod.address, 9443, SERVER_ID)]))
    with tls_server(plain_pod, wrong, 9443) as requests, pair.caller() as caller:
        assert caller.request("GET", "/").status == 502
    assert pair.client.handshakes("outgoing", name.partition(" ")[0]) == 1
    assert pair.client.handshakes("outgoing", "ok") == 0
    assert requests == []


@pytest.mark.spec("3.identity")
def test_server_with_the_right_certificate_gets_the_request(pair: Pair, plain_pod: Pod) -> None:
    """The server of the tests above is called when its certificate is right, so they can fail."""
    pair.client.apply(pair.client_document(endpoints=[To(plain_pod.address, 9443, SERVER_ID)]))
    with tls_server(plain_pod, pair.issue(SERVER), 9443) as requests, pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    assert len(requests) == 1


@pytest.mark.spec("3.identity")
@pytest.mark.parametrize("name", _WRONG)
def test_client_with_a_wrong_certificate_is_refused(pair: Pair, plain_pod: Pod, name: str) -> None:
    """The server's sidecar ends the handshake, counts why, and the application sees nothing."""
    wrong = wrong_certificates(CLIENT)[name]
    pair.server.apply(None, WRONG_AUTHORITY.issue(SERVER))
    assert not call_by_tls(plain_pod, pair.server.pod.address, wrong)
    wait_until(lambda: pair.server.handshakes("incoming", name.partition(" ")[0]) == 1, "the count")
    assert pair.app.requests == []


@pytest.mark.spec("3.identity")
def test_right_certificate_is_accepted_by_the_same_probe(pair: Pair, plain_pod: Pod) -> None:
    """The probe of the tests above succeeds with a right certificate, so they can fail."""
    assert call_by_tls(plain_pod, pair.server.pod.address, pair.issue(CLIENT))


@pytest.mark.spec("3.mtls")
def test_no_certificate_and_old_protocol_are_refused(pair: Pair, plain_pod: Pod) -> None:
    """TLS without a client certificate, and TLS 1.2 with one, come to nothing."""
    assert not call_by_tls(plain_pod, pair.server.pod.address, None)
    assert not call_by_tls(plain_pod, pair.server.pod.address, pair.issue(CLIENT), ssl.TLSVersion.TLSv1_2)
    wait_until(lambda: pair.server.handshakes("incoming", "incomplete") == 2, "the count")
    assert pair.app.requests == []


@pytest.mark.spec("3.identity")
def test_reused_address_fails_closed(pair: Pair) -> None:
    """A pod of another identity takes over the address: neither pooled nor new connections bring it a request."""
    with pair.caller() as caller:
        assert caller.request("GET", "/before").status == 200
        assert pair.client.status()["endpoints"][0]["idle"] == 1
        other = "spiffe://example.org/ns/shop/sa/other"
        pair.client.apply(pair.client_document(endpoints=pair.endpoints(identity=other)))
        assert caller.request("GET", "/after").status == 502
    assert pair.app.requests == ["/before"]
    assert pair.client.handshakes("outgoing", "identity") == 1


@pytest.mark.spec("3.identity")
def test_pod_of_another_identity_behind_an_old_table(pair: Pair) -> None:
    """The server restarts with another identity before the client learns of it: the handshake fails."""
    with pair.caller() as caller:
        assert caller.request("GET", "/before").status == 200
        pair.server.apply(None, pair.issue("/ns/shop/sa/other"))
        pair.client.empty_pools()
        pair.client.apply(pair.client_document())
        assert caller.request("GET", "/after").status == 502
    assert pair.app.requests == ["/before"]


@pytest.mark.spec("3.mtls")
def test_nothing_readable_between_the_pods(pair: Pair, tmp_path: Path) -> None:
    """A capture of 50 connections holds TLS 1.3 alone, and the canary of requests and responses not once."""
    canary = "canary-7f3a91"
    with capture(pair.server.pod, tmp_path / "wire") as read:
        for _ in range(50):
            # So each call makes a connection.
            pair.client.empty_pools()
            pair.client.apply(pair.client_document())
            with pair.caller() as caller:
                response = caller.request("GET", f"/{canary}", headers={"X-Canary": canary})
            assert response.status == 200
            assert canary in response.text
        wait_until(lambda: len(server_hellos(read())) == 50, "a ServerHello of each connection in the capture", 30)
        wire = read()
    assert pair.client.handshakes("outgoing", "ok") == 50
    assert canary.encode() not in wire
    assert b"HTTP/1.1" not in wire
    # Every ServerHello names TLS 1.3 in its supported_versions extension (RFC 8446, 4.2.1).
    assert all(b"\x00\x2b\x00\x02\x03\x04" in hello for hello in server_hellos(wire))


def server_hellos(wire: bytes) -> list[bytes]:
    """The beginning of the extensions of every ServerHello with AES-128-GCM."""
    return re.findall(rb"\x16\x03\x03..\x02\x00..\x03\x03.{32}\x20.{32}\x13\x01\x00..(.{0,100})", wire, re.DOTALL)


def call_by_tls(
    pod: Pod, address: str, issued: Issued | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> bool:
    """Whether a request by TLS with this certificate gets a response."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    if issued is not None:
        load(context, issued)
    try:
        with (
            pod.connect(address, APPLICATION_PORT) as raw,
            context.wrap_socket(raw) as connection,
        ):
            connection.sendall(b"GET /probe HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def load(context: ssl.SSLContext, issued: Issued) -> None:
    """Give a context the certificate, by way of memory."""
    tls.apply(context, issued.context())
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE


@contextmanager
def tls_server(pod: Pod, issued: Issued, port: int) -> Iterator[list[bytes]]:
    """A TLS server with this certificate that asks for no other; gives the list of requests that reach it."""
    requests: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(context, issued)
    listener = pod.listener(port)

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    requests.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            except OSError:
                raw.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield requests
    finally:
        listener.shutdown(2)
        listener.close()
        thread.join()


@contextmanager
def capture(pod: Pod, path: Path) -> Iterator[Callable[[], bytes]]:
    """Record what passes the pod's interface; the reader gives what is written so far."""
    command = f"ip netns exec {pod.namespace} tcpdump -Z root --immediate-mode -U -i eth0 -s 0 -w {path} tcp".split()
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert b"listening" in process.stderr.readline()

    def read() -> bytes:
        return path.read_bytes()

    try:
        yield read
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
