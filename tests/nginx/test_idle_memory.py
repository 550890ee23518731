"""What a connection costs while nothing happens on it (contract 6.memory)."""

import contextlib
import http.client
import resource
import socket

import pytest

from tests.nginx.conftest import Pair
from tests.nginx.processes import private_kib
from tests.nginx.streams import call, exchange, serving, set_up

KIB_EACH = 15
# So many come first: what they make the allocator take is there for those that are counted.
WARM = 50
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
