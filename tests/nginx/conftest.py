"""A pair of pods with sidecars, and what tests of the data plane share."""

import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedded.tools import __main__ as tools
from embedded.tools import lock, paths
from tests.fakes.authority import Authority, Issued
from tests.fakes.nats_server import HOST, write_certificates
from tests.nginx import application, binary, sanitized
from tests.nginx.agent_mesh import PORT, Mesh
from tests.nginx.documents import Document, To
from tests.nginx.network import Network, Pod, run, subnet_number
from tests.nginx.sidecar import WITHIN, Client, Sidecar

CLIENT = "/ns/shop/sa/client"
SERVER = "/ns/shop/sa/server"
SERVER_ID = f"spiffe://example.org{SERVER}"
CLIENT_ID = f"spiffe://example.org{CLIENT}"
SERVICE_PORT = 80
APPLICATION_PORT = 8080


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test to run makes the binary, which takes minutes: only the tests themselves are timed."""
    for item in items:
        if "nginx_binary" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(120, func_only=True))


@pytest.fixture(scope="session")
def nginx_binary() -> binary.Binary:
    """Debian's, or one with sanitizers."""
    return sanitized.ensure() if sanitized.SANITIZED else binary.ensure()


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    if not binary.is_root():
        pytest.skip("network namespaces take root")
    with Network(subnet_number()) as network:
        yield network


@pytest.fixture(scope="session")
def client_pod(network: Network) -> Pod:
    pod = network.add_pod("client", 2)
    pod.redirect()
    return pod


@pytest.fixture(scope="session")
def server_pod(network: Network) -> Pod:
    """A pod at five addresses: five endpoints behind one sidecar."""
    pod = network.add_pod("server", 11, more=4)
    pod.redirect()
    return pod


@pytest.fixture(scope="session")
def other_pod(network: Network) -> Pod:
    """A second server."""
    pod = network.add_pod("other", 20)
    pod.redirect()
    return pod


@pytest.fixture(scope="session")
def plain_pod(network: Network) -> Pod:
    """A pod without a sidecar."""
    return network.add_pod("plain", 30)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def fortio() -> Path:
    """The load generator, made if need be."""
    assert tools.make(lock.load().select(["fortio"]), paths.store()) == 0
    return paths.path_of("fortio")


Start = Callable[[Pod], Sidecar]


@pytest.fixture
def start_sidecar(nginx_binary: binary.Binary) -> Iterator[Callable[..., Sidecar]]:
    """Start sidecars; each is checked and ended after the test."""
    started: list[Sidecar] = []

    def start(pod: Pod, workers: int = 1) -> Sidecar:
        sidecar = Sidecar(pod, nginx_binary, workers)
        started.append(sidecar)
        sidecar.start()
        return sidecar

    yield start
    errors = []
    for sidecar in started:
        try:
            sidecar.close()
        except (AssertionError, TimeoutError) as error:
            errors.append(f"{sidecar.pod.namespace}: {error}")
    assert not errors, errors


@dataclass
class Pair:
    """A client and a server, both with sidecars, in one mesh."""

    client: Sidecar
    server: Sidecar
    app: application.Application
    authority: Authority
    network: Network

    @property
    def service(self) -> str:
        """Cluster IP of the server's Service."""
        return self.network.service_address(200)

    def endpoints(self, count: int = 1, identity: str = SERVER_ID) -> list[To]:
        """The first *count* addresses of the server."""
        return [
            To(address, APPLICATION_PORT, identity, "shop/server-0") for address in self.server.pod.addresses[:count]
        ]

    def client_document(self, mode: str = "strict", endpoints: list[To] | None = None, **options: str) -> Document:
        document = Document(mode=mode)
        return document.service(
            "shop/server", self.service, SERVICE_PORT, self.endpoints() if endpoints is None else endpoints, **options
        )

    @staticmethod
    def server_document(mode: str = "strict") -> Document:
        return Document(mode=mode, incoming={APPLICATION_PORT: "http"})

    def issue(self, path: str = SERVER) -> Issued:
        return self.authority.issue(path)

    def set_up(self, mode: str = "strict") -> None:
        self.client.apply(self.client_document(mode), self.issue(CLIENT))
        self.server.apply(self.server_document(mode), self.issue(SERVER))

    def caller(self, timeout: float = WITHIN) -> Client:
        """A connection of the client's application to the Service."""
        return Client(self.client.pod, self.service, SERVICE_PORT, timeout)


@pytest.fixture
def pair(
    start_sidecar: Callable[..., Sidecar],
    client_pod: Pod,
    server_pod: Pod,
    authority: Authority,
    network: Network,
) -> Iterator[Pair]:
    with application.serve(server_pod, APPLICATION_PORT) as app:
        pair = Pair(start_sidecar(client_pod), start_sidecar(server_pod), app, authority, network)
        pair.set_up()
        yield pair


@pytest.fixture
def more_environment() -> Callable[[Path], dict[str, str]]:
    """What the sidecars of ``mesh`` have in their environment beside what is usual, by their directory; modules replace it."""
    return lambda _: {}


@pytest.fixture
async def mesh(
    nginx_binary: binary.Binary,
    network: Network,
    pods: tuple[Pod, Pod, Pod],
    more_environment: Callable[[Path], dict[str, str]],
) -> AsyncIterator[Mesh]:
    """Two sidecars with their agents and a bus, in the *pods* of the module: client, server, hub."""
    with tempfile.TemporaryDirectory(prefix="mesh-agent-") as name:
        # Not under pytest's own directory, which other users may not enter.
        place = Path(name)
        place.chmod(0o755)
        made = Mesh(nginx_binary, network, pods, place)
        write_certificates(made.nats.directory, made.authority.issue("/ns/nginx-mesh/sa/nats", (HOST,)))
        await made.nats.start()
        ignore = f"--ignore-outgoing-ports={made.nats.port}"
        for pod in pods[:2]:
            run("ip", "netns", "exec", pod.namespace, sys.executable, "-m", "mesh.init", ignore)
        async with made.client.api, made.server.api:
            try:
                for sidecar in (made.client, made.server):
                    await sidecar.rotate()
                    sidecar.start(more=more_environment(sidecar.run))
                yield made
            finally:
                made.client.end()
                made.server.end()
                made.nats.kill()


@pytest.fixture
async def serving(mesh: Mesh) -> AsyncIterator[Mesh]:
    """A mesh with a configuration, and an application behind the server's sidecar."""
    with application.serve(mesh.server.pod, PORT):
        await mesh.publish()
        for sidecar in (mesh.client, mesh.server):
            await sidecar.until(ready=True)
        yield mesh
