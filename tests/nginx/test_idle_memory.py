"""What a connection costs while nothing happens on it, and when there are too many (contract 6.memory, 6.idle)."""

import contextlib
import http.client
import resource
import socket

import pytest

from tests.nginx.conftest import APPLICATION_PORT, CLIENT, Pair
from tests.nginx.network import Pod
from tests.nginx.peers import Peer
from tests.nginx.processes import descriptors as open_descriptors
from tests.nginx.processes import private_kib
from tests.nginx.streams import call, exchange, serving, set_up

KIB_EACH = 15
# So many come first: what they make the allocator take is there for those that are counted.
WARM = 50
ROOM = "worker_connections 8192;"
# What a worker has open beside connections of applications: listeners, files, connections to the peer.
OWN = 100
FORMS = [
    pytest.param(500, id="short"),
    # As many as a worker has room for beside its own.
    pytest.param(7000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
]


@pytest.fixture(autouse=True)
def descriptors() -> None:
    """This process holds the other end of every connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


def ask(connection: socket.socket) -> None:
    """One request, and its answer read to the end: the connection is idle then."""
    client = http.client.HTTPConnection("server")
    client.sock = connection
    client.request("GET", "/status/200")
    assert client.getresponse().read() == b"as asked"


@pytest.mark.spec("6.memory")
@pytest.mark.parametrize("count", FORMS)
def test_an_idle_connection_of_the_application(pair: Pair, count: int) -> None:
    """A kept connection of the pod's own application to its sidecar."""
    with contextlib.ExitStack() as stack:
        sizes = []
        for more in (WARM, count):
            for _ in range(more):
                connection = stack.enter_context(pair.client.pod.connect(pair.service, 80, 60))
                ask(connection)
            sizes.append(private_kib(pair.client.worker_pid))
        each = (sizes[1] - sizes[0]) / count
        print(f"{each:.1f} KiB for each of {count} idle connections from the application")
        assert each <= KIB_EACH


@pytest.mark.spec("6.memory")
@pytest.mark.parametrize("count", FORMS)
def test_an_idle_connection_of_a_peer(pair: Pair, plain_pod: Pod, count: int) -> None:
    """A kept connection of another sidecar by mutual TLS: what the accepting side holds of it."""
    issued = pair.issue(CLIENT)
    with contextlib.ExitStack() as stack:
        sizes = []
        for more in (WARM, count):
            for _ in range(more):
                peer = stack.enter_context(Peer(plain_pod, pair.server.pod.address, APPLICATION_PORT, issued, 60))
                assert peer.ask("/status/200").status == 200
            sizes.append(private_kib(pair.server.worker_pid))
        each = (sizes[1] - sizes[0]) / count
        print(f"{each:.1f} KiB for each of {count} idle connections of peers")
        assert each <= KIB_EACH


@pytest.mark.spec("6.memory")
def test_an_idle_tcp_connection(pair: Pair) -> None:
    """Mutual TLS between the sidecars, and an application at either end: what each sidecar holds of it."""
    count = 200
    set_up(pair)
    with serving(pair.server.pod), contextlib.ExitStack() as stack:
        sizes = []
        for more in (WARM, count):
            for _ in range(more):
                assert exchange(stack.enter_context(call(pair, 60))) == b"ping"
            sizes.append([private_kib(sidecar.worker_pid) for sidecar in (pair.client, pair.server)])
        for name, before, after in zip(("client's", "server's"), *sizes, strict=True):
            each = (after - before) / count
            print(f"{each:.1f} KiB for each of {count} idle TCP connections in the {name} sidecar")
            assert each <= KIB_EACH


@pytest.mark.spec("6.idle")
@pytest.mark.parametrize(
    ("room", "count"),
    [
        pytest.param(512, 800, id="short"),
        pytest.param(8192, 10000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_more_idle_connections_than_a_worker_has_room_for(pair: Pair, room: int, count: int) -> None:
    """Every request is answered: who has been idle longest makes room, and no descriptor is wanting."""
    configuration = pair.client.configuration()
    assert ROOM in configuration
    pair.client.write("nginx.conf", configuration.replace(ROOM, f"worker_connections {room};"))
    pair.client.restart()
    pid = pair.client.worker_pid
    most = 0
    with contextlib.ExitStack() as stack:
        opened: list[socket.socket] = []
        before = private_kib(pid)
        for number in range(count):
            opened.append(stack.enter_context(pair.client.pod.connect(pair.service, 80, 60)))
            ask(opened[-1])
            if number % 50 == 0:
                most = max(most, open_descriptors(pid))
        each = (private_kib(pid) - before) / min(room, count)
        print(f"{count} idle connections: {most} descriptors at most, {each:.1f} KiB for each that there is room for")
        assert room / 2 < most <= room + OWN
        assert each <= KIB_EACH
        ask(opened[-1])
        assert opened[0].recv(1) == b""
