"""An HTTP/1.1 application that answers byte for byte what a test says, and keeps what reached it."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.nginx import streams
from tests.nginx.conftest import SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.network import Pod

PORT = 8102
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Script:
    """Requests without bodies: each gets the answer of its path, or 200."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self.answers = dict(answers)
        self.once: dict[str, bytes] = {}  # then the connection is closed
        self.heads: list[bytes] = []

    def __call__(self, _: streams.Server, connection: socket.socket) -> None:
        """Serve one connection until its end."""
        while head := read_head(connection):
            self.heads.append(head)
            path = head.split()[1].decode()
            if path in self.once:
                connection.sendall(self.once.pop(path))
                return
            connection.sendall(self.answers.get(path, OK))


def read_head(connection: socket.socket) -> bytes:
    """One request's or answer's head, with the empty line; what there is, if the connection ends before."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        head += byte
    return head


def header(head: bytes, name: bytes) -> list[bytes]:
    """The values of a header."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [value.strip() for key, _, value in lines if key.lower() == name.lower()]


@contextmanager
def serving(pair: Pair, answers: Mapping[str, bytes], mode: str = "strict") -> Iterator[Script]:
    """The application behind the server's sidecar, at the pair's Service."""
    pair.server.apply(Document(mode=mode, incoming={PORT: "http"}))
    pair.client.apply(pair.client_document(mode, [To(pair.server.pod.address, PORT, SERVER_ID)]))
    with script(pair.server.pod, answers) as made:
        yield made


@contextmanager
def script(pod: Pod, answers: Mapping[str, bytes], port: int = PORT) -> Iterator[Script]:
    """The application in any pod."""
    made = Script(answers)
    with streams.serving(pod, made, port):
        yield made
