"""What the destination's sidecar refuses by a policy is no failure: neither tried again nor an error (contract 7.refused-there)."""

import grpc
import pytest

from tests.nginx import application
from tests.nginx.conftest import APPLICATION_PORT, Pair
from tests.nginx.divided import GRPC_PORT, Divided, circuit, grpc_calls
from tests.nginx.documents import Document, To
from tests.nginx.grpc_application import failure
from tests.nginx.network import Pod
from tests.nginx.peers import NEVER
from tests.nginx.sidecar import Client
from tests.nginx.test_requests import retries_counted

LONG = 600_000
CLAIM = "rate_limited:shop/slow"

pytestmark = pytest.mark.spec("7.refused-there", "6.retries", "7.breaker")


def _guard(pair: Pair, retries: int = 3) -> None:
    """A circuit that the first error opens, and retries."""
    divided = Divided(pair, {"server": [0, 1]}).breaker("server", 1, LONG)
    divided.document.line("request", 0, 0, retries, "any")
    divided.apply()


def test_a_limited_request_is_asked_once(pair: Pair) -> None:
    """It takes no more from the bucket, opens no circuit, and the caller is told when to come again."""
    _guard(pair)
    pair.server.apply(pair.server_document().limit("shop/slow", NEVER, 0, "nodelay", 503))
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
        response = caller.request("GET", "/")
        assert (response.status, response.headers["X-Mesh-Refused"]) == (503, CLAIM)
        assert response.headers["Retry-After"]
        assert pair.server.refusals("incoming", 'rate_limited",policy="shop/slow') == 1
        assert retries_counted(pair) == {}
        assert circuit(pair)["open"] is False
        pair.server.apply(pair.server_document())
        assert caller.request("GET", "/").status == 200
    assert len(pair.app.requests) == 2


def test_a_second_attempt_that_is_limited_is_the_last(pair: Pair) -> None:
    """Its answer is the answer, though attempts are left."""
    _guard(pair)
    pair.server.apply(pair.server_document().limit("shop/slow", NEVER, 0, "nodelay", 503))
    pair.app.failures = [502]
    with pair.caller() as caller:
        response = caller.request("GET", "/")
    assert (response.status, response.headers["X-Mesh-Refused"]) == (503, CLAIM)
    assert retries_counted(pair) == {"sent": 1}
    assert circuit(pair)["open"] is False


def test_an_application_cannot_say_so(pair: Pair) -> None:
    """Its failures are failures, whatever headers they have; these do not pass its sidecar."""
    _guard(pair, retries=1)
    pair.app.claims = {"X-Mesh-Refused": CLAIM}
    pair.app.failures = [503, 503]
    with pair.caller() as caller:
        response = caller.request("GET", "/")
        assert response.status == 503
        assert "X-Mesh-Refused" not in response.headers
        assert retries_counted(pair) == {"sent": 1, "exhausted": 1}
        assert circuit(pair)["open"] is True


def test_who_proves_no_identity_cannot_say_so(pair: Pair, plain_pod: Pod) -> None:
    """A server outside the mesh is tried again, and its failure counts."""
    document = Document(mode="permissive")
    to = [To(plain_pod.address, APPLICATION_PORT)]
    document.service("shop/server", pair.service, 80, to).request(0, 1).breaker([0], "shop/breaker-server", 1, LONG)
    pair.client.apply(document)
    with application.serve(plain_pod, APPLICATION_PORT) as app, Client(pair.client.pod, pair.service, 80) as caller:
        app.claims = {"X-Mesh-Refused": CLAIM}
        app.failures = [503, 503]
        assert caller.request("GET", "/").status == 503
        assert len(app.requests) == 2
    assert circuit(pair)["open"] is True


def test_limited_calls_of_grpc(pair: Pair) -> None:
    """UNAVAILABLE of the sidecar is no error of the Service; that of the application is."""
    Divided(pair, {"server": [0]}, "grpc", GRPC_PORT).breaker("server", 1, LONG).apply()
    with grpc_calls(pair) as calls:
        pair.server.apply(Document(incoming={GRPC_PORT: "grpc"}).limit("shop/slow", NEVER, 0, "nodelay", 503))
        assert calls.echo(b"one", timeout=20) == b"one"
        assert failure(calls.echo, b"two") == (grpc.StatusCode.UNAVAILABLE, f"mesh: {CLAIM}")
        assert circuit(pair)["open"] is False
        pair.server.apply(Document(incoming={GRPC_PORT: "grpc"}))
        assert failure(calls.fail, b"14")[0] == grpc.StatusCode.UNAVAILABLE
        assert circuit(pair)["open"] is True
