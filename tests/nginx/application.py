"""The application behind a sidecar: says what reached it, and does what some paths ask for."""

import base64
import hashlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.nginx.network import Pod

_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(http.server.BaseHTTPRequestHandler):
    """/ echoes the request as JSON; /status/N, /chunked, /websocket, /hang, /drop, /large do what they say."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one segment, as servers do: else each answer waits for a delayed ACK

    @property
    def application(self) -> "Application":
        """The server, as what it is."""
        assert isinstance(self.server, Application)
        return self.server

    def handle_any(self) -> None:
        body = self._body()
        with self.application.changed:
            self.application.requests.append(self.path)
            self.application.changed.notify_all()
        time.sleep(self.application.delay_seconds)
        if self.application.failures:
            self._fail(self.application.failures.pop(0))
        elif self.path == "/websocket":
            self._websocket()
        elif self.path == "/drop":
            self.close_connection = True
        elif self.path == "/hang":
            self.application.release.wait(30)
            self._answer(200, b"released")
        elif self.path == "/chunked":
            self._chunked()
        elif self.path == "/large":
            self._answer(200, bytes(4 << 20))
        elif self.path.startswith("/status/"):
            self._answer(int(self.path.rpartition("/")[2]), b"as asked")
        else:
            self._answer(200, self._echo(body))

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the base class calls them so

    def setup(self) -> None:
        super().setup()
        self.application.connections += 1

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _echo(self, body: bytes) -> bytes:
        content = {
            "method": self.command,
            "path": self.path,
            "headers": self.headers.items(),
            "local": self.connection.getsockname()[0],
            "name": self.application.name,
            "body_length": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        return json.dumps(content).encode()

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Canary", self.headers.get("X-Canary", ""))
        for name, value in self.application.claims.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _fail(self, status: int) -> None:
        if status:
            self._answer(status, b"failed")
        else:
            self.close_connection = True

    def _chunked(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(3):
            # The client reads a chunk before the next is sent: nothing on the way may hold one back.
            self.wfile.write(b"7\r\nchunk %d\r\n" % number)
            self.wfile.flush()
            self.application.next_chunk.acquire(timeout=30)
        self.wfile.write(b"0\r\n\r\n")

    def _websocket(self) -> None:
        key = self.headers["Sec-WebSocket-Key"].encode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.wfile.flush()
        while data := self.connection.recv(4096):
            self.connection.sendall(data)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing: pytest shows what failed."""


class Application(http.server.ThreadingHTTPServer):
    """A server on a listening socket of a pod; it remembers the paths that it was asked for."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, name: str) -> None:
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.name = name
        self.requests: list[str] = []
        self.connections = 0
        self.failures: list[int] = []  # statuses of the next answers; 0: none, the connection is closed
        self.claims: dict[str, str] = {}  # further headers of the next answers
        self.delay_seconds = 0.0
        self.changed = threading.Condition()
        self.release = threading.Event()
        self.next_chunk = threading.Semaphore(0)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that goes away is part of some tests."""


@contextmanager
def serve(
    pod: Pod, port: int = 8080, name: str = "app", family: socket.AddressFamily = socket.AF_INET
) -> Iterator[Application]:
    """Run an application in *pod*."""
    application = Application(pod.listener(port, family), name)
    thread = threading.Thread(target=application.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield application
    finally:
        application.release.set()
        application.shutdown()
        application.server_close()
        thread.join()
