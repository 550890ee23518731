"""Endpoints come, go, fail, and are chosen (contract 6.endpoints, 6.balancing)."""

import collections

import pytest

from tests.nginx import application
from tests.nginx.conftest import APPLICATION_PORT, SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.load import running
from tests.nginx.network import Pod
from tests.nginx.sidecar import wait_until

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
DEAD_PORT = 8099


def dead(pod: Pod) -> To:
    """An endpoint where the kernel refuses connections."""
    return To(pod.address, DEAD_PORT, SERVER_ID)


@pytest.mark.spec("6.endpoints")
@pytest.mark.parametrize(("method", "lb"), [("GET", "round_robin"), ("POST", "round_robin"), ("GET", "least_time")])
def test_scaled_under_load(pair: Pair, method: str, lb: str) -> None:
    """1 → 5 → 1 endpoints, three times: no failed request, and every address is used while it is there."""
    with running(pair.caller, method=method) as load:
        for _ in range(3):
            load.by_server.clear()
            pair.client.apply(pair.client_document(endpoints=pair.endpoints(5), lb=lb))
            load.more(60)
            load.reach(pair.server.pod.addresses)
            pair.client.apply(pair.client_document(endpoints=pair.endpoints(1), lb=lb))
            status = pair.client.status()["endpoints"]
            assert [endpoint["address"] for endpoint in status] == pair.server.pod.addresses[:1]
            load.more(60)
    assert load.failures == []


@pytest.mark.spec("6.endpoints")
def test_request_keeps_its_table(pair: Pair) -> None:
    """A request in flight ends well after its endpoint is gone; its connection is not pooled."""
    connection = pair.client.pod.connect(pair.service, 80)
    with connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        with pair.app.changed:
            assert pair.app.changed.wait_for(lambda: pair.app.requests == ["/hang"], 10)
        pair.client.apply(pair.client_document(endpoints=[]))
        pair.app.release.set()
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    wait_until(lambda: pair.client.metrics()["nginxplus_connections_active"] == 0, "the end of the connection")
    assert pair.client.status()["endpoints"] == []


@pytest.mark.spec("6.endpoints")
def test_dead_endpoint_is_stepped_over(pair: Pair, plain_pod: Pod) -> None:
    """A refused connection moves each request to the next endpoint; then the dead one is left alone for a while."""
    pair.client.apply(pair.client_document(endpoints=[dead(plain_pod), *pair.endpoints()]))
    with pair.caller() as caller:
        for _ in range(20):
            assert caller.request("POST", "/", b"body").status == 200
    [failing] = [item for item in pair.client.status()["endpoints"] if item["failing"]]
    assert failing["port"] == DEAD_PORT
    errors = pair.client.error_log.read_text().count("connect() failed")
    assert errors == 1


@pytest.mark.spec("6.endpoints")
def test_dead_endpoint_is_tried_again_later(pair: Pair, plain_pod: Pod) -> None:
    """Left out at once, and back in its turn when it answers again, with nothing told to NGINX meanwhile."""
    pair.client.apply(pair.client_document("permissive", [To(plain_pod.address, DEAD_PORT), *pair.endpoints()]))
    with pair.caller() as caller:
        assert [caller.request("GET", "/").status for _ in range(10)] == [200] * 10
        with application.serve(plain_pod, DEAD_PORT, "revived") as revived:
            wait_until(
                lambda: caller.request("GET", "/").status == 200 and revived.requests, "a turn of the revived one"
            )
            before = len(revived.requests)
            seen = collections.Counter(caller.request("GET", "/").echo["name"] for _ in range(10))
            assert seen == {"app": 5, "revived": 5}
            assert len(revived.requests) == before + 5
    assert not any(item["failing"] for item in pair.client.status()["endpoints"])


@pytest.mark.spec("6.balancing")
def test_method_changes_at_run_time(pair: Pair) -> None:
    """The same endpoints and connections, another method with the next request, in the same NGINX."""
    with pair.caller() as caller:
        for before in METHODS:
            pair.client.apply(pair.client_document(endpoints=pair.endpoints(2), lb=before))
            assert caller.request("GET", "/").status == 200
            pair.client.apply(pair.client_document(endpoints=pair.endpoints(2), lb="round_robin"))
            seen = [caller.request("GET", "/").echo["local"] for _ in range(6)]
            assert set(seen[::2]) != set(seen[1::2])
            assert len(set(seen[::2])) == len(set(seen[1::2])) == 1
    assert pair.client.handshakes("outgoing", "ok") <= 4


@pytest.mark.spec("6.endpoints")
def test_all_dead_is_502_and_none_is_503(pair: Pair, plain_pod: Pod) -> None:
    """Every endpoint is tried before the sidecar gives up; a Service without endpoints is said to be unavailable."""
    with pair.caller() as caller:
        pair.client.apply(pair.client_document(endpoints=[dead(plain_pod)]))
        assert caller.request("GET", "/").status == 502
        assert caller.request("GET", "/").status == 502
        pair.client.apply(pair.client_document(endpoints=[]))
        assert caller.request("GET", "/").status == 503
    assert pair.client.refusals("outgoing", "no_endpoint") == 1


@pytest.mark.spec("6.endpoints")
def test_application_that_refuses_connections(pair: Pair, plain_pod: Pod) -> None:
    """A terminating application: a mesh peer goes to another endpoint, a plaintext caller gets 502."""
    pair.server.apply(Document("permissive", incoming={APPLICATION_PORT: "http", DEAD_PORT: "http"}))
    gone = To(pair.server.pod.address, DEAD_PORT, SERVER_ID)
    pair.client.apply(pair.client_document(endpoints=[gone, *pair.endpoints()]))
    with pair.caller() as caller:
        for _ in range(10):
            assert caller.request("GET", "/").status == 200
    with plain_pod.connect(pair.server.pod.address, DEAD_PORT) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 502")


@pytest.mark.spec("6.endpoints")
def test_pooled_connection_that_died_is_replaced(pair: Pair) -> None:
    """The server's sidecar is restarted: pooled connections are dead, requests are not."""
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
        pair.server.restart()
        for method in ("GET", "POST"):
            assert caller.request(method, "/", b"x" if method == "POST" else None).status == 200


@pytest.mark.spec("6.endpoints")
def test_handshakes_are_rare(pair: Pair) -> None:
    """1,000 requests on one connection take at most 2 handshakes."""
    with pair.caller() as caller:
        for _ in range(1000):
            assert caller.request("GET", "/").status == 200
    assert pair.client.handshakes("outgoing", "ok") <= 2


@pytest.mark.spec("6.balancing")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_uses_every_endpoint(pair: Pair, method: str) -> None:
    """With equal endpoints no method leaves one out, and round robin is exact."""
    pair.client.apply(pair.client_document(endpoints=pair.endpoints(4), lb=method))
    seen: collections.Counter[str] = collections.Counter()
    with pair.caller() as caller:
        for _ in range(80):
            seen[caller.request("GET", "/").echo["local"]] += 1
        if method == "round_robin":
            assert set(seen.values()) == {20}
        # Where the machine made one slow, it is asked again only after a while.
        while len(seen) < 4 and seen.total() < 5000:
            seen[caller.request("GET", "/").echo["local"]] += 1
    assert set(seen) == set(pair.server.pod.addresses[:4])


@pytest.mark.spec("6.balancing")
@pytest.mark.parametrize("method", [name for name in METHODS if "least" in name and "time" not in name])
def test_least_conn_avoids_the_busy_endpoint(pair: Pair, method: str) -> None:
    """While a request hangs at one of two endpoints, the others all go to the second."""
    pair.client.apply(pair.client_document(endpoints=pair.endpoints(2), lb=method))
    with pair.client.pod.connect(pair.service, 80) as hanging, pair.caller() as caller:
        hanging.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: "/hang" in pair.app.requests, "the request that hangs")
        [busy] = [item["address"] for item in pair.client.status()["endpoints"] if item["active"]]
        seen = {caller.request("GET", "/").echo["local"] for _ in range(10)}
        assert seen == set(pair.server.pod.addresses[:2]) - {busy}


@pytest.mark.spec("6.balancing")
@pytest.mark.parametrize("method", [name for name in METHODS if "time" in name])
def test_least_time_prefers_the_faster_endpoint(pair: Pair, plain_pod: Pod, method: str) -> None:
    """An endpoint that takes 300 ms gets few of 30 requests."""
    slow_port = 8100
    pair.client.apply(
        pair.client_document("permissive", [*pair.endpoints(), To(plain_pod.address, slow_port)], lb=method)
    )
    with application.serve(plain_pod, slow_port, "slow") as slow, pair.caller() as caller:
        slow.delay_seconds = 0.3
        for _ in range(30):
            assert caller.request("GET", "/").status == 200
        assert len(slow.requests) <= 8


@pytest.mark.spec("6.endpoints")
def test_connection_refused_by_kernel_is_what_dead_means(plain_pod: Pod) -> None:
    """The address that the tests above call dead is."""
    with pytest.raises(ConnectionRefusedError):
        plain_pod.connect(plain_pod.address, DEAD_PORT)
