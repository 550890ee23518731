"""gRPC through both sidecars: every kind of call, as it was sent, with the callers proven (contract 6.grpc)."""

import json
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import pytest

from mesh.api import names
from tests.fakes.authority import Authority
from tests.nginx import grpc_application, http2
from tests.nginx.conftest import CLIENT, CLIENT_ID, SERVER, SERVER_ID
from tests.nginx.documents import Document, To
from tests.nginx.grpc_application import Application, Caller, calling, failure
from tests.nginx.network import Network, Pod, run
from tests.nginx.processes import private_kib
from tests.nginx.sidecar import Sidecar, wait_until

PORT = 9090
SERVICE_PORT = 90


@dataclass
class GrpcPair:
    """Two sidecars with a gRPC application behind the second."""

    client: Sidecar
    server: Sidecar
    app: Application
    caller: Caller
    authority: Authority
    service: str

    def endpoints(self, count: int = 1, identity: str = SERVER_ID) -> list[To]:
        return [To(address, PORT, identity, "shop/server-0") for address in self.server.pod.addresses[:count]]

    def client_document(self, mode: str = "strict", endpoints: list[To] | None = None) -> Document:
        endpoints = self.endpoints() if endpoints is None else endpoints
        return Document(mode=mode).service("shop/server", self.service, SERVICE_PORT, endpoints, "grpc")

    @staticmethod
    def server_document(mode: str = "strict", **settings: object) -> Document:
        return Document(mode=mode, settings=dict(settings), incoming={PORT: "grpc"})

    def set_up(self, mode: str = "strict") -> None:
        self.client.apply(self.client_document(mode), self.authority.issue(CLIENT))
        self.server.apply(self.server_document(mode), self.authority.issue(SERVER))


@pytest.fixture
def pair(
    start_sidecar: Callable[..., Sidecar], client_pod: Pod, server_pod: Pod, authority: Authority, network: Network
) -> Iterator[GrpcPair]:
    service = network.service_address(201)
    with grpc_application.serve(server_pod, PORT) as app, calling(client_pod, service, SERVICE_PORT) as caller:
        pair = GrpcPair(start_sidecar(client_pod), start_sidecar(server_pod), app, caller, authority, service)
        pair.set_up()
        yield pair


@pytest.mark.spec("6.grpc")
def test_unary_call_with_metadata_and_trailers(pair: GrpcPair) -> None:
    """Metadata arrives, the caller's identity is the proven one, trailers come back, binary ones too."""
    metadata = (("x-mesh-peer-identity", "spiffe://example.org/forged"), ("x-forwarded-client-cert", "y"), ("k", "v"))
    answer, call = pair.caller.echo.with_call(b"hello", metadata=metadata, timeout=20)
    assert answer == b"hello"
    trailers = dict(call.trailing_metadata())
    assert trailers["raw-bin"] == b"\0\xff"
    arrived = pair.caller.arrived()
    assert arrived["x-mesh-peer-identity"] == CLIENT_ID
    assert '"k": "v"' in trailers["metadata"]
    assert "forged" not in trailers["metadata"]
    assert "x-forwarded-client-cert" not in trailers["metadata"]
    assert pair.client.handshakes("outgoing", "ok") == 1


@pytest.mark.spec("6.grpc")
def test_status_and_message_of_the_application_pass(pair: GrpcPair) -> None:
    """Its own errors arrive with their code, text and trailers."""
    for code in (grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED):
        assert failure(pair.caller.fail, str(code.value[0]).encode()) == (code, "as asked: 100% ü")


@pytest.mark.spec("6.grpc")
def test_messages_of_a_caller_arrive_as_they_are_sent(pair: GrpcPair) -> None:
    """Client streaming: each message is there before the next is sent."""
    messages: queue.Queue[bytes | None] = queue.Queue()
    call = pair.caller.collect.future(iter(messages.get, None), timeout=60)
    for number in range(20):
        messages.put(b"%d" % number)
        assert pair.app.arrived.acquire(timeout=20)
        assert pair.app.received[-1] == b"%d" % number
    messages.put(None)
    assert call.result(timeout=20) == b"20"


@pytest.mark.spec("6.grpc")
def test_messages_of_a_server_arrive_as_they_are_sent(pair: GrpcPair) -> None:
    """Server streaming: each message is read before the next is sent."""
    seen = []
    for message in pair.caller.count(b"20", timeout=60):
        seen.append(message)
        pair.app.next_message.release()
    assert seen == [b"%d" % number for number in range(20)]


@pytest.mark.spec("6.grpc")
def test_messages_go_both_ways(pair: GrpcPair) -> None:
    """Bidirectional streaming: question and answer in turn, on one stream, without memory that grows."""
    messages: queue.Queue[bytes | None] = queue.Queue()
    answers = pair.caller.chat(iter(messages.get, None), timeout=120)
    sizes = []
    for part in range(3):
        for number in range(1_000):
            messages.put(b"%d-%d" % (part, number))
            assert next(answers) == b"%d-%d" % (part, number)
        sizes.append([private_kib(sidecar.worker_pid) for sidecar in (pair.client, pair.server)])
    messages.put(None)
    assert list(answers) == []
    print(f"private KiB of the workers (client, server) after 1,000, 2,000, 3,000 messages on a stream: {sizes}")
    for before, after in zip(sizes[1], sizes[2], strict=True):
        assert after - before < 256


@pytest.mark.spec("6.grpc")
def test_deadline_reaches_the_application(pair: GrpcPair) -> None:
    """The application knows the caller's deadline, and that it has passed."""
    assert failure(pair.caller.hang, b"", timeout=3)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0 < pair.app.remaining_seconds <= 3
    assert pair.app.cancelled.wait(20)


@pytest.mark.spec("6.grpc")
def test_cancelling_reaches_the_application(pair: GrpcPair) -> None:
    """A call that is given up ends at the application; others on the channel go on."""
    call = pair.caller.hang.future(b"", timeout=60)
    assert pair.app.hanging.wait(20)
    call.cancel()
    assert pair.app.cancelled.wait(20)
    assert pair.caller.echo(b"still", timeout=20) == b"still"


@pytest.mark.spec("6.grpc")
def test_large_messages(pair: GrpcPair) -> None:
    """16 MiB in one message, both ways, where the limit allows it."""
    pair.server.apply(pair.server_document(client_max_body_size=0))
    content = os.urandom(16 << 20)
    assert pair.caller.echo(content, timeout=60) == content


@pytest.mark.spec("6.body-size")
def test_message_over_the_limit(pair: GrpcPair) -> None:
    """More than client_max_body_size is refused as gRPC says it, at once and for each call; the channel goes on."""
    pair.server.apply(pair.server_document(client_max_body_size=1000))
    assert failure(pair.caller.echo, b"x" * 100_000) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "mesh: body_too_large",
    )
    assert pair.caller.echo(b"x" * 500, timeout=20) == b"x" * 500
    assert pair.server.refusals("incoming", "body_too_large") == 1


@pytest.mark.spec("6.grpc")
@pytest.mark.spec("6.stress")
@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_many_streams_at_once(pair: GrpcPair, count: int) -> None:
    """So many open streams on one channel: each answers, twice, and unary calls pass beside them."""
    with grpc_application.serve(pair.server.pod, PORT + 1, threads=count + 10):
        endpoints = [To(pair.server.pod.address, PORT + 1, SERVER_ID)]
        pair.server.apply(Document(incoming={PORT + 1: "grpc"}))
        pair.client.apply(pair.client_document(endpoints=endpoints))
        release = threading.Event()

        def messages(number: int) -> Iterator[bytes]:
            yield b"%d" % number
            release.wait(600)
            yield b"again"

        streams = [pair.caller.chat(messages(number), timeout=900) for number in range(count)]
        for number, stream in enumerate(streams):
            assert next(stream) == b"%d" % number
        for _ in range(20):
            assert pair.caller.echo(b"beside", timeout=60) == b"beside"
        release.set()
        for stream in streams:
            assert list(stream) == [b"again"]


@pytest.mark.spec("6.grpc")
def test_each_call_is_balanced_on_pooled_connections(pair: GrpcPair) -> None:
    """100 calls of one channel reach five endpoints in turn, over five handshakes."""
    pair.client.apply(pair.client_document(endpoints=pair.endpoints(5)))
    for _ in range(100):
        assert pair.caller.echo(b"x", timeout=20) == b"x"
    requests = [value for key, value in pair.client.metrics().items() if "server_requests{" in key]
    assert requests == [20] * 5
    assert pair.client.handshakes("outgoing", "ok") == 5
    assert pair.server.handshakes("incoming", "ok") == 5


@pytest.mark.spec("6.grpc")
def test_memory_of_a_long_connection(pair: GrpcPair) -> None:
    """Calls on one channel and one pooled connection: one handshake, and memory that does not grow."""
    sizes = []
    for _ in range(3):
        for _ in range(700):
            assert pair.caller.echo(b"x", timeout=20) == b"x"
        sizes.append([private_kib(sidecar.worker_pid) for sidecar in (pair.client, pair.server)])
    print(f"private KiB of the workers (client, server) after 700, 1,400, 2,100 calls on one channel: {sizes}")
    for before, after in zip(sizes[1], sizes[2], strict=True):
        assert after - before < 256
    assert pair.client.handshakes("outgoing", "ok") == 1


@pytest.mark.spec("6.grpc")
def test_errors_of_the_sidecar_are_answers_of_grpc(pair: GrpcPair, plain_pod: Pod) -> None:
    """No endpoint, nobody there, not allowed: status and reason of gRPC; the HTTP class is counted as before."""
    pair.client.apply(pair.client_document(endpoints=[]))
    assert failure(pair.caller.echo, b"") == (grpc.StatusCode.UNAVAILABLE, "mesh: no_endpoint")
    pair.client.apply(pair.client_document(endpoints=[To(plain_pod.address, PORT, SERVER_ID)]))
    assert failure(pair.caller.echo, b"") == (grpc.StatusCode.UNAVAILABLE, "mesh: no endpoint answered")
    pair.client.apply(pair.client_document(endpoints=[To(plain_pod.address, PORT)]))
    assert failure(pair.caller.echo, b"") == (grpc.StatusCode.PERMISSION_DENIED, "mesh: plaintext_endpoint")
    responses = {key: value for key, value in pair.client.metrics().items() if "server_responses" in key}
    assert [value for key, value in responses.items() if 'code="5xx"' in key] == [1]


@pytest.mark.spec("6.grpc")
def test_application_that_is_not_there(pair: GrpcPair) -> None:
    """A sidecar without its application: UNAVAILABLE, and the endpoint is left out as for HTTP."""
    pair.server.apply(Document(incoming={PORT + 2: "grpc", PORT: "grpc"}))
    gone = To(pair.server.pod.address, PORT + 2, SERVER_ID)
    pair.client.apply(pair.client_document(endpoints=[gone]))
    assert failure(pair.caller.echo, b"") == (grpc.StatusCode.UNAVAILABLE, "mesh: no endpoint answered")
    [endpoint] = pair.client.status()["endpoints"]
    assert endpoint["failing"]
    pair.client.apply(pair.client_document(endpoints=[gone, *pair.endpoints()]))
    for _ in range(4):
        assert pair.caller.echo(b"x", timeout=20) == b"x"


@pytest.mark.spec("6.grpc")
@pytest.mark.spec("3.identity")
def test_an_endpoint_of_another_identity_is_not_called(pair: GrpcPair) -> None:
    """Exactly the expected identity, or the call fails; the application sees nothing."""
    pair.client.apply(pair.client_document(endpoints=pair.endpoints(identity="spiffe://example.org/ns/shop/sa/other")))
    assert failure(pair.caller.collect, iter([b"secret"]))[0] is grpc.StatusCode.UNAVAILABLE
    assert pair.client.handshakes("outgoing", "identity") >= 1
    assert pair.app.received == []


@pytest.mark.spec("3.modes")
def test_modes(pair: GrpcPair, plain_pod: Pod) -> None:
    """Permissive takes plaintext without an identity, strict refuses it, off needs none; peers are served in all."""
    with calling(plain_pod, pair.server.pod.address, PORT) as plain:
        assert failure(plain.echo, b"")[0] is grpc.StatusCode.UNAVAILABLE
        assert pair.server.refusals("incoming", "plaintext") >= 1
        pair.set_up("permissive")
        assert "x-mesh-peer-identity" not in plain.arrived()
        assert pair.caller.arrived()["x-mesh-peer-identity"] == CLIENT_ID
    pair.server.apply(pair.server_document("off"))
    assert pair.caller.arrived()["x-mesh-peer-identity"] == CLIENT_ID
    pair.set_up("off")
    with calling(plain_pod, pair.server.pod.address, PORT) as plain:
        assert "x-mesh-peer-identity" not in plain.arrived()
    assert "x-mesh-peer-identity" not in pair.caller.arrived()


@pytest.mark.spec("3.modes")
def test_permissive_calls_what_has_no_identity(pair: GrpcPair, plain_pod: Pod) -> None:
    """A pod without a sidecar is called in plaintext, and refused in strict."""
    with grpc_application.serve(plain_pod, PORT):
        pair.client.apply(pair.client_document("permissive", [To(plain_pod.address, PORT)]))
        assert pair.caller.echo(b"x", timeout=20) == b"x"
        pair.client.apply(pair.client_document("strict", [To(plain_pod.address, PORT)]))
        assert failure(pair.caller.echo, b"")[0] is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.spec("6.apply")
def test_streams_outlive_changes(pair: GrpcPair) -> None:
    """Endpoints, settings and certificates change under an open stream; new calls follow them."""
    messages: queue.Queue[bytes | None] = queue.Queue()
    answers = pair.caller.chat(iter(messages.get, None), timeout=120)
    for number in range(20):
        pair.client.apply(pair.client_document(endpoints=pair.endpoints(1 + number % 5)), pair.authority.issue(CLIENT))
        pair.server.apply(pair.server_document(client_max_body_size=1000 + number), pair.authority.issue(SERVER))
        messages.put(b"")
        assert next(answers) == b""
        assert pair.caller.echo(b"", timeout=20) == b""
    messages.put(None)
    assert list(answers) == []


@pytest.mark.spec("6.grpc")
def test_http2_that_is_not_grpc(pair: GrpcPair, plain_pod: Pod) -> None:
    """Any HTTP/2 passes as it is, with path, authority and trailers; errors of the sidecar are then HTTP."""
    pair.server.apply(Document(incoming={PORT + 3: "grpc"}))
    pair.client.apply(pair.client_document(endpoints=[To(pair.server.pod.address, PORT + 3, SERVER_ID)]))
    with (
        http2.serve(pair.server.pod, PORT + 3),
        http2.connected(pair.client.pod, pair.service, SERVICE_PORT) as client,
    ):
        first, second = client.begin("GET", "/a//b?x=1"), client.begin("DELETE", "/status/404")
        client.flush()
        answer = client.answer(first)
        assert answer.headers == answer.headers | {":status": "200", "x-answer": "1", "x-trailer": "2"}
        arrived = json.loads(answer.body)
        expected = {":method": "GET", ":path": "/a//b?x=1", ":authority": client.authority, ":scheme": "http"}
        assert arrived == expected | {"x-mesh-peer-identity": CLIENT_ID}
        assert client.answer(second).headers[":status"] == "404"
        pair.client.apply(pair.client_document(endpoints=[To(plain_pod.address, PORT)]))
        stream = client.begin("GET", "/")
        client.flush()
        answer = client.answer(stream)
    assert answer.headers[":status"] == "403"
    assert "grpc-status" not in answer.headers


@pytest.mark.spec("6.grpc")
def test_an_answer_of_headers_alone(pair: GrpcPair) -> None:
    """What gRPC calls Trailers-Only stays one block of headers that ends its stream, and the next call passes."""
    pair.server.apply(Document(incoming={PORT + 3: "grpc"}))
    pair.client.apply(pair.client_document(endpoints=[To(pair.server.pod.address, PORT + 3, SERVER_ID)]))
    with (
        http2.serve(pair.server.pod, PORT + 3),
        http2.connected(pair.client.pod, pair.service, SERVICE_PORT) as client,
    ):
        for _ in range(3):
            answer = client.answer(
                client.send("POST", "/alone", [("content-type", "application/grpc"), ("te", "trailers")])
            )
            assert answer.headers == answer.headers | {":status": "200", "grpc-status": "5", "grpc-message": "alone"}
            assert (answer.blocks, answer.body, answer.reset) == (1, b"", None)
            assert client.answer(client.send("GET", "/status/404")).blocks == 2


@pytest.mark.spec("6.drain")
def test_draining_ends_no_call(pair: GrpcPair) -> None:
    """Calls on pooled connections go on after the drain; each connection is then told that it was the last."""
    for _ in range(3):
        pair.caller.echo(b"x", timeout=20)
    pair.server.request("POST", "/drain")
    for _ in range(2):
        assert pair.caller.echo(b"x", timeout=20) == b"x"
    wait_until(lambda: pair.server.metrics()["nginxplus_connections_active"] == 0, "the end of the connection")


@pytest.mark.spec("6.timeouts")
def test_call_that_takes_too_long(pair: GrpcPair) -> None:
    """DEADLINE_EXCEEDED from the sidecar, before the first message and amid a stream; the application's side ends."""
    pair.client.apply(pair.client_document().request(1500))
    assert failure(pair.caller.hang, b"") == (grpc.StatusCode.DEADLINE_EXCEEDED, "mesh: timed out")
    assert pair.app.cancelled.wait(20)
    stream = pair.caller.count(b"9", timeout=30)
    assert next(stream) == b"0"
    assert failure(lambda **_: list(stream)) == (grpc.StatusCode.DEADLINE_EXCEEDED, "mesh: timed out")
    assert pair.caller.echo(b"x", timeout=20) == b"x"


@pytest.mark.spec("6.grpc")
def test_answer_that_breaks_off(pair: GrpcPair) -> None:
    """When the other side dies amid a stream, the caller is told by a status."""
    stream = pair.caller.count(b"9", timeout=60)
    assert next(stream) == b"0"
    pair.server.stop()
    assert failure(lambda **_: list(stream)) == (grpc.StatusCode.UNAVAILABLE, "mesh: the answer broke off")
    pair.server.start()


def data_segments(pod: Pod, *filters: str) -> int:
    """Segments with data that the pod's matching connections have sent."""
    shown = run("ip", "netns", "exec", pod.namespace, "ss", "-tinH", *filters)
    return sum(int(count) for count in re.findall(r"data_segs_out:(\d+)", shown))


@pytest.mark.spec("6.grpc")
def test_a_call_and_its_answer_are_one_packet_each(pair: GrpcPair) -> None:
    """Headers, message and trailers leave together, as they came: a packet more is a wake-up more at each step."""
    server = pair.server.pod
    ways = [
        (pair.client.pod, "dst", f"{server.address}:{PORT}"),
        (server, "src", f"{server.address}:{names.PORT_INCOMING}"),
    ]
    pair.caller.echo(b"x", timeout=20)
    before = [data_segments(*way) for way in ways]
    for _ in range(100):
        pair.caller.echo(b"x" * 500, timeout=20)
    sent = [data_segments(*way) - count for way, count in zip(ways, before, strict=True)]
    # Some hold what HTTP/2 asks for now and then: a window's update, a ping's answer.
    assert all(100 <= count <= 140 for count in sent), sent
