"""The gRPC call without a socket: bytes from a server in any pieces, messages or errors out."""

import itertools
import struct

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.spiffe import grpc

Headers = list[tuple[str, str]]
OK_HEAD: Headers = [(":status", "200"), ("content-type", "application/grpc")]


def framed(message: bytes, compressed: bool = False) -> bytes:
    return struct.pack(">?I", compressed, len(message)) + message


class Server:
    """The other end of a call, made with the same HTTP/2 library's server side."""

    def __init__(self, request: bytes = b"ask") -> None:
        self.call = grpc._Call("/a.B/C", request, [("x-key", "value")])
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._http.initiate_connection()
        self.events = self._http.receive_data(self.call.to_send())

    def answer(self, head: Headers | None, body: bytes = b"", trailers: Headers | None = None) -> bytes:
        """Bytes of a whole answer."""
        if head is not None:
            self._http.send_headers(1, head)
        if body:
            self._http.send_data(1, body)
        if trailers is not None:
            self._http.send_headers(1, trailers, end_stream=True)
        return self._http.data_to_send()

    def reset(self, code: int) -> bytes:
        self._http.reset_stream(1, code)
        return self._http.data_to_send()

    def go_away(self) -> bytes:
        self._http.close_connection(2)
        return self._http.data_to_send()


def finish(call: grpc._Call, data: bytes) -> list[bytes]:
    messages = call.receive(data)
    if call.ended:
        call.check()
    return messages


def test_the_request_is_sent_as_grpc_wants_it() -> None:
    """Method, content type, trailers, metadata, and the length-prefixed message."""
    seen = {type(event).__name__: event for event in Server().events}
    headers = dict(seen["RequestReceived"].headers)  # type: ignore[attr-defined]
    assert headers[b":path"] == b"/a.B/C"
    assert (headers[b"content-type"], headers[b"te"], headers[b"x-key"]) == (b"application/grpc", b"trailers", b"value")
    assert seen["DataReceived"].data == framed(b"ask")  # type: ignore[attr-defined]
    assert "StreamEnded" in seen


@given(st.lists(st.binary(max_size=50), max_size=4), st.lists(st.integers(1, 400), max_size=8))
def test_messages_in_any_pieces(messages: list[bytes], cuts: list[int]) -> None:
    """However TCP cuts the answer, the same messages come out."""
    server = Server()
    body = b"".join(map(framed, messages))
    data = server.answer(OK_HEAD, body, [("grpc-status", "0")])
    places = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    received: list[bytes] = []
    for begin, end in itertools.pairwise(places):
        received += server.call.receive(data[begin:end])
    assert server.call.ended
    server.call.check()
    assert received == messages


@pytest.mark.parametrize(
    ("head", "body", "trailers", "status", "text"),
    [
        ([*OK_HEAD, ("grpc-status", "7"), ("grpc-message", "no%20entry")], b"", None, 7, "no entry"),
        (OK_HEAD, framed(b"x"), [("grpc-status", "14"), ("grpc-message", "bye")], 14, "bye"),
        (OK_HEAD, b"", [("grpc-status", "many")], 2, "UNKNOWN"),
        (OK_HEAD, b"", [("x", "y")], 2, "no grpc-status; HTTP status 200"),
        (OK_HEAD, framed(b"x", compressed=True), [("grpc-status", "0")], 13, "compressed"),
        (OK_HEAD, struct.pack(">?I", False, grpc.MAX_MESSAGE_BYTES + 1), [("grpc-status", "0")], 13, "message of"),
        (OK_HEAD, framed(b"xyz")[:-1], [("grpc-status", "0")], 13, "cut short"),
    ],
    ids=["trailers only", "error at the end", "rubbish status", "no status", "compressed", "huge", "cut"],
)
def test_failures(head: Headers, body: bytes, trailers: Headers | None, status: int, text: str) -> None:
    """Each has its status and says why."""
    server = Server()
    data = server.answer(None, trailers=head) if trailers is None else server.answer(head, body, trailers)
    with pytest.raises(grpc.GrpcError, match=text) as caught:
        finish(server.call, data)
    assert caught.value.status == status


def test_hanging_up_resetting_and_going_away() -> None:
    """All are UNAVAILABLE: worth another try."""
    for make in (lambda server: b"", lambda server: server.reset(8), lambda server: server.go_away()):  # noqa: ARG005
        server = Server()
        with pytest.raises(grpc.GrpcError) as caught:
            server.call.receive(make(server))
        assert caught.value.status == grpc.Status.UNAVAILABLE


def test_a_reset_after_the_trailers_is_no_error() -> None:
    """Go servers send NO_ERROR to say that they want no more of the request (RFC 9113, 8.1)."""
    server = Server()
    server._http.send_headers(1, [*OK_HEAD, ("grpc-status", "0")])
    server.call.receive(server._http.data_to_send())
    server.call.receive(server.reset(0))
    assert server.call.ended
    server.call.check()


@given(st.binary(min_size=1, max_size=300))
def test_rubbish_never_surprises(data: bytes) -> None:
    """Random bytes: a gRPC or an HTTP/2 error, which the caller turns into one, or waiting for more."""
    try:
        finish(Server().call, data)
    except (grpc.GrpcError, h2.exceptions.H2Error):
        pass


def test_a_long_request_waits_for_the_window() -> None:
    """More than the server's flow control lets through at once arrives whole."""
    request = bytes(200_000)
    call = grpc._Call("/a.B/C", request, [])
    http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    http.initiate_connection()
    received = b""
    for _ in range(20):
        for event in http.receive_data(call.to_send()):
            if isinstance(event, h2.events.DataReceived):
                received += event.data or b""
                http.acknowledge_received_data(event.flow_controlled_length or 0, 1)
        call.receive(http.data_to_send() or b"\x00\x00\x00\x04\x01\x00\x00\x00\x00")
    assert received == framed(request)
