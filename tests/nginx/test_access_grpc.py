"""Who may make which gRPC call (contract 7.access); the kubelet's check is nobody's call (contract 5.probes)."""

import queue
from collections.abc import Callable, Iterator

import grpc
import pytest

from tests.fakes.authority import Authority
from tests.nginx import grpc_application, http2
from tests.nginx.conftest import CLIENT, CLIENT_ID, SERVER, SERVER_ID
from tests.nginx.documents import Document, Match, To, escaped
from tests.nginx.grpc_application import Caller, calling, failure
from tests.nginx.network import Network, Pod
from tests.nginx.sidecar import Sidecar

PORT, SERVICE_PORT = 9090, 90


@pytest.fixture
def server(
    start_sidecar: Callable[..., Sidecar], client_pod: Pod, server_pod: Pod, authority: Authority, network: Network
) -> Iterator[Sidecar]:
    """A sidecar with a gRPC application; the client's sidecar routes to it."""
    with grpc_application.serve(server_pod, PORT):
        client, server = start_sidecar(client_pod), start_sidecar(server_pod)
        to = [To(server_pod.address, PORT, SERVER_ID)]
        document = Document(mode="permissive").service("shop/s", network.service_address(202), SERVICE_PORT, to, "grpc")
        client.apply(document, authority.issue(CLIENT))
        server.apply(Document(mode="permissive", incoming={PORT: "grpc"}), authority.issue(SERVER))
        yield server


@pytest.fixture
def caller(client_pod: Pod, network: Network) -> Iterator[Caller]:
    with calling(client_pod, network.service_address(202), SERVICE_PORT) as caller:
        yield caller


def guarded(mode: str = "permissive", protocol: str = "grpc") -> Document:
    return Document(mode=mode, incoming={PORT: protocol}).enforce_access()


@pytest.mark.spec("7.access")
def test_calls_are_judged_by_path(server: Sidecar, caller: Caller) -> None:
    """A method is a path; what is refused is PERMISSION_DENIED with the reason, on a connection that goes on."""
    rule = Match(escaped(r"^/mesh\.Test/Echo$"), "POST")
    server.apply(guarded().target("shop/echo", [CLIENT_ID], rules=[rule]))
    assert caller.echo(b"x", timeout=20, wait_for_ready=True) == b"x"
    code, message = failure(caller.check, b"")[:2]
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert message == "mesh: access_no_rule:shop/echo"
    assert caller.echo(b"y", timeout=20) == b"y"
    server.apply(guarded())
    assert failure(caller.echo, b"")[:2] == (grpc.StatusCode.PERMISSION_DENIED, "mesh: access_no_target")


@pytest.mark.spec("7.access", "5.probes")
@pytest.mark.parametrize("protocol", ["grpc", "tcp"])
@pytest.mark.parametrize("mode", ["strict", "permissive", "off"])
def test_the_kubelet_is_answered_and_nobody_else_in_plaintext(
    server: Sidecar, plain_pod: Pod, protocol: str, mode: str
) -> None:
    """In every mode, where access is enforced."""
    server.apply(guarded(mode, f"{protocol}\thealth").target("shop/all", [CLIENT_ID]))
    with calling(plain_pod, server.pod.address, PORT) as kubelet:
        assert kubelet.check(b"ask", timeout=20, wait_for_ready=True) == b"ask"
        assert failure(kubelet.echo, b"")[0] is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.spec("6.http-review", "7.access")
def test_a_stream_that_no_rule_allows_any_more(server: Sidecar, caller: Caller) -> None:
    """It ends, and not as if it were complete; streams and calls that are still allowed go on, on the same connection."""
    server.apply(guarded("strict").target("shop/all", [CLIENT_ID]))
    messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    answers = caller.chat(iter(messages.get, None), wait_for_ready=True)
    messages.put(b"first")
    assert next(answers) == b"first"
    numbers = caller.count(b"1000000")
    next(numbers)
    rule = Match(escaped(r"^/mesh\.Test/(Chat|Echo)$"), "POST")
    server.apply(guarded("strict").target("shop/chat", [CLIENT_ID], rules=[rule]))
    with pytest.raises(grpc.RpcError) as told:
        for _ in numbers:
            pass
    assert told.value.code() is not grpc.StatusCode.OK
    assert server.refusals("incoming", 'access_no_rule",policy="shop/chat') == 1
    for number in range(10):
        server.apply(guarded("strict").target(f"shop/{number}", [CLIENT_ID], rules=[rule]))
        messages.put(b"%d" % number)
        assert next(answers) == b"%d" % number
    assert caller.echo(b"x", timeout=20) == b"x"
    messages.put(None)
    assert list(answers) == []


@pytest.mark.spec("6.http-review", "3.modes")
def test_a_stream_in_plaintext_is_reset(server: Sidecar, plain_pod: Pod) -> None:
    """By RST_STREAM and no trailers, as soon as the mode is strict, though nothing else is on its connection."""
    with http2.connected(plain_pod, server.pod.address, PORT) as peer:
        stream = peer.begin(
            "POST", "/mesh.Test/Chat", [("content-type", "application/grpc"), ("te", "trailers")], end=False
        )
        peer.connection.send_data(stream, b"\0\0\0\0\1x")
        peer.flush()
        while not peer.body(stream):
            peer.read()
        server.apply(Document(mode="strict", incoming={PORT: "grpc"}))
        answer = peer.answer(stream)
    assert answer.reset
    assert "grpc-status" not in answer.headers
    assert server.refusals("incoming", "plaintext") == 1
