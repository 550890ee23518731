"""TCP applications behind a sidecar: what a test wants them to do with a connection, and what they saw."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.nginx.conftest import SERVER_ID, Pair
from tests.nginx.documents import Document, To
from tests.nginx.network import Pod
from tests.nginx.sidecar import wait_until

TCP_PORT = 9000
SERVICE_PORT = 5432
GREETING = b"hello\n"
PARTING = b"bye\n"

Handler = Callable[["Server", socket.socket], None]


class Server:
    """One listening socket; *handler* has each connection in a thread of its own until it returns."""

    def __init__(self, listener: socket.socket, handler: Handler) -> None:
        self.accepted: list[socket.socket] = []
        self.local: list[str] = []
        self.heard = bytearray()
        self.errors: list[str] = []
        self._listener = listener
        self._handler = handler
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted.append(connection)
            self.local.append(connection.getsockname()[0])
            thread = threading.Thread(target=self._handle, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _handle(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        try:
            self._handler(self, connection)
        except OSError as error:
            self.errors.append(type(error).__name__)
        finally:
            connection.close()

    def close(self) -> None:
        """Stop accepting, break what is open, wait for the threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for connection in self.accepted:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()


def echo(server: Server, connection: socket.socket) -> None:
    """Send back what comes, until its end."""
    while data := connection.recv(65536):
        server.heard += data
        connection.sendall(data)


def greet(server: Server, connection: socket.socket) -> None:
    """Speak first, note what comes until its end, then say a last word: the other side has ended its half."""
    connection.sendall(GREETING)
    while data := connection.recv(65536):
        server.heard += data
    connection.sendall(PARTING)


@contextmanager
def serving(
    pod: Pod, handler: Handler = echo, port: int = TCP_PORT, family: socket.AddressFamily = socket.AF_INET
) -> Iterator[Server]:
    """A TCP application in *pod*."""
    server = Server(pod.listener(port, family), handler)
    try:
        yield server
    finally:
        server.close()


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes or resets."""
    data = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return data


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer if the other side ends."""
    data = bytearray()
    while len(data) < size and (part := connection.recv(size - len(data))):
        data += part
    return bytes(data)


def is_reset(connection: socket.socket) -> bool:
    """Whether the connection ends by a reset, not by the end of its bytes."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


def endpoints(pair: Pair, count: int = 1, identity: str = SERVER_ID) -> list[To]:
    """The first *count* addresses of the server, at the TCP port."""
    return [To(address, TCP_PORT, identity, "shop/db-0") for address in pair.server.pod.addresses[:count]]


def client_document(
    pair: Pair, mode: str = "strict", to: list[To] | None = None, lb: str = "round_robin", **settings: object
) -> Document:
    """A tcp Service of the server's."""
    return Document(mode=mode, settings=settings).service(
        "shop/db", pair.service, SERVICE_PORT, endpoints(pair) if to is None else to, "tcp", lb
    )


def server_document(mode: str = "strict", **settings: object) -> Document:
    """The server with one tcp port."""
    return Document(mode=mode, incoming={TCP_PORT: "tcp"}, settings=settings)


def set_up(pair: Pair, mode: str = "strict") -> None:
    """Both sidecars in *mode*."""
    pair.client.apply(client_document(pair, mode))
    pair.server.apply(server_document(mode))


def call(pair: Pair, timeout: float = 10) -> socket.socket:
    """A connection of the client's application to the Service."""
    return pair.client.pod.connect(pair.service, SERVICE_PORT, timeout)


def exchange(connection: socket.socket, data: bytes = b"ping") -> bytes:
    """Say something to an echo."""
    connection.sendall(data)
    return read_exactly(connection, len(data))


def call_is_reset(pair: Pair, data: bytes = b"ping") -> bool:
    """Whether a call of the Service ends by a reset, be it while it is made."""
    try:
        with call(pair) as connection:
            connection.sendall(data)
            return is_reset(connection)
    except (ConnectionResetError, BrokenPipeError):
        return True


def wait_for_refusal(pair: Pair, side: str, reason: str, count: int = 1) -> None:
    """Wait until a sidecar has counted so many refusals: "incoming" at the server, "outgoing" at the client."""
    sidecar = pair.server if side == "incoming" else pair.client
    wait_until(lambda: sidecar.refusals(side, reason) == count, f"{count} refusals {reason}")
