"""Transparent proxies: the way there and back under traffic, and what they do when nobody is left to ask (contract 10)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.nginx import application
from tests.nginx.conftest import APPLICATION_PORT, CLIENT, SERVER, Pair
from tests.nginx.documents import Document
from tests.nginx.load import running
from tests.nginx.network import Pod
from tests.nginx.sidecar import Client, Sidecar, get

# What every sidecar is told, one after the other: mode, and whether it is transparent.
WAY = [("permissive", 0), ("permissive", 1), ("permissive", 0)]


def direct(pair: Pair) -> Client:
    """A connection of the client's application to the server's own address."""
    return Client(pair.client.pod, pair.server.pod.address, APPLICATION_PORT)


def tell(pair: Pair, sidecar: Sidecar, mode: str, transparent: int = 0) -> None:
    """Give one of the two its document."""
    document = Document(mode=mode, settings={"transparent": transparent}, incoming={APPLICATION_PORT: "http"})
    [to] = pair.endpoints()
    status = sidecar.apply(document.pod(to))
    assert (status["mode"], status["transparent"]) == (mode, bool(transparent))


def tell_both(pair: Pair, mode: str, transparent: int = 0) -> None:
    for sidecar in (pair.client, pair.server):
        tell(pair, sidecar, mode, transparent)


@pytest.mark.spec("10.transparent")
@pytest.mark.parametrize("first", ["client", "server"])
def test_the_way_there_and_back_loses_no_request(pair: Pair, first: str) -> None:
    """Whoever hears a step first: strict, open, transparent, open, under traffic.

    Strict again then treats what was opened meanwhile as any plaintext: 403 with the next request.
    """
    tell_both(pair, "strict")
    order = [pair.client, pair.server] if first == "client" else [pair.server, pair.client]
    with running(lambda: direct(pair)) as load:
        load.more(50)
        for mode, transparent in WAY:
            for sidecar in order:
                tell(pair, sidecar, mode, transparent)
                load.more(50)
    assert load.failures == []
    with direct(pair) as client:
        assert client.request("GET", "/").echo["headers"]["x-mesh-peer-identity"].endswith(CLIENT)


@pytest.mark.spec("10.transparent")
def test_a_connection_of_before_is_served_in_plaintext_and_ended(pair: Pair) -> None:
    """Also when no certificate is good any more: the answer comes, and asks the application to connect anew."""
    tell_both(pair, "strict")
    with direct(pair) as client:
        assert client.request("GET", "/before").echo["headers"]["x-mesh-peer-identity"].endswith(CLIENT)
        handshakes = pair.client.handshakes("outgoing", "ok")
        tell_both(pair, "permissive", 1)
        for sidecar, path in ((pair.client, CLIENT), (pair.server, SERVER)):
            sidecar.apply(None, pair.authority.issue(path, lifetime=timedelta(seconds=-5)))
        response = client.request("GET", "/after")
        assert (response.status, response.will_close) == (200, True)
        assert "x-mesh-peer-identity" not in response.echo["headers"]
        assert client.request("GET", "/anew").status == 200
        assert pair.client.handshakes("outgoing", "ok") == handshakes
    assert {"/before", "/after", "/anew"} <= set(pair.app.requests)


@pytest.mark.spec("10.transparent")
def test_what_callers_say_of_themselves_is_still_dropped(pair: Pair, plain_pod: Pod) -> None:
    """No identity is proven any more, and none is believed."""
    tell_both(pair, "permissive", 1)
    with Client(plain_pod, pair.server.pod.address, APPLICATION_PORT) as client:
        echo = client.request("GET", "/", headers={"X-Mesh-Peer-Identity": "spiffe://example.org/forged"}).echo
    assert "x-mesh-peer-identity" not in echo["headers"]


@pytest.mark.spec("10.afterlife")
def test_a_transparent_sidecar_comes_back_from_its_directory(pair: Pair) -> None:
    """NGINX killed and started again, with certificates that have expired long ago: ready, and everything flows."""
    tell_both(pair, "permissive", 1)
    for sidecar, path in ((pair.client, CLIENT), (pair.server, SERVER)):
        sidecar.apply(None, pair.authority.issue(path, lifetime=timedelta(seconds=-5)))
        sidecar.restart()
        assert sidecar.status()["ready"]
        assert get(sidecar.pod, "127.0.0.1", 8887, "/ready")[0] == 200
    assert get(pair.client.pod, pair.server.pod.address, APPLICATION_PORT)[0] == 200


@pytest.mark.spec("6.ready")
def test_a_transparent_sidecar_needs_no_certificate(
    start_sidecar: Callable[..., Sidecar], server_pod: Pod, plain_pod: Pod
) -> None:
    """A pod that starts while the authority is going is not held back."""
    sidecar = start_sidecar(server_pod)
    settings: dict[str, object] = {"transparent": 1}
    document = Document(mode="strict", settings=settings, incoming={APPLICATION_PORT: "http"})
    with application.serve(server_pod, APPLICATION_PORT):
        assert sidecar.apply(document)["ready"]
        assert get(plain_pod, server_pod.address, APPLICATION_PORT)[0] == 200
