"""Time-outs and retries of requests, as a Service asks for them (contract 6.timeouts, 6.retries)."""

import time
from collections.abc import Iterator

import pytest

from tests.nginx.conftest import APPLICATION_PORT, SERVER_ID, Pair
from tests.nginx.documents import To
from tests.nginx.sidecar import Client, wait_until
from tests.nginx.test_http import upgraded

UPSTREAM = 'upstream="shop/server:80"'


def ask_for(pair: Pair, timeout_ms: int = 0, retries: int = 0, methods: str = "idempotent", endpoints: int = 2) -> None:
    """Give the Service its own settings."""
    document = pair.client_document(endpoints=pair.endpoints(endpoints))
    pair.client.apply(document.request(timeout_ms, retries, methods))


def retries_counted(pair: Pair) -> dict[str, float]:
    """By result."""
    prefix = f"nginx_mesh_retries_total{{{UPSTREAM},result="
    metrics = pair.client.metrics()
    return {name.removeprefix(prefix).strip('"}'): value for name, value in metrics.items() if name.startswith(prefix)}


@pytest.mark.spec("6.timeouts")
def test_request_that_takes_too_long(pair: Pair) -> None:
    """504 when the time is up, the application's side ends, the connection and the endpoint stay in use."""
    ask_for(pair, timeout_ms=1500, endpoints=1)
    with pair.caller() as caller:
        began = time.monotonic()
        assert caller.request("GET", "/hang").status == 504
        assert time.monotonic() - began < 20
        first = caller.connection.sock
        assert caller.request("GET", "/").status == 200
        assert caller.connection.sock is first
    assert pair.client.metrics()[f"nginx_mesh_request_timeouts_total{{{UPSTREAM}}}"] == 1
    assert not any(endpoint["failing"] for endpoint in pair.client.status()["endpoints"])
    wait_until(lambda: pair.server.metrics()["nginxplus_connections_active"] <= 1, "the end of the hanging request")


@pytest.mark.spec("6.timeouts")
def test_time_out_is_for_all_attempts_together(pair: Pair) -> None:
    """Ten attempts of 200 ms each do not fit into half a second."""
    ask_for(pair, timeout_ms=500, retries=10)
    pair.app.delay_seconds = 0.2
    pair.app.failures = [503] * 20
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 504
    # Two or three; on a busy machine an answer and the end of the time may be seen together.
    assert len(pair.app.requests) <= 5


@pytest.mark.spec("6.timeouts")
def test_answer_that_does_not_end(pair: Pair) -> None:
    """A response that began in time and goes on too long is cut."""
    ask_for(pair, timeout_ms=4000)
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(b"GET /chunked HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        while part := connection.recv(4096):
            data += part
    assert data.startswith(b"HTTP/1.1 200")
    assert not data.endswith(b"0\r\n\r\n")


@pytest.mark.spec("6.timeouts")
def test_upgraded_connections_are_not_timed(pair: Pair) -> None:
    """A WebSocket lives on when the time of its request is long over."""
    ask_for(pair, timeout_ms=4000)
    with upgraded(pair) as echo, pair.caller() as caller:
        assert caller.request("GET", "/hang").status == 504
        assert echo(b"still there") == b"still there"


@pytest.mark.spec("6.retries")
@pytest.mark.parametrize("status", [502, 503, 504, 0])
def test_failed_attempt_is_made_again(pair: Pair, status: int) -> None:
    """An answer 502, 503 or 504, or none: another endpoint is asked, and the caller sees its answer."""
    ask_for(pair, retries=1)
    with pair.caller() as caller:
        caller.request("GET", "/first")
        pair.app.failures = [status]
        assert caller.request("GET", "/again").status == 200
    assert pair.app.requests == ["/first", "/again", "/again"]
    assert retries_counted(pair) == {"sent": 1}


@pytest.mark.spec("6.retries")
def test_only_endpoint_is_asked_again(pair: Pair) -> None:
    """Where there is no other, the same one is asked; it counts as alive."""
    ask_for(pair, retries=2, endpoints=1)
    pair.app.failures = [503, 503]
    with pair.caller() as caller:
        assert caller.request("GET", "/again").status == 200
    assert not pair.client.status()["endpoints"][0]["failing"]


@pytest.mark.spec("6.retries")
def test_last_answer_is_the_answer(pair: Pair) -> None:
    """When all attempts failed the caller gets what the application said last, unchanged."""
    ask_for(pair, retries=2)
    pair.app.failures = [503, 502, 503, 200]
    with pair.caller() as caller:
        response = caller.request("GET", "/again")
    assert (response.status, response.text) == (503, "failed")
    assert len(pair.app.requests) == 3
    assert retries_counted(pair) == {"sent": 2, "exhausted": 1}


@pytest.mark.spec("6.retries")
def test_nothing_is_repeated_unasked(pair: Pair) -> None:
    """Without the setting, and for methods that are not idempotent, the first answer is the answer."""
    with pair.caller() as caller:
        pair.app.failures = [503]
        assert caller.request("GET", "/").status == 503
        ask_for(pair, retries=3)
        pair.app.failures = [503]
        assert caller.request("POST", "/", b"order").status == 503
    assert len(pair.app.requests) == 2
    assert retries_counted(pair) == {"not_idempotent": 1}


@pytest.mark.spec("6.retries")
@pytest.mark.parametrize(("method", "methods"), [("PUT", "idempotent"), ("POST", "any")])
def test_body_is_sent_again(pair: Pair, method: str, methods: str) -> None:
    """A body of up to 64 KiB is there for each attempt, also one that comes in pieces."""
    ask_for(pair, retries=1, methods=methods)
    content = b"x" * 60_000

    def pieces() -> Iterator[bytes]:
        for start in range(0, 60_000, 10_000):
            yield content[start : start + 10_000]

    with pair.caller() as caller:
        pair.app.failures = [503]
        echo = caller.request(method, "/", pieces(), {"Content-Length": "60000"}).echo
    assert echo["body_length"] == 60_000
    assert len(pair.app.requests) == 2


@pytest.mark.spec("6.retries")
def test_streamed_body_is_not_replayed(pair: Pair) -> None:
    """What was passed on as it came cannot be sent again: the failure is the answer, and is counted."""
    ask_for(pair, retries=3)
    pair.app.failures = [503]

    def pieces() -> Iterator[bytes]:
        yield b"a"
        wait_until(lambda: pair.app.connections, "the request at the application")
        yield b"b"

    with pair.caller() as caller:
        response = caller.request("PUT", "/", pieces(), encode_chunked=True)
    assert response.status == 503
    assert len(pair.app.requests) == 1
    assert retries_counted(pair) == {"not_replayable": 1}


@pytest.mark.spec("6.retries")
def test_dead_endpoints_are_passed_over_whatever_is_set(pair: Pair) -> None:
    """Connection failures move every request to the next endpoint, a POST too."""
    refused = To(pair.server.pod.address, APPLICATION_PORT + 1, SERVER_ID)
    for retries in (0, 1):
        document = pair.client_document(endpoints=[refused, *pair.endpoints(1)])
        pair.client.apply(document.request(0, retries, "idempotent"))
        with Client(pair.client.pod, pair.service, 80) as caller:
            for _ in range(4):
                assert caller.request("GET", "/").status == 200
