"""Endpoints of different speed under the methods that look at times: requests in a closed loop, and a clock that we turn."""

import heapq
import random
from collections.abc import Callable

import pytest

from mesh.api.mesh_config import LbMethod
from tests.balance.balancer import Balancer

Make = Callable[..., Balancer]
PICKS = 100_000
FAST_MS, SLOW_MS = 5, 20
SHARE = 0.7
BY_TIME = [
    LbMethod.LEAST_TIME,
    LbMethod.LEAST_TIME_LAST_BYTE,
    LbMethod.LEAST_TIME_LAST_BYTE_INFLIGHT,
    LbMethod.RANDOM_TWO_LEAST_TIME,
    LbMethod.RANDOM_TWO_LEAST_TIME_LAST_BYTE,
]


def share_of_the_first(balancer: Balancer, callers: int, takes: Callable[[int], int], picks: int = PICKS) -> float:
    """The part that endpoint 0 got while *callers* send their next request as soon as the last one has ended."""
    time = first = 0
    ends: list[tuple[int, int, int]] = []
    for number in range(picks):
        if number >= callers:
            end, endpoint, took = heapq.heappop(ends)
            balancer.forward(end - time)
            time = end
            balancer.end(endpoint, took, took)
        [endpoint] = balancer.picks()
        balancer.begin(endpoint)
        took = takes(endpoint)
        heapq.heappush(ends, (time + took, endpoint, took))
        first += endpoint == 0
    for end, endpoint, took in sorted(ends):
        balancer.forward(end - time)
        time = end
        balancer.end(endpoint, took, took)
    return first / picks


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("method", BY_TIME)
@pytest.mark.parametrize("callers", [1, 2, 8, 32])
def test_the_faster_endpoint_gets_most(balancer: Make, method: LbMethod, callers: int) -> None:
    """5 ms against 20 ms: at least 70 % of the picks, however many callers there are."""
    upstream = balancer(method, 2)
    assert share_of_the_first(upstream, callers, lambda endpoint: SLOW_MS if endpoint else FAST_MS) >= SHARE


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("method", BY_TIME)
@pytest.mark.parametrize("callers", [1, 8])
def test_the_faster_endpoint_gets_most_when_times_vary(balancer: Make, method: LbMethod, callers: int) -> None:
    """The same with times that are anything from half to one and a half of these means."""
    source = random.Random(20261121)

    def takes(endpoint: int) -> int:
        return round((SLOW_MS if endpoint else FAST_MS) * source.uniform(0.5, 1.5))

    assert share_of_the_first(balancer(method, 2), callers, takes) >= SHARE


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("method", BY_TIME)
def test_an_endpoint_that_became_fast_gets_its_share(balancer: Make, method: LbMethod) -> None:
    """Who was slow once is asked again, and forgiven: after it answers as fast, shares are equal again."""
    upstream = balancer(method, 2)
    share_of_the_first(upstream, 4, lambda endpoint: SLOW_MS if endpoint else FAST_MS, 1000)
    fresh = share_of_the_first(upstream, 4, lambda _endpoint: FAST_MS)
    assert 0.4 < fresh < 0.6


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize(
    ("method", "chosen"), [(LbMethod.LEAST_TIME_LAST_BYTE, 0), (LbMethod.LEAST_TIME_LAST_BYTE_INFLIGHT, 1)]
)
def test_inflight_sees_an_endpoint_that_does_not_answer(balancer: Make, method: LbMethod, chosen: int) -> None:
    """A request that waits counts before it has ended; the mean of those that ended does not know of it."""
    upstream = balancer(method, 2)
    for number in (0, 1):
        upstream.measured(number, FAST_MS, FAST_MS)
    upstream.begin(0)
    upstream.forward(100)
    for _ in range(3):
        upstream.begin(1)
    assert upstream.picks() == [chosen]
