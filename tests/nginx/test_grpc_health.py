"""gRPC probes of the kubelet, which has no certificate: answered in strict, and nothing else with them (contract 5.probes)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import pytest

from tests.fakes.authority import Authority
from tests.nginx import grpc_application
from tests.nginx.conftest import CLIENT, SERVER, SERVER_ID
from tests.nginx.documents import Document, To
from tests.nginx.grpc_application import Application, Caller, calling, failure
from tests.nginx.network import Network, Pod
from tests.nginx.sidecar import Client, Sidecar

PORT, SERVICE_PORT = 9090, 90


@dataclass
class Probed:
    """A strict pod with a gRPC application, and the kubelet, which is in no pod of the mesh."""

    server: Sidecar
    app: Application
    kubelet: Caller

    def apply(self, protocol: str, mode: str = "strict") -> None:
        """Have the port speak *protocol*, which may be followed by the mark of a probed port."""
        self.server.apply(Document(mode=mode, incoming={PORT: protocol} if protocol else {}))


@pytest.fixture
def probed(
    start_sidecar: Callable[..., Sidecar], server_pod: Pod, plain_pod: Pod, authority: Authority
) -> Iterator[Probed]:
    with (
        grpc_application.serve(server_pod, PORT) as app,
        calling(plain_pod, server_pod.address, PORT) as kubelet,
    ):
        server = start_sidecar(server_pod)
        server.apply(Document(), authority.issue(SERVER))
        yield Probed(server, app, kubelet)


@pytest.mark.spec("5.probes")
@pytest.mark.parametrize("protocol", ["grpc", "http", "tcp"])
def test_a_strict_pod_answers_the_kubelet(probed: Probed, protocol: str) -> None:
    """On a probed port, whatever it is declared as; once more on the same connection."""
    probed.apply(f"{protocol}\thealth")
    for _ in range(2):
        answer, call = probed.kubelet.check.with_call(b"ask", timeout=20, wait_for_ready=True)
        assert answer == b"ask"
        assert "x-mesh-peer-identity" not in dict(call.trailing_metadata())["metadata"]
    assert probed.server.refusals("incoming", "plaintext") == 0


@pytest.mark.spec("5.probes", "3.modes")
def test_nothing_else_is_answered_there(probed: Probed, plain_pod: Pod) -> None:
    """Other methods, also of the same service, and HTTP/1.1 in plaintext are refused as in any strict pod."""
    probed.apply("grpc\thealth")
    assert failure(probed.kubelet.reset, b"")[0] is grpc.StatusCode.PERMISSION_DENIED
    assert failure(probed.kubelet.echo, b"")[0] is grpc.StatusCode.PERMISSION_DENIED
    assert probed.server.refusals("incoming", "plaintext") == 2
    with Client(plain_pod, probed.server.pod.address, PORT) as client:
        assert client.request("GET", "/").status in {400, 403}
    probed.apply("grpc\thealth", "permissive")
    assert probed.kubelet.echo(b"x", timeout=20, wait_for_ready=True) == b"x"


@pytest.mark.spec("5.probes", "3.modes")
@pytest.mark.parametrize("protocol", ["grpc", "grpc\thealthy", "grpc\t-", ""])
def test_other_ports_of_a_strict_pod_answer_nothing(probed: Probed, protocol: str) -> None:
    """Without the mark there is no exception; a mark that is none is a field of a newer agent."""
    probed.apply(protocol)
    assert failure(probed.kubelet.check, b"", timeout=10)[0] is grpc.StatusCode.UNAVAILABLE


@pytest.mark.spec("5.probes")
def test_peers_call_a_probed_port_by_mtls_as_any(
    probed: Probed, start_sidecar: Callable[..., Sidecar], client_pod: Pod, authority: Authority, network: Network
) -> None:
    """The mark changes nothing for the mesh."""
    probed.apply("grpc\thealth")
    service, client = network.service_address(201), start_sidecar(client_pod)
    to = To(probed.server.pod.address, PORT, SERVER_ID, "shop/server-0")
    client.apply(Document().service("shop/server", service, SERVICE_PORT, [to], "grpc"), authority.issue(CLIENT))
    with calling(client_pod, service, SERVICE_PORT) as caller:
        assert caller.arrived()["x-mesh-peer-identity"].endswith(CLIENT)
        assert caller.check(b"x", timeout=20) == b"x"
    assert client.handshakes("outgoing", "ok") == 1
    client.apply(Document())  # its kept connection ends before the server is looked at
