"""What changes at run time acts on new TCP connections; open ones last (contract 6.tcp-changes, 3.rotation)."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes.authority import Authority
from tests.nginx.conftest import CLIENT, SERVER, Pair
from tests.nginx.documents import Document, To
from tests.nginx.network import Pod
from tests.nginx.processes import private_kib
from tests.nginx.sidecar import Sidecar, wait_until
from tests.nginx.streams import (
    GREETING,
    SERVICE_PORT,
    TCP_PORT,
    call,
    call_is_reset,
    client_document,
    endpoints,
    exchange,
    greet,
    read_all,
    server_document,
    serving,
    set_up,
    wait_for_refusal,
)
from tests.nginx.test_modes import CHANGES


@pytest.mark.spec("6.tcp-changes")
def test_removed_endpoint(pair: Pair) -> None:
    """New connections go elsewhere, the open one finishes with whom it has."""
    first, second = endpoints(pair, 2)
    pair.client.apply(client_document(pair, to=[first]))
    pair.server.apply(server_document())
    with serving(pair.server.pod) as server, call(pair) as old:
        assert exchange(old) == b"ping"
        pair.client.apply(client_document(pair, to=[second]))
        with call(pair) as new:
            assert exchange(new) == b"ping"
        assert exchange(old, b"still there") == b"still there"
    assert server.local == [first.address, second.address]


@pytest.mark.spec("6.tcp-changes")
def test_mode_changes_act_on_new_connections(pair: Pair, plain_pod: Pod) -> None:
    """Plaintext comes in no more when the mode becomes strict; a peer's mutual TLS goes on."""
    set_up(pair, "permissive")
    with serving(pair.server.pod) as server, call(pair) as old:
        assert exchange(old) == b"ping"
        pair.server.apply(server_document("strict"))
        with plain_pod.connect(pair.server.pod.address, TCP_PORT) as new:
            new.sendall(b"x")
            assert read_all(new) == b""
        wait_for_refusal(pair, "incoming", "plaintext")
        assert exchange(old) == b"ping"
    assert len(server.accepted) == 1


@pytest.mark.spec("6.tcp-changes")
def test_modes_spread_without_a_failed_connection(pair: Pair) -> None:
    """From each mode to each other one, one sidecar after the other."""
    set_up(pair)
    known = pair.client.pod.address
    documents = {
        "client": lambda mode: pair.client.apply(client_document(pair, mode)),
        "server": lambda mode: pair.server.apply(server_document(mode).injected(known)),
    }
    with serving(pair.server.pod):
        for change in CHANGES:
            first, mode = change.split()
            for side in sorted(documents, reverse=first == "server"):
                documents[side](mode)
                with call(pair) as connection:
                    assert exchange(connection) == b"ping"


@pytest.mark.spec("3.identity")
def test_reused_address_fails_closed(pair: Pair) -> None:
    """A pod of another identity has the address now, known to the caller or not yet: no new connection reaches it."""
    other = "spiffe://example.org/ns/shop/sa/other"
    set_up(pair, "permissive")
    with serving(pair.server.pod) as server:
        with call(pair) as connection:
            assert exchange(connection) == b"ping"
        pair.client.apply(client_document(pair, "permissive", endpoints(pair, identity=other)))
        assert call_is_reset(pair)
        pair.client.apply(client_document(pair, "permissive"))
        pair.server.apply(None, pair.issue("/ns/shop/sa/other"))
        assert call_is_reset(pair)
    assert bytes(server.heard) == b"ping"
    assert pair.client.handshakes("outgoing", "identity") >= 2


@pytest.mark.spec("3.rotation")
def test_streams_stay_open_over_rotations_and_a_new_root(pair: Pair) -> None:
    """SVIDs of both sides change, then the root; the open connection goes on, and new ones use what is new."""
    old, new = pair.authority, Authority()
    both = (old.bundle, new.bundle)
    set_up(pair)
    with serving(pair.server.pod), call(pair) as connection:
        for authority, roots in ((old, both), (new, both), (new, (new.bundle,))):
            for sidecar, path in ((pair.client, CLIENT), (pair.server, SERVER)):
                sidecar.apply(None, authority.issue(path), roots)
                assert exchange(connection) == b"ping"
                with call(pair) as fresh:
                    assert exchange(fresh) == b"ping"
    assert pair.client.handshakes("outgoing", "ok") == 7


@pytest.mark.spec("6.tcp-changes")
def test_drain(pair: Pair) -> None:
    """No new incoming connection; the open one and outgoing ones work on."""
    set_up(pair)
    with serving(pair.server.pod), call(pair) as connection:
        assert exchange(connection) == b"ping"
        assert pair.server.request("POST", "/drain")[0] == 200
        assert call_is_reset(pair)
        assert exchange(connection) == b"ping"
        assert pair.client.request("POST", "/drain")[0] == 200
        assert exchange(connection) == b"ping"


@pytest.mark.spec("6.tcp-changes")
def test_graceful_end_waits_for_open_connections(pair: Pair) -> None:
    """NGINX that is told to quit ends when the last connection has."""
    set_up(pair)
    with serving(pair.server.pod), call(pair) as connection:
        assert exchange(connection) == b"ping"
        worker, master = pair.server.worker_pid, pair.server.master_pid
        os.kill(master, signal.SIGQUIT)
        wait_until(lambda: pair.server.worker_pids() == [], "the worker's last phase")
        assert exchange(connection) == b"ping"
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the end of the worker")
    wait_until(lambda: not Path(f"/proc/{master}").exists(), "the end of the master")
    pair.server.start()


@pytest.mark.spec("6.log")
def test_debug_log(pair: Pair, plain_pod: Pod) -> None:
    """At the level debug nginx says much of every event, and nothing dies of it."""
    pair.client.apply(client_document(pair, "permissive", error_log_level="debug"))
    pair.server.apply(server_document("permissive", error_log_level="debug"))
    with serving(pair.server.pod, greet):
        for source, address, port in (
            (pair.client.pod, pair.service, SERVICE_PORT),
            (plain_pod, pair.server.pod.address, TCP_PORT),
        ):
            with source.connect(address, port) as connection:
                assert connection.recv(100) == GREETING


@pytest.mark.spec("10.transparent")
def test_transparent_passes_tcp(pair: Pair, plain_pod: Pod) -> None:
    """Whatever the mode says: to any destination, from anywhere, and the mTLS of a peer that is known as injected."""
    set_up(pair)
    transparent: dict[str, object] = {"transparent": 1}
    document = Document(mode="strict", settings=transparent, incoming={TCP_PORT: "tcp"})
    with serving(pair.server.pod), serving(plain_pod):
        pair.server.apply(document.injected(pair.client.pod.address))
        with call(pair) as connection:
            assert exchange(connection) == b"ping"
        assert pair.server.handshakes("incoming", "ok") == 1
        with plain_pod.connect(pair.server.pod.address, TCP_PORT) as connection:
            assert exchange(connection) == b"ping"
        pair.client.apply(Document(mode="strict", settings=transparent))
        with pair.client.pod.connect(plain_pod.address, TCP_PORT) as connection:
            assert exchange(connection) == b"ping"


@pytest.mark.spec("6.tcp-changes")
def test_two_workers(pair: Pair, start_sidecar: Callable[..., Sidecar], other_pod: Pod, plain_pod: Pod) -> None:
    """Whichever worker takes a new connection judges it by what was applied, though it was told to another one."""
    sidecar = start_sidecar(other_pod, workers=2)
    sidecar.apply(server_document("permissive"), pair.issue(SERVER))
    with serving(other_pod):
        for mode, heard in (("permissive", b"ping"), ("strict", b""), ("permissive", b"ping")):
            sidecar.apply(server_document(mode))
            for _ in range(8):
                assert _echo_of(plain_pod, other_pod) == heard


def _echo_of(pod: Pod, other: Pod) -> bytes:
    """What an echo says to "ping"; nothing when the connection is refused."""
    try:
        with pod.connect(other.address, TCP_PORT) as connection:
            return exchange(connection)
    except (ConnectionResetError, BrokenPipeError):
        return b""


@pytest.mark.spec("6.tcp-changes")
def test_an_open_connection_keeps_no_table(pair: Pair) -> None:
    """Sixty large tables, each with a stream that was opened in its time: the worker keeps the memory of few."""
    set_up(pair)
    with serving(pair.server.pod), ExitStack() as stack:
        for number in range(10):
            _apply_large(pair, number)
            assert exchange(stack.enter_context(call(pair))) == b"ping"
        before = _resident(pair)
        for number in range(10, 60):
            _apply_large(pair, number)
            assert exchange(stack.enter_context(call(pair))) == b"ping"
        grown = _resident(pair) - before
    # Such a table takes more than 3 MiB; a connection with its TLS and buffers at most 200 KiB.
    assert grown < 50 * 1024 * 1024


def _resident(pair: Pair) -> int:
    """Bytes of the client's worker."""
    return private_kib(pair.client.worker_pid) * 1024


def _apply_large(pair: Pair, number: int) -> None:
    """A table of 4,000 more Services, at other addresses than the one before."""
    document = client_document(pair)
    document.revision = f"1.{number}"
    for item in range(4000):
        address = f"10.{item // 250}.{item % 250}.{number}"
        document.service(f"shop/service-with-a-name-{item}", address, 80, [To(address, 80)], "tcp")
    pair.client.apply(document)
