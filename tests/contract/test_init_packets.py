"""The packet rules in real network namespaces: what is redirected where, and what is left alone (contract 5.redirect)."""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from mesh.init import iptables, rules
from tests.contract.pod_network import PEER, PEER6, POD, POD6, ROOT, PodNetwork

POD_PORTS = (53, 8080, 8887, 8895, 8896, 8900, 8901, 22)
PEER_PORTS = (80, 53, 5432, 8080, 8887)
_OWN = ("--ignore-incoming-ports=22", "--ignore-outgoing-ports=5432")


@pytest.fixture(scope="module")
def net() -> Iterator[PodNetwork]:
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root")
    with PodNetwork("init") as network:
        network.listen(network.pod, *POD_PORTS)
        network.listen(network.peer, *PEER_PORTS)
        result = network.init(*_OWN)
        assert result.returncode == 0, result.stderr
        yield network


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize("address", [POD, POD6])
def test_incoming_goes_to_the_sidecar(net: PodNetwork, address: str) -> None:
    """A caller from outside arrives at 8901, which still sees the port that was called."""
    assert net.call(net.peer, address, 8080) == (8901, (address, 8080))


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize("port", [53, 8887, 8895, 8896, 22])
@pytest.mark.parametrize("address", [POD, POD6])
def test_incoming_that_is_left_alone(net: PodNetwork, address: str, port: int) -> None:
    """DNS, metrics, probes and the ignored port are reached directly."""
    assert net.call(net.peer, address, port) == (port, (address, port))


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize("address", [PEER, PEER6])
@pytest.mark.parametrize("port", [80, 8080])
def test_outgoing_goes_to_the_sidecar(net: PodNetwork, address: str, port: int) -> None:
    """The application's call arrives at 8900 with its destination, whether or not anybody listens there."""
    assert net.call(net.pod, address, port) == (8900, (address, port))
    assert net.call(net.pod, address, 9) == (8900, (address, 9))


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize(
    ("port", "uid"),
    [(80, 2102), (53, 0), (5432, 0), (8887, 0)],
    ids=["the sidecar itself", "DNS", "ignored port", "metrics of another pod"],
)
@pytest.mark.parametrize("address", [PEER, PEER6])
def test_outgoing_that_is_left_alone(net: PodNetwork, address: str, port: int, uid: int) -> None:
    """These reach the peer as if there were no sidecar."""
    assert net.call(net.pod, address, port, uid) == (port, (address, port))


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", POD, POD6])
@pytest.mark.parametrize("uid", [0, 2102])
def test_what_stays_inside_the_pod(net: PodNetwork, address: str, uid: int) -> None:
    """Loopback and the pod's own addresses: direct, for the application and for the sidecar that calls it."""
    assert net.call(net.pod, address, 8080, uid) == (8080, (address, 8080))


@pytest.mark.spec("5.redirect")
@pytest.mark.parametrize(("pod", "peer", "port"), [(POD, PEER, 53), (POD6, PEER6, 53), (POD, PEER, 8080)])
def test_datagrams_are_left_alone(net: PodNetwork, pod: str, peer: str, port: int) -> None:
    """DNS over UDP, as all of UDP, goes out and comes in as if there were no sidecar."""
    family = socket.AF_INET6 if ":" in pod else socket.AF_INET
    for source, target, address in ((net.pod, net.peer, peer), (net.peer, net.pod, pod)):
        with net.entered(target):
            server = socket.socket(family, socket.SOCK_DGRAM)
        with net.entered(source):
            client = socket.socket(family, socket.SOCK_DGRAM)
        with server, client:
            server.settimeout(30)
            server.bind((address, port))
            client.sendto(b"query", (address, port))
            assert server.recvfrom(100)[0] == b"query"


@pytest.mark.spec("5.redirect")
def test_twice_is_once(net: PodNetwork) -> None:
    """The init container runs again after a pod sandbox restart: the same rules, none twice; what others wrote stays."""
    others = (
        ("nat", "-A OUTPUT -d 192.0.2.1/32 -j ACCEPT"),
        ("nat", "-A POSTROUTING -s 192.0.2.0/24 -j RETURN"),
        ("mangle", "-A PREROUTING -s 192.0.2.1/32 -j ACCEPT"),
        ("filter", "-A INPUT -s 192.0.2.1/32 -j DROP"),
    )
    for table, rule in others:
        net.inside(net.pod, "iptables-nft", "-t", table, *rule.split())
    before = net.saved()
    result = net.init(*_OWN)
    assert (result.returncode, net.saved()) == (0, before)
    assert len([line for line in before if line.endswith("-j MESH_OUTGOING")]) == 2
    assert {rule for _, rule in others} <= set(before)


@pytest.mark.spec("5.redirect")
def test_no_connection_slips_through_while_rules_are_written(net: PodNetwork) -> None:
    """Written anew again and again, the rules are never seen half: every connection meanwhile is redirected."""
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    done = threading.Event()

    def call() -> None:
        while not done.is_set():
            with net.entered(net.peer):
                caller = socket.create_connection((POD, 8080), 10)
            with caller, caller.makefile() as answer:
                arrived.put(json.loads(answer.readline())["arrived"])

    caller = threading.Thread(target=call)
    caller.start()
    try:
        for _ in range(5):
            net.redirect("nft", rules.Redirection((22,), (5432,)))
            assert arrived.get(timeout=30) == 8901
    finally:
        done.set()
        caller.join(30)
    while not arrived.empty():
        assert arrived.get() == 8901


def test_changed_ports_replace_the_old_ones(net: PodNetwork) -> None:
    """The last run counts."""
    assert net.init("--ignore-outgoing-ports=80", "--ignore-incoming-ports=22").returncode == 0
    assert net.call(net.pod, PEER, 80)[0] == 80
    assert net.call(net.pod, PEER, 5432)[0] == 8900
    assert net.init(*_OWN).returncode == 0
    assert net.call(net.pod, PEER, 80)[0] == 8900


@pytest.mark.spec("5.redirect")
def test_the_legacy_variant_does_the_same() -> None:
    """On a node with x_tables alone: both directions and families redirected, and twice is once there, too."""
    chosen = rules.Redirection((22,), (5432,))
    with PodNetwork("legacy") as net:
        net.listen(net.pod, *POD_PORTS)
        net.listen(net.peer, *PEER_PORTS)
        net.redirect("legacy", chosen)
        before = net.saved("legacy")
        for pod, peer in ((POD, PEER), (POD6, PEER6)):
            assert net.call(net.peer, pod, 8080) == (8901, (pod, 8080))
            assert net.call(net.peer, pod, 22) == (22, (pod, 22))
            assert net.call(net.pod, peer, 80) == (8900, (peer, 80))
            assert net.call(net.pod, peer, 80, 2102) == (80, (peer, 80))
            assert net.call(net.pod, peer, 5432) == (5432, (peer, 5432))
        net.redirect("legacy", chosen)
        assert net.saved("legacy") == before
        assert len(before) == 2 * 16


@pytest.mark.spec("5.redirect")
def test_the_legacy_variant_needs_no_writable_root() -> None:
    """The container's root is read-only, as its securityContext says; iptables' lock file is not made there."""
    with PodNetwork("lock") as net:

        def run_read_only(command: list[str], text: str) -> iptables.Result:
            if "-nft" in command[0]:
                return iptables.Result(1, "", "no nf_tables here")
            mount = 'mount -t tmpfs -o ro none /run && exec "$@"'
            inside = ["ip", "netns", "exec", net.pod, "unshare", "--mount", "--propagation", "private"]
            return iptables.run([*inside, "sh", "-ec", mount, "sh", *command], text)

        assert iptables.install(iptables.IPV4, rules.Redirection(), run_read_only) == "legacy"


@pytest.mark.spec("5.redirect")
def test_a_pod_without_ipv6() -> None:
    """IPv6 switched off: IPv4 is redirected, and nothing is asked of a family that is not there."""
    with PodNetwork("four", ipv6=False) as net:
        net.listen(net.pod, 8080, 8901)
        result = net.init()
        assert (result.returncode, result.stdout) == (0, "IPv4: redirected by iptables (nft)\n"), result.stderr
        assert net.call(net.peer, POD, 8080) == (8901, (POD, 8080))


@pytest.mark.spec("5.redirect")
def test_a_kernel_without_ipv6() -> None:
    """Not even the table of its addresses is there: IPv6 is not asked for."""
    with PodNetwork("none", ipv6=False) as net:
        net.listen(net.pod, 8080, 8901)
        program = "import sys; from mesh.init import main; from pathlib import Path; main.INTERFACES = Path('/none'); sys.exit(main.main([]))"
        command = ["ip", "netns", "exec", net.pod, sys.executable, "-c", program]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode, result.stdout) == (0, "IPv4: redirected by iptables (nft)\n"), result.stderr
        assert net.call(net.peer, POD, 8080) == (8901, (POD, 8080))


OTHERS_PORTS = (15001, 15006)
OTHERS_RULES = """\
*nat
:OTHER_IN - [0:0]
:OTHER_OUT - [0:0]
-A PREROUTING -p tcp -j OTHER_IN
-A OUTPUT -p tcp -j OTHER_OUT
-A OTHER_IN -p tcp -m tcp --dport 22 -j RETURN
-A OTHER_IN -p tcp -j REDIRECT --to-ports 15006
-A OTHER_OUT -m owner --uid-owner 1337 -j RETURN
-A OTHER_OUT -d 127.0.0.1/32 -j RETURN
-A OTHER_OUT -p tcp -j REDIRECT --to-ports 15001
COMMIT
"""


@pytest.mark.spec("5.init-containers")
@pytest.mark.parametrize("variant", ["nft", "legacy"])
@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "the other first"])
def test_beside_an_init_container_that_redirects_too(variant: str, ours_first: bool) -> None:
    """Of two that redirect everything, the first to have written has it all; what ours leaves alone is the other's; no rule is lost."""

    with PodNetwork("other") as network:
        network.listen(network.pod, 22, 53, 8900, 8901, *OTHERS_PORTS)
        network.listen(network.peer, 53, 80)

        def write_others(variant: str) -> None:
            command = ["ip", "netns", "exec", network.pod, f"iptables-{variant}-restore", "--noflush"]
            subprocess.run(command, input=OTHERS_RULES, check=True, text=True, timeout=60)

        for write in (network.redirect, write_others) if ours_first else (write_others, network.redirect):
            write(variant)
        incoming, outgoing = (8901, 8900) if ours_first else (15006, 15001)
        assert network.call(network.peer, POD, 8080) == (incoming, (POD, 8080))
        assert network.call(network.pod, PEER, 80) == (outgoing, (PEER, 80))
        assert network.call(network.pod, PEER, 53)[0] == 15001
        before = network.saved(variant)
        network.redirect(variant)
        assert network.saved(variant) == before
        assert len([line for line in before if "OTHER_" in line]) == 7


def test_without_the_capability_the_reason_is_told(net: PodNetwork) -> None:
    """Root without NET_ADMIN: exit code 1 and what is needed."""
    command = ["ip", "netns", "exec", net.pod, "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-all"]
    result = subprocess.run(
        [*command, sys.executable, "-m", "mesh.init"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, "NET_ADMIN" in result.stderr) == (1, True)


def test_another_user_is_told(net: PodNetwork) -> None:
    """A pod-level runAsUser without the override."""
    program = "import os, sys; sys.path.insert(0, sys.argv[1]); os.setuid(1000); from mesh.init.main import main; sys.exit(main([]))"
    command = ["ip", "netns", "exec", net.pod, os.path.realpath(sys.executable), "-c", program, str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
