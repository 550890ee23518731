"""Each balancing method against its exact law over 100,000 picks, with fixed seeds (contract 6.balancing-laws)."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from mesh.api.mesh_config import LbMethod
from tests.balance.balancer import Balancer
from tests.balance.chi_square import p_value, upper_tail

Make = Callable[..., Balancer]
PICKS = 100_000
LIKELY = 0.001
SEEDS = (1, 20261121)
FAIL_MS = 5000
LEAST = [
    LbMethod.LEAST_CONN,
    LbMethod.LEAST_TIME,
    LbMethod.LEAST_TIME_LAST_BYTE,
    LbMethod.LEAST_TIME_LAST_BYTE_INFLIGHT,
]
RANDOM_TWO = [
    LbMethod.RANDOM_TWO,
    LbMethod.RANDOM_TWO_LEAST_CONN,
    LbMethod.RANDOM_TWO_LEAST_TIME,
    LbMethod.RANDOM_TWO_LEAST_TIME_LAST_BYTE,
]


def counts(picks: Sequence[int], endpoints: int) -> list[int]:
    counted = Counter(picks)
    assert set(counted) <= set(range(endpoints))
    return [counted[number] for number in range(endpoints)]


def with_scores(balancer: Balancer, method: LbMethod, scores: Sequence[int]) -> None:
    """Give the endpoints these scores by what *method* looks at, and the contrary by everything else."""
    highest = max(scores)
    for number, score in enumerate(scores):
        # Scores are of milliseconds, from 2: an endpoint of less than one counts as of one.
        time, other = score + 2, highest - score + 2
        match method:
            case LbMethod.LEAST_TIME | LbMethod.RANDOM_TWO_LEAST_TIME:
                balancer.measured(number, time, other)
            case LbMethod.RANDOM_TWO | LbMethod.LEAST_CONN | LbMethod.RANDOM_TWO_LEAST_CONN:
                balancer.measured(number, other, other)
            case _:
                balancer.measured(number, other, time)
    if method in {LbMethod.RANDOM_TWO, LbMethod.LEAST_CONN, LbMethod.RANDOM_TWO_LEAST_CONN}:
        balancer.load(scores)


def law_of_two(scores: Sequence[int]) -> list[float]:
    """Of two distinct random endpoints the one of the lower score; of equals, either."""
    law = [0.0] * len(scores)
    pairs = list(itertools.combinations(range(len(scores)), 2))
    for pair in pairs:
        lowest = min(scores[number] for number in pair)
        winners = [number for number in pair if scores[number] == lowest]
        for number in winners:
            law[number] += 1 / len(winners) / len(pairs)
    return law


@pytest.mark.parametrize(
    ("statistic", "freedom", "tail"),
    [(3.841459, 1, 0.05), (10.827566, 1, 0.001), (9.487729, 4, 0.05), (29.588298, 10, 0.001), (149.449253, 100, 0.001)],
)
def test_the_distribution_is_that_of_the_tables(statistic: float, freedom: int, tail: float) -> None:
    assert upper_tail(statistic, freedom) == pytest.approx(tail, rel=1e-5)


def test_a_wrong_law_is_seen() -> None:
    """The yardstick itself: an endpoint that gets 3 % too much is found out."""
    assert p_value([25_750, 24_750, 24_750, 24_750], [0.25] * 4) < LIKELY
    assert p_value([25_100, 24_900, 25_050, 24_950], [0.25] * 4) > LIKELY
    assert p_value([50_000, 49_999, 1], [0.5, 0.5, 0.0]) == 0


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("method", LbMethod)
def test_every_method_reaches_every_endpoint_and_no_other(balancer: Make, method: LbMethod) -> None:
    """Equal endpoints get equal shares by every name that a Service may be annotated with."""
    picked = counts(balancer(method, 7).picks(PICKS), 7)
    assert p_value(picked, [1 / 7] * 7) > LIKELY
    assert balancer(method, 1).picks(3) == [0, 0, 0]
    assert balancer(method, 7).picks(2, usable=()) == [-1, -1]


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("count", [2, 3, 7, 100])
def test_round_robin_is_an_exact_cycle(balancer: Make, count: int) -> None:
    picks = balancer(LbMethod.ROUND_ROBIN, count).picks(PICKS)
    assert all(after == (before + 1) % count for before, after in itertools.pairwise(picks))


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("method", [LbMethod.ROUND_ROBIN, *LEAST])
@pytest.mark.parametrize("usable", [(0, 2), (1, 2, 6), (0, 1, 2, 5)])
def test_what_is_left_takes_turns(balancer: Make, method: LbMethod, usable: tuple[int, ...]) -> None:
    """Endpoints that cannot be used do not give their turn to the neighbour: the others keep equal shares."""
    picks = balancer(method, 8).picks(PICKS, usable)
    assert set(picks) == set(usable)
    assert in_turn(picks, len(usable))


def in_turn(picks: Sequence[int], count: int) -> bool:
    """Whether the same *count* endpoints come over and over in the same order."""
    cycle = picks[:count]
    return len(set(cycle)) == count and all(pick == cycle[place % count] for place, pick in enumerate(picks))


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("count", "usable"), [(2, 2), (3, 3), (7, 7), (100, 100), (50, 2), (100, 3), (8, 7)])
def test_random_is_uniform(balancer: Make, count: int, usable: int, seed: int) -> None:
    """Also where few of many can be used."""
    picked = counts(balancer(LbMethod.RANDOM, count, seed).picks(PICKS, range(usable)), count)
    assert p_value(picked, [1 / usable] * usable + [0.0] * (count - usable)) > LIKELY


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("method", RANDOM_TWO)
@pytest.mark.parametrize(
    "scores", [[0, 1], [0, 0, 1], [5, 3, 3, 0, 9, 9], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [2] * 30 + [1] * 3]
)
def test_random_two_takes_the_better_of_two_distinct(
    balancer: Make, method: LbMethod, scores: list[int], seed: int
) -> None:
    """The worst of all is never taken when it is alone; everything else has the share of combinatorics."""
    upstream = balancer(method, len(scores), seed)
    with_scores(upstream, method, scores)
    assert p_value(counts(upstream.picks(PICKS), len(scores)), law_of_two(scores)) > LIKELY


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("method", RANDOM_TWO)
def test_random_two_among_the_usable(balancer: Make, method: LbMethod) -> None:
    """The two are of those that can be used, however few they are among all."""
    scores = [0] * 96 + [3, 1, 2, 1]
    upstream = balancer(method, len(scores))
    with_scores(upstream, method, scores)
    picked = counts(upstream.picks(PICKS, range(96, 100)), len(scores))
    assert p_value(picked, [0.0] * 96 + law_of_two(scores[96:])) > LIKELY


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("method", LEAST)
@pytest.mark.parametrize("scores", [[3, 1, 2], [1, 0, 1, 1, 0, 0, 1, 0], [0, 5, 0], [7, 7, 7, 7], [9, 8, 8, 9, 9]])
def test_the_least_score_is_taken_and_equals_in_turn(balancer: Make, method: LbMethod, scores: list[int]) -> None:
    """Wherever the equal ones stand among the others."""
    upstream = balancer(method, len(scores))
    with_scores(upstream, method, scores)
    picks = upstream.picks(PICKS)
    best = [number for number, score in enumerate(scores) if score == min(scores)]
    assert set(picks) == set(best)
    assert in_turn(picks, len(best))


@pytest.mark.spec("6.balancing-laws")
@pytest.mark.parametrize("method", LbMethod)
def test_a_failing_endpoint_is_left_out_at_once_and_taken_again(balancer: Make, method: LbMethod) -> None:
    """It gets nothing for five seconds, then its share; when all fail, all are tried; what cannot be used never is."""
    upstream = balancer(method, 5)
    upstream.fail(2)
    others = [0, 1, 3, 4]
    assert p_value(counts(upstream.picks(PICKS), 5), [0.25, 0.25, 0.0, 0.25, 0.25]) > LIKELY
    upstream.forward(FAIL_MS - 1)
    assert 2 not in upstream.picks(1000)
    assert set(upstream.picks(1000, usable=[2])) == {2}
    upstream.forward(1)
    assert p_value(counts(upstream.picks(PICKS), 5), [0.2] * 5) > LIKELY
    for number in (*others, 2):
        upstream.fail(number)
    assert p_value(counts(upstream.picks(PICKS), 5), [0.2] * 5) > LIKELY
    assert set(upstream.picks(1000, usable=[1, 3])) == {1, 3}


@pytest.mark.spec("6.preconnect")
@pytest.mark.parametrize("method", LbMethod)
def test_an_endpoint_that_comes_waits_for_its_connections(balancer: Make, method: LbMethod) -> None:
    """Others take its requests until they are there or the time is over; it comes before who fails, after who is well."""
    upstream = balancer(method, 4)
    upstream.warm(2, 250)
    assert set(upstream.picks(1000)) == {0, 1, 3}
    for number in (0, 1, 3):
        upstream.fail(number)
    assert set(upstream.picks(10)) == {2}
    assert set(upstream.picks(10, usable=(0, 2))) == {2}
    assert set(upstream.picks(10, usable=(0,))) == {0}
    upstream.forward(FAIL_MS)
    assert set(upstream.picks(1000)) == {0, 1, 2, 3}
    upstream.warm(1, 250)
    upstream.forward(249)
    assert set(upstream.picks(1000)) == {0, 2, 3}
    upstream.warm(1, 0)
    assert set(upstream.picks(1000)) == {0, 1, 2, 3}
