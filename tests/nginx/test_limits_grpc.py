"""Rate limits of gRPC calls through both sidecars (contract 7.limits, 6.grpc)."""

from collections.abc import Callable, Iterator

import grpc
import pytest

from tests.fakes.authority import Authority
from tests.nginx import grpc_application
from tests.nginx.conftest import SERVER, SERVER_ID
from tests.nginx.documents import Document, Match, To
from tests.nginx.grpc_application import SERVICE, Caller, calling, failure
from tests.nginx.network import Network, Pod
from tests.nginx.peers import NEVER, pod_certificate
from tests.nginx.sidecar import Sidecar

PORT, SERVICE_PORT = 9090, 90
pytestmark = pytest.mark.spec("7.limits", "6.grpc")


@pytest.fixture
def client(start_sidecar: Callable[..., Sidecar], client_pod: Pod) -> Sidecar:
    """Started before the server: it ends first, and the connections that it keeps with it."""
    return start_sidecar(client_pod)


@pytest.fixture
def server(
    start_sidecar: Callable[..., Sidecar],
    client: Sidecar,  # noqa: ARG001 - started first
    server_pod: Pod,
) -> Iterator[Sidecar]:
    with grpc_application.serve(server_pod, PORT):
        yield start_sidecar(server_pod)


@pytest.fixture
def caller(client: Sidecar, server: Sidecar, authority: Authority, network: Network) -> Iterator[Caller]:
    service = network.service_address(201)
    to = [To(server.pod.address, PORT, SERVER_ID, "shop/server-0")]
    document = Document().service("shop/server", service, SERVICE_PORT, to, "grpc")
    client.apply(document, pod_certificate(authority, "shop/client-0"))
    with calling(client.pod, service, SERVICE_PORT) as caller:
        yield caller


@pytest.mark.parametrize(
    ("status", "code"), [(503, grpc.StatusCode.UNAVAILABLE), (429, grpc.StatusCode.RESOURCE_EXHAUSTED)]
)
def test_refused_calls(
    server: Sidecar, caller: Caller, authority: Authority, status: int, code: grpc.StatusCode
) -> None:
    """They end with the status of gRPC and the id of the reason; calls of other methods go on."""
    echo = [Match(path=f"^/{SERVICE}/Echo$".replace(".", "%5C."))]
    document = Document(incoming={PORT: "grpc"})
    document.limit("shop/slow", NEVER, 2, "nodelay", status, [["shop/client-0"]], [PORT], echo)
    server.apply(document, authority.issue(SERVER))
    for _ in range(3):
        assert caller.echo(b"hello", timeout=20) == b"hello"
    assert failure(caller.echo, b"hello") == (code, "mesh: rate_limited:shop/slow")
    assert caller.collect(iter([b"one"]), timeout=20)
    assert failure(caller.echo, b"hello")[0] == code


@pytest.mark.spec("5.probes")
def test_the_kubelet_is_not_limited(server: Sidecar, plain_pod: Pod, authority: Authority) -> None:
    """Its probes take nothing from the bucket of everyone else, to which its other calls belong."""
    document = Document(mode="permissive", incoming={PORT: "grpc\thealth"})
    server.apply(document.limit("shop/slow", NEVER, 0, "nodelay"), authority.issue(SERVER))
    with calling(plain_pod, server.pod.address, PORT) as kubelet:
        for _ in range(4):
            assert kubelet.check(b"ask", timeout=20, wait_for_ready=True) == b"ask"
        assert kubelet.echo(b"one", timeout=20) == b"one"
        assert failure(kubelet.echo, b"two")[0] == grpc.StatusCode.UNAVAILABLE
