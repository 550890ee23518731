"""Calls to destinations that no table knows: passed unread, or refused, as the mode says (contract 6.outside)."""

import socket
from contextlib import ExitStack

import pytest

from tests.nginx import application
from tests.nginx.conftest import Pair
from tests.nginx.documents import Document
from tests.nginx.network import Pod
from tests.nginx.sidecar import get
from tests.nginx.streams import GREETING, TCP_PORT, exchange, greet, is_reset, read_all, serving
from tests.nginx.test_tcp import tls_call, tls_echo

GREET_PORT, TLS_PORT = 9001, 9443


@pytest.mark.spec("6.outside")
@pytest.mark.parametrize("mode", ["off", "permissive"])
def test_passed(pair: Pair, plain_pod: Pod, mode: str) -> None:
    """HTTP, TCP whoever speaks first, and TLS from end to end, over IPv4 and IPv6, without a handshake of the sidecar's."""
    pair.client.apply(Document(mode=mode))
    pod, families = pair.client.pod, {plain_pod.address: socket.AF_INET, plain_pod.address6: socket.AF_INET6}
    for address, family in families.items():
        with ExitStack() as stack:
            stack.enter_context(serving(plain_pod, family=family))
            stack.enter_context(serving(plain_pod, greet, GREET_PORT, family))
            stack.enter_context(serving(plain_pod, tls_echo(pair.issue("/outside")), TLS_PORT, family))
            app = stack.enter_context(application.serve(plain_pod, 80, family=family))
            assert get(pod, address, 80, "/out//side?x=%2F")[0] == 200
            assert app.requests == ["/out//side?x=%2F"]
            with pod.connect(address, TCP_PORT) as connection:
                assert exchange(connection) == b"ping"
            with pod.connect(address, GREET_PORT) as connection:
                assert connection.recv(100) == GREETING
            with tls_call(pod.connect(address, TLS_PORT), None, "h2") as secure:
                assert exchange(secure) == b"ping"
    assert pair.client.handshakes("outgoing", "ok") == 0


@pytest.mark.spec("6.outside")
def test_refused_in_strict(pair: Pair, plain_pod: Pod) -> None:
    """No byte leaves the pod, each refusal is counted with its reason; destinations in the table are served as before."""
    pair.client.apply(pair.client_document("strict"))
    with serving(plain_pod) as four, serving(plain_pod, family=socket.AF_INET6) as six:
        for number, address in enumerate((plain_pod.address, plain_pod.address6), 1):
            with pair.client.pod.connect(address, TCP_PORT) as connection:
                assert read_all(connection) == b""
            assert pair.client.refusals("outgoing", "unknown_destination") == number
        assert four.accepted == six.accepted == []
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200


@pytest.mark.spec("6.outside")
def test_the_mode_changes_at_run_time(pair: Pair, plain_pod: Pod) -> None:
    """Each call goes by the mode of its time: what is open when it becomes strict is reset."""
    pod = pair.client.pod
    with serving(plain_pod), ExitStack() as stack:
        opened: list[socket.socket] = []
        for mode in ("permissive", "strict", "off", "strict", "permissive"):
            pair.client.apply(Document(mode=mode))
            connection = stack.enter_context(pod.connect(plain_pod.address, TCP_PORT))
            if mode == "strict":
                assert read_all(connection) == b""
                assert all(is_reset(old) for old in opened)
                opened.clear()
            else:
                opened.append(connection)
                assert exchange(connection) == b"ping"
