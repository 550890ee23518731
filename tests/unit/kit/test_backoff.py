"""Waits between tries grow, are bounded and start again after a success."""

from itertools import islice

import pytest

from mesh.kit.backoff import Backoff
from mesh.kit.deadline import Deadline


def longest(low: float, high: float) -> float:
    assert low <= high
    return high


def shortest(low: float, high: float) -> float:
    return min(low, high)


def test_waits_double_up_to_the_maximum() -> None:
    """The ceiling doubles and then stays."""
    assert list(islice(Backoff(1, 5, 0.5, longest), 5)) == [1, 2, 4, 5, 5]


def test_jitter_lowers_a_wait_by_at_most_its_part() -> None:
    """Half jitter never waits less than half of the ceiling."""
    assert list(islice(Backoff(1, 4, 0.5, shortest), 3)) == [0.5, 1, 2]


def test_reset_starts_again() -> None:
    """After a success the next failure waits briefly."""
    backoff = Backoff(1, 60, 0, longest)
    list(islice(backoff, 4))
    backoff.reset()
    assert next(backoff) == 1


@pytest.mark.parametrize("bad", [(0, 1, 0), (2, 1, 0), (1, 2, -0.1), (1, 2, 1.1)])
def test_nonsense_is_refused(bad: tuple[float, float, float]) -> None:
    """A backoff that could spin or shrink is not made."""
    with pytest.raises(ValueError, match="backoff"):
        Backoff(*bad)


def test_a_deadline_counts_down_and_never_below_zero() -> None:
    """The rest of a budget serves as the next wait's time-out."""
    now = [100.0]
    deadline = Deadline(3, lambda: now[0])
    now[0] = 102
    assert (deadline.remaining, deadline.expired) == (1, False)
    now[0] = 110
    assert (deadline.remaining, deadline.expired) == (0, True)
