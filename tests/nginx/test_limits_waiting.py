"""Requests that a rate limit holds back: in which order they go on, and what ends their waiting (contract 7.limits)."""

import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.nginx import http2
from tests.nginx.conftest import SERVER, Pair
from tests.nginx.documents import Document
from tests.nginx.network import Pod
from tests.nginx.peers import NEVER, Limited, Peer
from tests.nginx.sidecar import Sidecar, wait_until

pytestmark = pytest.mark.spec("7.limits")
GRPC_PORT = 9090


@pytest.fixture
def limited(pair: Pair, plain_pod: Pod) -> Limited:
    return Limited(pair, plain_pod)


@contextmanager
def waiting(limited: Limited) -> Iterator[Peer]:
    """A request that waits for ever: of two that are sent, one waits and one is refused; which, is nobody's business."""
    limited.apply(limited.document().limit("shop/slow", NEVER, 2, 1, buckets=[["shop/a-0"]]))
    with limited.peer("shop/a-0") as first, limited.peer("shop/a-0") as second:
        assert [first.ask().status, second.ask().status] == [200, 200]
        first.send()
        second.send()
        readable, _, _ = select.select([first.connection.sock, second.connection.sock], [], [], 30)
        [answered] = readable
        refused, kept = (first, second) if answered is first.connection.sock else (second, first)
        assert refused.answer().status == 503
        yield kept


def statuses(sidecar: Sidecar) -> list[str]:
    """Of the access log, so far."""
    return [line.partition('HTTP/1.1" ')[2][:3] for line in sidecar.log_lines()]


def test_what_is_beyond_the_delay_waits_until_the_pod_drains(limited: Limited) -> None:
    """A pod that is to end lets those pass that wait: they are in flight, and its end does not hang on them."""
    with waiting(limited) as kept:
        assert limited.pair.server.request("POST", "/drain")[0] == 200
        assert kept.answer().status == 200
    assert len(limited.pair.app.requests) == 3


def test_a_caller_that_goes_away_waits_no_longer(limited: Limited) -> None:
    """Its request is over, and the application never sees it."""
    with waiting(limited) as kept:
        assert "499" not in statuses(limited.pair.server)
        kept.close()
        wait_until(lambda: "499" in statuses(limited.pair.server), "the end of the request in the access log")
    assert len(limited.pair.app.requests) == 2


def test_a_burst_goes_on_at_the_rate(limited: Limited) -> None:
    """Without a delay all that is over the rate waits, each for its turn: the k-th answer comes no sooner than k periods."""
    limited.apply(limited.document().limit("shop/slow", 10_000_000, 5, buckets=[["shop/a-0"]]))
    with ExitStack() as stack:
        peers = [stack.enter_context(limited.peer("shop/a-0")) for _ in range(6)]
        # When the sidecar has answered this it is done with the handshakes, and reads its clock anew for what comes.
        assert limited.pair.server.status()["ready"]
        started = time.monotonic()
        for peer in peers:
            peer.send()
        assert [peer.answer().status for peer in peers] == [200] * 6
    # The sidecar's clock moves with the kernel's ticks, which may be late.
    assert max(peer.answered for peer in peers) - started >= 5 * 0.1 - 0.05


def test_streams_of_one_connection(limited: Limited, server_pod: Pod, plain_pod: Pod) -> None:
    """HTTP/2: each stream waits by itself; one that is reset is over, the others go on."""
    server = limited.pair.server
    document = Document(mode="permissive", incoming={GRPC_PORT: "grpc"})
    server.apply(document.limit("shop/slow", NEVER, 3, 1), limited.pair.issue(SERVER))
    with http2.serve(server_pod, GRPC_PORT), http2.connected(plain_pod, server_pod.address, GRPC_PORT) as caller:
        for _ in range(2):
            assert caller.answer(caller.send()).headers[":status"] == "200"
        streams = [caller.send() for _ in range(3)]
        while not any(map(caller.has_ended, streams)):
            caller.read()
        # Streams of one connection are taken in their order.
        assert [caller.has_ended(stream) for stream in streams] == [False, False, True]
        assert caller.answer(streams[2]).headers[":status"] == "503"
        caller.reset(streams[0])
        wait_until(lambda: any('HTTP/2.0" 499' in line for line in server.log_lines()), "the end of the first")
        assert server.request("POST", "/drain")[0] == 200
        assert caller.answer(streams[1]).headers[":status"] == "200"
