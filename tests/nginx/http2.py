"""HTTP/2 as it is told, well-behaved or not: a caller and an application, h2 on sockets of a pod."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from tests.nginx.network import Pod


@dataclass
class Answer:
    """What came back on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    blocks: int = 0
    body: bytes = b""
    reset: int | None = None
    ended: bool = False


class Http2:
    """One connection with prior knowledge."""

    def __init__(self, pod: Pod, address: str, port: int, timeout: float = 20) -> None:
        self.socket = pod.connect(address, port, timeout)
        self.authority = f"{address}:{port}"
        # What is odd in a request is the test's intention.
        config = H2Configuration(header_encoding="utf-8", validate_outbound_headers=False)
        self.connection = H2Connection(config)
        self.connection.initiate_connection()
        self.closed = False
        self.told_to_go = False
        self._answers: dict[int, Answer] = {}
        self.flush()

    def flush(self) -> None:
        """Send what was prepared."""
        self.socket.sendall(self.connection.data_to_send())

    def begin(
        self, method: str = "GET", path: str = "/", headers: list[tuple[str, str]] | None = None, end: bool = True
    ) -> int:
        """Prepare a request, give its stream."""
        stream = self.connection.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", self.authority), (":path", path)]
        self.connection.send_headers(stream, [*head, *(headers or [])], end_stream=end)
        self._answers[stream] = Answer()
        return stream

    def send(self, method: str = "GET", path: str = "/", headers: list[tuple[str, str]] | None = None) -> int:
        """Send a request without a body, give its stream."""
        stream = self.begin(method, path, headers)
        self.flush()
        return stream

    def answer(self, stream: int) -> Answer:
        """Read until the stream or the connection ends."""
        answer = self._answers[stream]
        while not answer.ended and not self.closed:
            self.read()
        return answer

    def has_ended(self, stream: int) -> bool:
        """Whether its answer is there, as far as was read."""
        return self._answers[stream].ended

    def body(self, stream: int) -> bytes:
        """What was read of its answer's body."""
        return self._answers[stream].body

    def reset(self, stream: int) -> None:
        """Call it off."""
        self.connection.reset_stream(stream)
        self.flush()

    def read(self) -> None:
        """Take one piece of what comes."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.connection.receive_data(data):
            self._note(event)
        if not self.told_to_go:
            self.flush()

    def _note(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.told_to_go = True
        answer = self._answers.get(getattr(event, "stream_id", 0) or 0, Answer())
        if isinstance(event, ResponseReceived | TrailersReceived):
            answer.blocks += 1
            answer.headers.update({str(name): str(value) for name, value in event.headers or ()})
        elif isinstance(event, DataReceived):
            answer.body += event.data or b""
            self.connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, StreamReset):
            answer.reset, answer.ended = int(event.error_code or 0), True
        elif isinstance(event, StreamEnded):
            answer.ended = True


@contextmanager
def connected(pod: Pod, address: str, port: int) -> Iterator[Http2]:
    """A connection for the length of the block."""
    client = Http2(pod, address, port)
    try:
        yield client
    finally:
        client.socket.close()


def _serve_connection(connection: socket.socket) -> None:
    h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    h2.initiate_connection()
    requests: dict[int, dict[str, str]] = {}
    with connection, suppress(OSError):
        connection.sendall(h2.data_to_send())
        while data := connection.recv(65536):
            for event in h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    requests[event.stream_id or 0] = {str(k): str(v) for k, v in event.headers or ()}
                elif isinstance(event, StreamEnded):
                    stream = event.stream_id or 0
                    request = requests.pop(stream)
                    if request[":path"] == "/alone":
                        alone = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5")]
                        h2.send_headers(stream, [*alone, ("grpc-message", "alone")], end_stream=True)
                        continue
                    status = request[":path"].rpartition("/status/")[2] if "/status/" in request[":path"] else "200"
                    h2.send_headers(stream, [(":status", status), ("x-answer", "1")])
                    h2.send_data(stream, json.dumps(request).encode())
                    h2.send_headers(stream, [("x-trailer", "2")], end_stream=True)
            connection.sendall(h2.data_to_send())


@contextmanager
def serve(pod: Pod, port: int) -> Iterator[None]:
    """Answers each request with its headers as JSON, and a trailer; /status/N with that status; /alone with headers only."""
    listener = pod.listener(port)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=_serve_connection, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
