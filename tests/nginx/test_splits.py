"""Splits through two sidecars: requests, calls and connections go where weights and matches say (contract 7.split)."""

from collections import Counter

import grpc
import pytest

from tests.balance.chi_square import p_value
from tests.nginx.conftest import APPLICATION_PORT, SERVER_ID, Pair
from tests.nginx.divided import GRPC_PORT, Divided, answering, caller, grpc_calls, upstreams
from tests.nginx.documents import Match, To, escaped
from tests.nginx.grpc_application import failure
from tests.nginx.load import running
from tests.nginx.sidecar import Client
from tests.nginx.streams import TCP_PORT, exchange, server_document, serving

# Less likely than that is wrong; one run in a million fails without reason.
LIKELY = 1e-6
THREE = {"server": [0], "v2": [1], "v3": [2]}


def shares(pair: Pair, count: int) -> list[int]:
    """How many of so many requests each of the first three addresses answered."""
    with pair.caller() as client:
        counted = Counter(answering(pair, count, client))
    return [counted[place] for place in range(3)]


@pytest.mark.spec("7.split")
def test_requests_are_divided_by_weight(pair: Pair) -> None:
    """Each by itself, on one connection; the counters name who was chosen."""
    Divided(pair, THREE).split("server", {"v2": 80, "v3": 20}).apply()
    counted = shares(pair, 400)
    assert p_value(counted, [0, 0.8, 0.2]) > LIKELY
    assert upstreams(pair) == {"shop/v2:80": counted[1], "shop/v3:80": counted[2]}


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.spec("7.split")
def test_weights_hold_within_one_percentage_point(pair: Pair) -> None:
    """Over 100,000 requests."""
    Divided(pair, THREE).split("server", {"server": 50, "v2": 35, "v3": 15}).apply()
    counted = shares(pair, 100_000)
    print("of 100,000 requests by weights 50, 35, 15:", counted)
    for count, law in zip(counted, (0.5, 0.35, 0.15), strict=True):
        assert abs(count / 100_000 - law) < 0.01


@pytest.mark.spec("7.split")
@pytest.mark.parametrize(
    ("match", "request_options", "fits"),
    [
        (Match(headers=(("x-version", escaped("^2$")),)), {"headers": {"X-Version": "2"}}, True),
        (Match(headers=(("x-version", escaped("^2$")),)), {"headers": {"X-Version": "21"}}, False),
        (Match(headers=(("x-version", "-"),)), {}, False),
        (Match(headers=(("cookie", escaped("user=(ann|bob)")),)), {"headers": {"Cookie": "a=1; user=bob"}}, True),
        (Match(methods="POST,PUT"), {"method": "PUT"}, True),
        (Match(methods="POST,PUT"), {"method": "GET"}, False),
        (Match(escaped("^/api/")), {"path": "/api/x?y"}, True),
        (Match(escaped("^/api/")), {"path": "/x/../%61pi/z"}, True),
        (Match(escaped("^/api/")), {"path": "/x/api/"}, False),
        (Match(escaped("^(a+)+$")), {"path": "/" + "a" * 60 + "!"}, False),
    ],
)
def test_what_fits_no_match_goes_to_the_root(
    pair: Pair, match: Match, request_options: dict[str, object], fits: bool
) -> None:
    """By headers, methods and the normalised path; a search that gives up fits nothing."""
    Divided(pair, THREE).split("server", {"v2": 1}, [match]).apply()
    with pair.caller() as client:
        assert set(answering(pair, 5, client, **request_options)) == {1 if fits else 0}


@pytest.mark.spec("7.split")
def test_a_b_and_weights_for_the_rest(pair: Pair) -> None:
    """Those who carry the cookie are in B, whatever the weights say; the others are divided."""
    divided = Divided(pair, THREE)
    divided.split("server", {"v3": 1}, [Match(headers=(("cookie", "group=b"),)), Match("^/b/")])
    divided.split("server", {"server": 1, "v2": 1}).apply()
    with pair.caller() as client:
        assert set(answering(pair, 20, client, headers={"Cookie": "group=b"})) == {2}
        assert set(answering(pair, 20, client, path="/b/x")) == {2}
        counted = Counter(answering(pair, 200, client))
    assert p_value([counted[0], counted[1], counted[2]], [0.5, 0.5, 0]) > LIKELY


@pytest.mark.spec("7.split")
def test_weights_move_step_by_step_under_traffic(pair: Pair) -> None:
    """As Flagger moves them, from 0 to 100: no request fails, the same worker goes on, the last step is the whole."""
    with running(pair.caller) as load:
        for weight in range(0, 101, 20):
            Divided(pair, THREE).split("server", {"server": 100 - weight, "v2": weight}).apply()
            load.more(60)
    assert not load.failures
    with pair.caller() as client:
        assert set(answering(pair, 30, client)) == {1}


@pytest.mark.spec("7.split")
def test_backends_without_endpoints(pair: Pair) -> None:
    """They take no share; when none is left, the root answers; when it has none either, 503 says so."""
    services = {"server": [0], "v2": [], "v3": [2]}
    Divided(pair, services).split("server", {"v2": 90, "v3": 10}).apply()
    with pair.caller() as client:
        assert set(answering(pair, 30, client)) == {2}
        Divided(pair, services).split("server", {"v2": 90}).apply()
        assert set(answering(pair, 30, client)) == {0}
        Divided(pair, services | {"server": []}).split("server", {"server": 1, "v2": 90}).apply()
        assert client.request("GET", "/").status == 503
    assert pair.client.refusals("outgoing", "no_endpoint") == 1


@pytest.mark.spec("7.split")
def test_the_root_in_its_own_split_and_backends_that_are_split(pair: Pair) -> None:
    """The root's own share stays there; a backend's split divides its share; who calls the backend itself is divided, too."""
    Divided(pair, THREE).split("server", {"server": 1, "v2": 1}).split("v2", {"v2": 1, "v3": 1}).apply()
    assert p_value(shares(pair, 300), [0.5, 0.25, 0.25]) > LIKELY
    with caller(pair, 1) as client:
        counted = Counter(answering(pair, 100, client))
    assert p_value([counted[0], counted[1], counted[2]], [0, 0.5, 0.5]) > LIKELY


@pytest.mark.spec("7.split")
def test_pods_of_a_headless_service_called_by_address(pair: Pair) -> None:
    """What the split leaves to the Service goes to the very pod that was called."""
    divided = Divided(pair, {"server": [0, 1, 2, 3], "v2": [4]}).split("server", {"server": 1, "v2": 1})
    address = pair.server.pod.addresses[2]
    divided.document.pod(To(address, APPLICATION_PORT, SERVER_ID, "shop/server-2"))
    divided.document.headless(address, APPLICATION_PORT, 0)
    divided.apply()
    with Client(pair.client.pod, address, APPLICATION_PORT) as client:
        counted = Counter(answering(pair, 200, client))
    assert set(counted) == {2, 4}
    assert p_value([counted[2], counted[4]], [0.5, 0.5]) > LIKELY


@pytest.mark.spec("7.split")
def test_time_out_and_retries_are_the_backends_or_the_roots(pair: Pair) -> None:
    """A backend with settings of its own is asked by those; another one by the settings of who was called."""
    divided = Divided(pair, {"server": [0], "v2": [1, 2]}).split("server", {"v2": 1})
    divided.document.line("request", 0, 0, 1, "idempotent")
    divided.apply()
    pair.app.failures = [503]
    with pair.caller() as client:
        assert client.request("GET", "/").status == 200
        divided.document.line("request", 1, 0, 0, "idempotent")
        divided.apply()
        pair.app.failures = [503]
        assert client.request("GET", "/").status == 503
    assert pair.client.metrics()['nginx_mesh_retries_total{upstream="shop/v2:80",result="sent"}'] == 1


@pytest.mark.spec("7.split")
def test_connections_are_divided(pair: Pair) -> None:
    """TCP: each connection by itself; a split by matches does not apply."""
    divided = Divided(pair, THREE, "tcp", TCP_PORT)
    divided.split("server", {"server": 1}, [Match("^/")]).split("server", {"v2": 75, "v3": 25}).apply()
    pair.server.apply(server_document())
    address = pair.network.service_address(200)
    with serving(pair.server.pod) as server:
        for _ in range(120):
            with pair.client.pod.connect(address, 80) as connection:
                assert exchange(connection) == b"ping"
    places = [pair.server.pod.addresses.index(address) for address in server.local]
    counted = [places.count(place) for place in range(3)]
    assert p_value(counted, [0, 0.75, 0.25]) > LIKELY
    names = upstreams(pair, "nginxplus_stream_upstream_server_connections")
    assert names == {"shop/v2:80": counted[1], "shop/v3:80": counted[2]}


@pytest.mark.spec("7.split")
def test_grpc_calls_are_divided(pair: Pair) -> None:
    """Calls on one connection, by weight and by method."""
    divided = Divided(pair, THREE, "grpc", GRPC_PORT)
    divided.split("server", {"v3": 1}, [Match(escaped("^/mesh.Test/Fail$"))]).split("server", {"server": 1, "v2": 1})
    divided.apply()
    with grpc_calls(pair) as calls:
        for _ in range(100):
            assert calls.echo(b"hello", timeout=20, wait_for_ready=True) == b"hello"
        assert failure(calls.fail, b"5")[0] == grpc.StatusCode.NOT_FOUND
    counted = upstreams(pair)
    assert counted["shop/v3:80"] == 1
    assert p_value([counted["shop/server:80"], counted["shop/v2:80"]], [0.5, 0.5]) > LIKELY
