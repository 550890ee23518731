"""What redirection breaks when nothing is done about it, on real packets (contract 5.redirect)."""

import json
import os
import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from mesh.init import rules
from tests.contract.pod_network import PEER, PEER6, POD, POD6, PodNetwork

MEBIBYTE = 1024 * 1024
FAMILIES = [pytest.param(POD, PEER, id="IPv4"), pytest.param(POD6, PEER6, id="IPv6")]
ROUNDS = [pytest.param(1000, id="short"), pytest.param(10_000, id="long", marks=[pytest.mark.soak])]
# A small window, so that a packet can be out of it, and an end that waits for the caller's.
SINK = """
import socket, sys
server = socket.socket(socket.AF_INET6)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
server.bind(("::", 8901))
server.listen()
print("ready", flush=True)
connection, _ = server.accept()
received = 0
while data := connection.recv(1 << 20):
    received += len(data)
connection.sendall(b"%d" % received)
"""


def retransmitted(connection: socket.socket) -> int:
    """How many packets of *connection*, the first included, had to be sent again (tcpi_total_retrans)."""
    information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("I", information, 100)[0])


class Caller:
    """Connects from one source port again and again."""

    def __init__(self, net: PodNetwork, namespace: str, address: str, port: int) -> None:
        self._net, self._namespace, self._source = net, namespace, (address, port)

    def connect(self, address: str, port: int) -> socket.socket:
        """A connection that is established; raises OSError."""
        with self._net.entered(self._namespace):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.settimeout(20)
        try:
            sock.bind(self._source)
            sock.connect((address, port))
        except BaseException:
            sock.close()
            raise
        return sock


def answer(connection: socket.socket) -> tuple[int, int]:
    """Where the caller arrived, and the port that it wanted; read until the listener has closed."""
    with connection.makefile() as file:
        line = json.loads(file.read())
    return line["arrived"], line["original"][1]


@pytest.fixture(scope="module", params=["nft", "legacy"])
def net(request: pytest.FixtureRequest) -> Iterator[PodNetwork]:
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root")
    with PodNetwork("traps") as network:
        network.listen(network.pod, 8900, 8901)
        network.redirect(request.param)
        yield network


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize(("pod", "peer"), FAMILIES)
@pytest.mark.parametrize("incoming", [True, False], ids=["incoming", "outgoing"])
def test_one_source_port_to_two_ports_at_once(net: PodNetwork, pod: str, peer: str, incoming: bool) -> None:
    """Both become connections to one port of the sidecar; neither loses a packet, and each keeps its destination."""
    source, target, arrives = (peer, pod, 8901) if incoming else (pod, peer, 8900)
    caller = Caller(net, net.peer if incoming else net.pod, source, 50000)
    with caller.connect(target, 8080) as first, caller.connect(target, 8443) as second:
        assert [retransmitted(first), retransmitted(second)] == [0, 0]
        assert [answer(first), answer(second)] == [(arrives, 8080), (arrives, 8443)]


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize("rounds", ROUNDS)
def test_one_source_port_to_two_ports_in_turn(net: PodNetwork, rounds: int) -> None:
    """The sidecar closed first, and waits for late packets of the connection: no SYN of a later one is lost for that."""
    caller = Caller(net, net.peer, PEER, 50001)
    lost = 0
    for number in range(rounds):
        port = (8080, 8443)[number % 2]
        with caller.connect(POD, port) as connection:
            lost += retransmitted(connection)
            assert answer(connection) == (8901, port)
    assert lost == 0


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize("variant", ["nft", "legacy"])
@pytest.mark.parametrize("rounds", ROUNDS)
def test_one_source_port_to_many_ports_in_turn(variant: str, rounds: int) -> None:
    """The caller closed first, and may use its port towards another port at once: no SYN of that one is lost."""
    with PodNetwork("ports") as net:
        net.listen(net.pod, 8901, patient=True)
        net.redirect(variant)
        caller = Caller(net, net.peer, PEER, 50001)
        lost = 0
        for port in range(10_000, 10_000 + rounds):
            with caller.connect(POD, port) as connection:
                lost += retransmitted(connection)
                connection.shutdown(socket.SHUT_WR)
                assert answer(connection) == (8901, port)
        assert lost == 0


def upload(net: PodNetwork, pod: str, mebibytes: int) -> int:
    """Send to port 8080 of the pod, where a sink stands behind 8901; returns what it has got. Raises OSError."""
    net.start("ip", "netns", "exec", net.pod, sys.executable, "-c", SINK)
    with net.entered(net.peer):
        connection = socket.create_connection((pod, 8080), 30)
    with connection:
        for _ in range(mebibytes):
            connection.sendall(bytes(MEBIBYTE))
        connection.shutdown(socket.SHUT_WR)
        return int(connection.recv(100))


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize("pod", [POD, POD6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("variant", ["nft", "legacy"])
@pytest.mark.parametrize(
    "mebibytes", [pytest.param(20, id="short"), pytest.param(300, id="long", marks=[pytest.mark.soak])]
)
def test_an_upload_over_a_bad_network_is_not_reset(pod: str, variant: str, mebibytes: int) -> None:
    """Packets come late and out of the window: those that connection tracking calls INVALID end in our own chain."""
    with PodNetwork("upload", ("reorder", "stray")) as net:
        net.redirect(variant)
        assert upload(net, pod, mebibytes) == mebibytes * MEBIBYTE
        family = "ip6tables" if ":" in pod else "iptables"
        shown = net.inside(net.pod, f"{family}-{variant}", "-t", "mangle", "-nvxL", rules.CHAIN_INVALID)
        [dropped] = [int(line.split()[0]) for line in shown.splitlines() if "DROP" in line]
        assert dropped > 0


@pytest.mark.parametrize("pod", [POD, POD6], ids=["IPv4", "IPv6"])
def test_without_that_chain_the_upload_is_reset(pod: str) -> None:
    """The network of the test above is bad enough: the same upload without the chain dies of one stray packet."""
    with PodNetwork("reset", ("reorder", "stray")) as net:
        net.redirect("nft")
        for family in ("iptables-nft", "ip6tables-nft"):
            net.inside(net.pod, family, "-t", "mangle", "-F", rules.CHAIN_INVALID)
        with pytest.raises(ConnectionError):
            upload(net, pod, 20)
