"""SVIDs and trust bundles change while traffic flows, with no reload (contract 3.rotation)."""

import pytest

from tests.fakes.authority import Authority
from tests.nginx.conftest import CLIENT, SERVER, Pair
from tests.nginx.load import running
from tests.nginx.sidecar import Client


@pytest.mark.spec("3.rotation")
def test_svids_rotate_under_load(pair: Pair) -> None:
    """Ten rotations of both sides: no failed request, the new serial is reported, same worker (checked by the pair)."""
    with running(pair.caller) as load:
        for _ in range(10):
            for sidecar, path in ((pair.client, CLIENT), (pair.server, SERVER)):
                issued = pair.issue(path)
                status = sidecar.apply(None, issued)
                assert status["svid_serial"] == f"{issued.certificate.serial_number:x}"
                assert status["svid_not_after"] == int(issued.certificate.not_valid_after_utc.timestamp())
            load.more(20)
    assert load.failures == []


@pytest.mark.spec("3.rotation")
def test_new_connections_use_the_new_svid(pair: Pair) -> None:
    """After a rotation of the client the server meets the new identity on the next connection."""
    with pair.caller() as caller:
        caller.request("GET", "/")
    pair.client.apply(None, pair.issue("/ns/shop/sa/renamed"))
    pair.client.empty_pools()
    pair.client.apply(pair.client_document())
    with pair.caller() as caller:
        echo = caller.request("GET", "/").echo
    assert echo["headers"]["x-mesh-peer-identity"].endswith("/sa/renamed")


@pytest.mark.spec("3.rotation")
def test_trust_root_is_replaced_under_load(pair: Pair) -> None:
    """Both roots everywhere, then SVIDs of the new one, then the new root alone: no failed request."""
    old, new = pair.authority, Authority()
    both = (old.bundle, new.bundle)
    with running(pair.caller) as load:
        for authority, roots in ((old, both), (new, both), (new, (new.bundle,))):
            for sidecar, path in ((pair.client, CLIENT), (pair.server, SERVER)):
                sidecar.apply(None, authority.issue(path), roots)
                load.more(20)
    assert load.failures == []


@pytest.mark.spec("3.rotation")
def test_removed_root_is_not_trusted_on_pooled_connections(pair: Pair) -> None:
    """When the bundle loses the server's root, the pool is emptied and the next request fails."""
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
        new = Authority()
        pair.client.apply(None, new.issue(CLIENT))
        assert pair.client.status()["endpoints"] == []
        assert caller.request("GET", "/").status == 502
    assert pair.app.requests == ["/"]


@pytest.mark.spec("3.rotation")
def test_server_closes_connections_that_its_bundle_no_longer_covers(pair: Pair) -> None:
    """A peer's open connection gets one more answer, and is closed after it."""
    with running(pair.caller, threads=1) as load:
        load.more(5)
        before = pair.server.handshakes("incoming", "ok")
        pair.server.apply(None, pair.issue(SERVER), (pair.authority.bundle, Authority().bundle))
        load.more(5)
    assert load.failures == []
    assert pair.server.handshakes("incoming", "ok") == before + 1


@pytest.mark.spec("3.rotation")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_client_connection_survives_all_of_it(pair: Pair, method: str) -> None:
    """The application's own keep-alive connection stays open over rotations."""
    client: Client
    with pair.caller() as client:
        client.request(method, "/", b"x" if method == "POST" else None)
        first = client.connection.sock
        for _ in range(3):
            pair.client.apply(None, pair.issue(CLIENT))
            pair.server.apply(None, pair.issue(SERVER))
            assert client.request(method, "/", b"x" if method == "POST" else None).status == 200
        assert client.connection.sock is first
