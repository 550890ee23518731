"""How exactly a rate is held (contract 7.limits).

The short form asks for proofs that no stall of the machine can shake: what was let in is never too much for the time that
passed, and whatever was refused came too soon after what was let in. The long form counts for a minute.
"""

import threading
import time
from dataclasses import dataclass

import pytest

from tests.nginx.conftest import Pair
from tests.nginx.network import Pod
from tests.nginx.peers import Limited, Peer

pytestmark = pytest.mark.spec("7.limits")
RATE = 10
SLACK_SECONDS = 0.05
"""The sidecar's clock moves with the kernel's ticks, of 10 ms or less where none is late: half a request of one source."""


@dataclass(frozen=True)
class Attempt:
    """One request; the sidecar judged it between the two times, by a clock that says ``since`` or later.

    The clock is read once per round of events, and a request may come in the round that answered the one before it.
    """

    since: float
    sent: float
    answered: float
    status: int


@pytest.fixture
def limited(pair: Pair, plain_pod: Pod) -> Limited:
    return Limited(pair, plain_pod)


def attempts(peer: Peer, since: float, until: float, pause: float) -> list[Attempt]:
    """Ask again and again on a connection that began at *since*."""
    found = []
    while time.monotonic() < until:
        status = peer.ask().status
        found.append(Attempt(since, peer.sent, peer.answered, status))
        since = peer.sent
        time.sleep(pause)
    return found


def run(limited: Limited, sources: int, seconds: float, connections: int, pause: float) -> list[list[Attempt]]:
    """What became of the requests of each source, from so many connections each."""
    found: list[list[Attempt]] = [[] for _ in range(sources)]
    until = time.monotonic() + seconds

    def ask(source: int) -> None:
        since = time.monotonic()
        with limited.peer(f"shop/client-{source}") as peer:
            found[source] += attempts(peer, since, until, pause)

    threads = [threading.Thread(target=ask, args=(source,)) for source in range(sources) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def apply(limited: Limited, sources: int, burst: int = 0, delay: str | int = "nodelay") -> float:
    """The rate among so many sources; gives that of each."""
    buckets = [[f"shop/client-{number}"] for number in range(sources)]
    limited.apply(limited.document().limit("shop/slow", RATE * 1_000_000 // sources, burst, delay, buckets=buckets))
    return RATE / sources


@pytest.mark.parametrize("sources", [1, 2, 5])
def test_neither_more_nor_less(limited: Limited, sources: int) -> None:
    """Of one connection per source, without a burst: each source has its share of the rate, to the request."""
    rate = apply(limited, sources)
    for found in run(limited, sources, 2.0, connections=1, pause=0.002):
        let_in = [attempt for attempt in found if attempt.status == 200]
        assert {attempt.status for attempt in found} == {200, 503}
        for number, attempt in enumerate(let_in):
            assert number <= (attempt.answered - let_in[0].since + SLACK_SECONDS) * rate
        for attempt in found:
            if attempt.status == 503:
                before = max(other.answered for other in let_in if other.answered <= attempt.sent)
                assert attempt.since - before < 1 / rate + SLACK_SECONDS


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("sources", [1, 2, 5])
@pytest.mark.parametrize("delay", ["nodelay", 0])
def test_a_minute_within_two_percent(limited: Limited, sources: int, delay: str | int) -> None:
    """By callers that never pause, refused beyond the burst or made to wait."""
    burst = 5
    rate = apply(limited, sources, burst, delay)
    started = time.monotonic()
    all_found = run(limited, sources, 60.0, connections=3, pause=0.01)
    elapsed = time.monotonic() - started
    # The burst is let in at once on top of the rate; with a delay it waits, and is let in at the end of the minute.
    counts = [
        sum(attempt.status == 200 for attempt in found) - (burst if delay == "nodelay" else 0) for found in all_found
    ]
    print(f"{sources} sources, {delay}: {sum(counts) / elapsed:.3f} r/s in {elapsed:.1f} s, each {counts}")
    assert sum(counts) / elapsed == pytest.approx(RATE, rel=0.02)
    assert all(count / elapsed == pytest.approx(rate, rel=0.02) for count in counts)
