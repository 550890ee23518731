"""Callers with certificates of their own and no sidecar: what a test needs many of."""

import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from mesh.spiffe import tls
from tests.fakes.authority import Authority, Issued
from tests.nginx.conftest import APPLICATION_PORT, SERVER, Pair
from tests.nginx.documents import Document
from tests.nginx.network import Pod
from tests.nginx.sidecar import Response

NEVER = 1
"""Microrequests per second: a bucket that does not run out while a test lasts."""


def pod_certificate(authority: Authority, pod: str, account: str = "client") -> Issued:
    """What SPIRE issues for the pod ``namespace/name``: its name, and those of its service account and Service, too."""
    namespace, _, name = pod.partition("/")
    names = (name, f"{account}.{namespace}.svc", "web", f"web.{namespace}.svc.cluster.local")
    return authority.issue(f"/ns/{namespace}/sa/{account}", names)


class Peer:
    """One keep-alive connection from *pod* by mutual TLS, with this certificate; None: in plaintext."""

    def __init__(self, pod: Pod, address: str, port: int, issued: Issued | None = None, timeout: float = 30) -> None:
        raw = pod.connect(address, port, timeout)
        self.connection = http.client.HTTPConnection(address, port, timeout)
        self.connection.sock = raw
        if issued is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            tls.apply(context, issued.context())
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.connection.sock = context.wrap_socket(raw)
        self.sent = self.answered = 0.0

    def send(self, path: str = "/", method: str = "GET", headers: Mapping[str, str] | None = None) -> None:
        """Ask, and do not wait for the answer."""
        self.sent = time.monotonic()
        self.connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            self.connection.putheader(name, value)
        self.connection.endheaders()

    def answer(self) -> Response:
        """The answer to what was asked."""
        response = Response(self.connection.getresponse())
        self.answered = time.monotonic()
        return response

    def ask(self, path: str = "/", method: str = "GET", headers: Mapping[str, str] | None = None) -> Response:
        """Ask and wait."""
        self.send(path, method, headers)
        return self.answer()

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Limited:
    """A server whose callers have certificates of pods, and may have no sidecar."""

    pair: Pair
    pod: Pod

    def document(self, mode: str = "strict") -> Document:
        return Document(mode=mode, incoming={APPLICATION_PORT: "http", 9090: "http"})

    def apply(self, document: Document) -> None:
        self.pair.server.apply(document, self.pair.issue(SERVER))

    @contextmanager
    def peer(self, pod: str, account: str = "client", port: int = APPLICATION_PORT) -> Iterator[Peer]:
        """A connection of the pod ``namespace/name``; "" is a caller in plaintext."""
        issued = pod_certificate(self.pair.authority, pod, account) if pod else None
        with Peer(self.pod, self.pair.server.pod.address, port, issued) as peer:
            yield peer

    def let_in(self, pod: str, account: str = "client", tries: int = 6) -> int:
        """How many of so many requests on one connection come through; the first ones must be those."""
        with self.peer(pod, account) as peer:
            statuses = [peer.ask().status for _ in range(tries)]
        count = statuses.count(200)
        assert statuses == [200] * count + [503] * (tries - count)
        return count
