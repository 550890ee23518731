"""Circuits to the millisecond, with a clock that the test turns (contract 7.breaker)."""

import ctypes
import os
import random

import pytest

from tests.balance.directions import Directions, Services

SECOND = 1000


@pytest.mark.spec("7.breaker")
@pytest.mark.parametrize("errors", [1, 2, 5, 1000])
def test_it_opens_at_exactly_so_many_errors_and_closes_when_the_time_is_over(
    directions: Directions, errors: int
) -> None:
    """One fewer does not open it; it closes with nothing remembered."""
    directions.apply(Services(a=1).breaker("a", errors, 30 * SECOND))
    for _ in range(2):
        directions.fail("a", errors - 1)
        assert directions.call("a") == "a"
        assert directions.errors() == errors - 1
        directions.failed()
        assert directions.call("a") == ""
        assert directions.closes() == 30 * SECOND
        directions.forward(30 * SECOND - 1)
        assert directions.call("a") == ""
        assert directions.closes() == 1
        directions.forward(1)
        assert directions.call("a") == "a"
        assert (directions.closes(), directions.errors()) == (0, 0)


@pytest.mark.spec("7.breaker")
def test_the_window_slides(directions: Directions) -> None:
    """An error counts while it is younger than the time, to the millisecond."""
    directions.apply(Services(a=1).breaker("a", 3, 10 * SECOND))
    directions.fail("a")
    directions.forward(9 * SECOND)
    directions.fail("a")
    directions.forward(SECOND)
    assert directions.errors() == 1
    directions.fail("a")
    assert directions.call("a") == "a"
    directions.forward(8 * SECOND + 999)
    assert directions.errors() == 2
    directions.fail("a")
    assert directions.call("a") == ""


@pytest.mark.spec("7.breaker")
def test_random_errors_open_it_when_the_definition_says(directions: Directions) -> None:
    """Against the definition written out, for errors at random times."""
    chance = random.Random(7)
    for _ in range(200):
        errors, window = chance.randint(1, 8), chance.randint(1, 50)
        directions.forward(1 << 20)
        directions.apply(Services(a=1).breaker("a", errors, window))
        now, seen, until = 0, list[int](), 0
        for _ in range(100):
            step = chance.choice((0, 0, 1, chance.randint(0, 2 * window)))
            now += step
            directions.forward(step)
            assert (directions.call("a") == "") == (now < until)
            assert directions.errors() == sum(now - error < window for error in seen)
            directions.failed()
            if now < until:
                continue
            seen.append(now)
            if len([error for error in seen if now - error < window]) >= errors:
                seen, until = [], now + window


@pytest.mark.spec("7.breaker")
def test_fallback_answers_while_it_is_open_and_its_own_is_not_followed(directions: Directions) -> None:
    """One hop: where the fallback's circuit is open, too, nobody answers; its errors are its own."""
    services = Services(a=1, b=1, c=1)
    services.breaker("a", 2, 60 * SECOND, "b").breaker("b", 3, 60 * SECOND, "c")
    directions.apply(services)
    directions.fail("a", 2)
    assert directions.call("a") == "b"
    directions.fail("a", 2)
    assert directions.errors(1) == 2
    assert directions.call("a") == "b"
    directions.failed()
    assert directions.call("a") == ""
    assert directions.call("b") == "c"


@pytest.mark.spec("7.breaker")
def test_refused_calls_and_those_of_before_are_no_errors(directions: Directions) -> None:
    """What was asked before it opened, and fails while it is open, neither prolongs it nor is remembered."""
    directions.apply(Services(a=1).breaker("a", 1, 10 * SECOND))
    directions.call("a")
    for _ in range(3):
        directions.failed()
        directions.forward(SECOND)
    assert directions.closes() == 7 * SECOND
    directions.fail("a", 5)
    directions.forward(7 * SECOND)
    assert directions.call("a") == "a"
    assert directions.errors() == 0


@pytest.mark.spec("7.breaker")
def test_behind_a_split_each_service_has_its_own(directions: Directions) -> None:
    """An error counts for the Service that was called and for the backend; each refuses for itself."""
    services = Services(a=1, b=1, c=1).split("a", {"b": 1, "c": 1})
    services.breaker("b", 3, 60 * SECOND, "c").breaker("a", 9, 60 * SECOND)
    directions.apply(services)
    for _ in range(3):
        while directions.call("a") != "b":
            pass
        directions.failed()
    assert set(directions.calls("a", 100)) == {"c"}
    assert directions.call("b") == "c"
    assert directions.errors(1) == 3
    assert directions.call("a") == "c"
    directions.failed()
    # Whoever answers in b's place says nothing of a, whoever is drawn does.
    assert directions.errors(1) in {3, 4}


@pytest.mark.spec("7.breaker")
def test_state_belongs_to_the_policy_and_outlives_documents(directions: Directions) -> None:
    """New endpoints, more Services, another order: the errors are those of before. New numbers hold at once."""
    directions.apply(Services(a=1).breaker("a", 3, 60 * SECOND))
    directions.fail("a", 2)
    directions.apply(Services(z=1, a=3).breaker("z", 3, 60 * SECOND).breaker("a", 3, 60 * SECOND))
    assert (directions.errors(0), directions.errors(1)) == (0, 2)
    directions.fail("a")
    assert directions.call("a") == ""
    directions.apply(Services(a=1))
    assert directions.call("a") == "a"
    directions.apply(Services(a=1).breaker("a", 5, 60 * SECOND))
    assert directions.call("a") == ""


@pytest.mark.spec("7.breaker")
def test_zero_never_opens(directions: Directions) -> None:
    directions.apply(Services(a=1, b=1).breaker("a", 0, SECOND).breaker("b", 1, 0))
    directions.fail("a", 10)
    directions.fail("b", 10)
    assert (directions.call("a"), directions.call("b")) == ("a", "b")


@pytest.mark.spec("7.breaker")
def test_workers_share_it(directions: Directions, directing_library: ctypes.CDLL) -> None:
    """Errors of one process open it for the other."""
    directions.apply(Services(a=1).breaker("a", 3, 60 * SECOND))
    directions.fail("a")
    child = os.fork()
    if child == 0:
        directions.fail("a", 2)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert directing_library is not None
    assert directions.call("a") == ""


@pytest.mark.spec("7.breaker")
def test_more_circuits_than_there_is_room_for(directions: Directions) -> None:
    """Those without a place never open; places of policies that are long gone are taken again."""
    directions.apply(Services(a=1).breaker("a", 1, SECOND))
    crowd = Services(a=1)
    for number in range(2100):
        crowd.document.breaker([], f"crowd/breaker-{number}", 1, SECOND)
    directions.apply(crowd)
    assert directions.call("a") == "a"
    directions.forward(2 * 3600 * SECOND)
    directions.apply(Services(late=1).breaker("late", 1, SECOND))
    directions.fail("late")
    assert directions.call("late") == ""
