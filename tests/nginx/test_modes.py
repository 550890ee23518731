"""What each mTLS mode lets in and out, and that it changes while NGINX runs (contract 3.modes, 6.protocol)."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mesh.api import names
from tests.nginx import application
from tests.nginx.conftest import APPLICATION_PORT, CLIENT, SERVER, SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.load import running
from tests.nginx.network import Pod
from tests.nginx.sidecar import Client, Sidecar, get, wait_until
from tests.nginx.test_mutual_tls import call_by_tls, tls_server

TCP_PORT = 9000


@contextmanager
def tcp_server(pod: Pod, greeting: bytes, port: int = TCP_PORT) -> Iterator[list[bytes]]:
    """A server that speaks first, then notes what it reads; gives the list of that."""
    listener = pod.listener(port)
    heard: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(greeting)
                while data := connection.recv(4096):
                    heard.append(data)
                connection.sendall(b"bye\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes or resets."""
    data = b""
    try:
        while part := connection.recv(4096):
            data += part
    except ConnectionResetError:
        pass
    return data


@pytest.mark.spec("3.modes")
def test_plaintext_to_a_strict_port_gets_400(pair: Pair, plain_pod: Pod) -> None:
    """Plain HTTP from a pod without a sidecar is refused at the sidecar and counted; the application sees nothing."""
    status, _ = get(plain_pod, pair.server.pod.address, APPLICATION_PORT)
    assert status == 400
    assert pair.server.refusals("incoming", "plaintext") == 1
    assert pair.app.requests == []


@pytest.mark.spec("3.modes")
def test_permissive_takes_both(pair: Pair, plain_pod: Pod) -> None:
    """mTLS between sidecars; plaintext from others is served, without an identity."""
    pair.set_up("permissive")
    with pair.caller() as caller:
        assert caller.request("GET", "/").echo["headers"]["x-mesh-peer-identity"] == f"spiffe://example.org{CLIENT}"
    with Client(plain_pod, pair.server.pod.address, APPLICATION_PORT) as client:
        echo = client.request("GET", "/", headers={"X-Mesh-Peer-Identity": "spiffe://example.org/forged"}).echo
    assert "x-mesh-peer-identity" not in echo["headers"]
    assert pair.client.handshakes("outgoing", "ok") == 1


@pytest.mark.spec("3.modes")
def test_permissive_sends_plaintext_to_what_has_no_identity(pair: Pair, plain_pod: Pod) -> None:
    """An endpoint without an identity is called in plaintext in permissive, and refused with 403 in strict."""
    with application.serve(plain_pod, APPLICATION_PORT) as plain, pair.caller() as caller:
        endpoints = [To(plain_pod.address, APPLICATION_PORT)]
        pair.client.apply(pair.client_document("permissive", endpoints))
        assert caller.request("GET", "/allowed").status == 200
        pair.client.apply(pair.client_document("strict", endpoints))
        assert caller.request("GET", "/refused").status == 403
    assert plain.requests == ["/allowed"]
    assert pair.client.refusals("outgoing", "plaintext_endpoint") == 1


@pytest.mark.spec("3.modes")
def test_off_is_plaintext(pair: Pair, plain_pod: Pod) -> None:
    """In off no handshake takes place, and no SVID is needed to be ready."""
    pair.set_up("off")
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    assert get(plain_pod, pair.server.pod.address, APPLICATION_PORT)[0] == 200
    assert pair.client.handshakes("outgoing", "ok") == 0


@pytest.mark.spec("3.modes")
def test_off_still_ends_the_tls_of_peers_and_passes_the_applications_own(pair: Pair, plain_pod: Pod) -> None:
    """While a mode change spreads, peers may still speak mTLS; TLS without the mesh's marker is the application's."""
    pair.server.apply(pair.server_document("off"))
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    assert pair.server.handshakes("incoming", "ok") == 1
    pair.server.apply(Document(mode="off", incoming={9443: "http"}))
    with tls_server(pair.server.pod, pair.issue(SERVER), 9443) as requests:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with plain_pod.connect(pair.server.pod.address, 9443) as raw, context.wrap_socket(raw) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert len(requests) == 1


# All six changes, from strict on: who is first, and the mode. Neighbours change in either order; between strict and off
# the server is the first to weaken and the last to harden.
CHANGES = (
    *(
        "server permissive",
        "client strict",
        "client permissive",
        "server off",
        "client permissive",
        "server permissive",
    ),
    *("client off", "server permissive", "server off", "client strict", "server off", "client strict"),
)


@pytest.mark.spec("3.modes")
def test_mode_changes_under_load_without_a_failed_request(pair: Pair) -> None:
    """From each mode to each other one, one sidecar after the other."""
    documents = {pair.client: pair.client_document, pair.server: pair.server_document}
    with running(pair.caller) as load:
        for change in CHANGES:
            first, mode = change.split()
            sides = (pair.client, pair.server) if first == "client" else (pair.server, pair.client)
            for sidecar in sides:
                assert sidecar.apply(documents[sidecar](mode))["mode"] == mode
                load.more(30)
    assert load.failures == []


@pytest.mark.spec("3.modes")
def test_open_plaintext_connection_is_refused_when_the_mode_becomes_strict(pair: Pair, plain_pod: Pod) -> None:
    """A keep-alive connection that was let in before gets 403 with the next request, and is closed."""
    pair.server.apply(pair.server_document("permissive"))
    with Client(plain_pod, pair.server.pod.address, APPLICATION_PORT) as client:
        assert client.request("GET", "/before").status == 200
        pair.server.apply(pair.server_document("strict"))
        response = client.request("GET", "/after")
        assert (response.status, response.will_close) == (403, True)
    assert pair.app.requests == ["/before"]
    assert pair.server.refusals("incoming", "plaintext") == 1


@pytest.mark.spec("6.tcp")
@pytest.mark.parametrize("protocol", ["tcp", ""])
def test_tcp_is_passed_on_unread_in_permissive(pair: Pair, protocol: str) -> None:
    """A server that speaks first is reached through both sidecars, half-closed connections too."""
    incoming = {TCP_PORT: protocol} if protocol else {}
    pair.client.apply(Document(mode="permissive"))
    pair.server.apply(Document(mode="permissive", incoming=incoming))
    with tcp_server(pair.server.pod, b"hello\n") as heard:
        with pair.client.pod.connect(pair.server.pod.address, TCP_PORT) as connection:
            assert connection.recv(100) == b"hello\n"
            connection.sendall(b"from the client")
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == b"bye\n"
    assert b"".join(heard) == b"from the client"


@pytest.mark.spec("6.ports")
def test_own_ports_are_no_destination(pair: Pair, plain_pod: Pod) -> None:
    """From outside, and by the application through loopback: the sidecar's ports never proxy to themselves."""
    pair.server.apply(Document(mode="permissive", incoming={8888: "http", APPLICATION_PORT: "http"}))
    for port in (names.PORT_CONTROL, names.PORT_OUTGOING, names.PORT_INCOMING, names.PORT_INCOMING_HTTP):
        with plain_pod.connect(pair.server.pod.address, port) as connection:
            assert read_all(connection) == b""
    assert pair.server.refusals("incoming", "sidecar_port") == 4
    for port in (names.PORT_OUTGOING, names.PORT_INCOMING):
        with pair.server.pod.connect("127.0.0.1", port) as connection:
            assert read_all(connection) == b""
    for port in (names.PORT_OUTGOING_HTTP, names.PORT_INCOMING_HTTP_PERMISSIVE):
        assert get(pair.server.pod, "127.0.0.1", port)[0] == 403


@pytest.mark.spec("6.own-pod")
def test_pod_that_calls_itself(pair: Pair) -> None:
    """Through its own Service and at its own address, in strict too: the bytes do not leave the pod."""
    document = pair.server_document().service("shop/server", pair.service, 80, pair.endpoints())
    pair.server.apply(document)
    assert get(pair.server.pod, pair.service, 80, "/service")[0] == 200
    assert get(pair.server.pod, pair.server.pod.address, APPLICATION_PORT, "/address")[0] == 200
    assert pair.app.requests == ["/service", "/address"]


@pytest.mark.spec("6.pod-address")
def test_injected_pod_is_called_by_its_own_address_with_mtls(pair: Pair) -> None:
    """A `pod` line is a route to that pod, with its identity."""
    [to] = pair.endpoints()
    pair.client.apply(Document().pod(to))
    status, _ = get(pair.client.pod, to.address, to.port, "/direct")
    assert (status, pair.client.handshakes("outgoing", "ok")) == (200, 1)


@pytest.mark.spec("10.transparent")
def test_transparent_passes_everything(pair: Pair, plain_pod: Pod) -> None:
    """After `transparent` traffic keeps flowing, whatever the mode says; mTLS of peers is still answered."""
    with running(pair.caller) as load:
        load.more(20)
        pair.server.apply(Document(mode="strict", settings={"transparent": 1}, incoming={APPLICATION_PORT: "http"}))
        load.more(50)
    assert load.failures == []
    assert get(plain_pod, pair.server.pod.address, APPLICATION_PORT)[0] == 200
    pair.client.apply(Document(mode="strict", settings={"transparent": 1}))
    with tcp_server(plain_pod, b"hello\n"), pair.client.pod.connect(plain_pod.address, TCP_PORT) as connection:
        assert connection.recv(100) == b"hello\n"


@pytest.mark.spec("3.modes")
def test_without_any_document_everything_is_refused(
    start_sidecar: Callable[..., Sidecar], server_pod: Pod, plain_pod: Pod
) -> None:
    """A sidecar that knows nothing fails closed."""
    sidecar = start_sidecar(server_pod)
    with application.serve(server_pod, APPLICATION_PORT) as app:
        with plain_pod.connect(server_pod.address, APPLICATION_PORT) as connection:
            assert read_all(connection) == b""
    assert app.requests == []
    wait_until(lambda: sidecar.refusals("incoming", "no_configuration") == 1, "the count")


@pytest.mark.spec("6.ipv6")
def test_ipv6(pair: Pair, client_pod: Pod, server_pod: Pod) -> None:
    """The same over IPv6: original destination, route, endpoint, identity."""
    endpoint = To(server_pod.address6, APPLICATION_PORT, f"spiffe://example.org{SERVER}")
    pair.client.apply(Document().service("shop/server", "fd00:ffff::10", 80, [endpoint]))
    with application.serve(server_pod, APPLICATION_PORT, family=socket.AF_INET6):
        with Client(client_pod, "fd00:ffff::10", 80) as client:
            echo = client.request("GET", "/").echo
    assert echo["headers"]["x-mesh-peer-identity"] == f"spiffe://example.org{CLIENT}"
    assert pair.client.handshakes("outgoing", "ok") == 1


@pytest.mark.spec("6.dual-stack")
def test_a_service_of_both_families(pair: Pair, client_pod: Pod, server_pod: Pod) -> None:
    """Each cluster address leads to the application that listens in its own family; both are one Service by name."""
    six = To(server_pod.address6, APPLICATION_PORT, SERVER_ID)
    pair.client.apply(pair.client_document().service("shop/server", "fd00:ffff::10", 80, [six]))
    with application.serve(server_pod, APPLICATION_PORT, family=socket.AF_INET6) as app6:
        with pair.caller() as client, Client(client_pod, "fd00:ffff::10", 80) as client6:
            for expected in ((1, 0), (1, 1), (2, 1)):
                chosen = client6 if expected == (1, 1) else client
                assert chosen.request("GET", "/").status == 200
                assert (len(pair.app.requests), len(app6.requests)) == expected
    assert pair.client.handshakes("outgoing", "ok") == 2


@pytest.mark.spec("3.modes")
def test_tls_on_an_http_port_is_never_passed_on(pair: Pair, plain_pod: Pod) -> None:
    """TLS on an http port ends at the sidecar in permissive, also with a wrong certificate: it is not passed on."""
    pair.server.apply(pair.server_document("permissive"))
    assert not call_by_tls(plain_pod, pair.server.pod.address, None)
    assert pair.app.requests == []
