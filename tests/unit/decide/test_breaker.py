"""A circuit opens and closes at exact counts and times."""

import pytest

from mesh.decide.breaker import CLOSED, Circuit, is_open, note_error
from mesh.model.policy import Breaker

pytestmark = pytest.mark.spec("7.breaker")
THREE_IN_TEN = Breaker("shop/cb", 3, 10)


def after(breaker: Breaker, *errors: int) -> Circuit:
    circuit = CLOSED
    for now in errors:
        circuit = note_error(breaker, circuit, now)
    return circuit


def test_opens_at_the_count_within_the_time() -> None:
    assert not is_open(after(THREE_IN_TEN, 1000, 2000), 2000)
    assert is_open(after(THREE_IN_TEN, 1000, 2000, 10_999), 10_999)
    assert not is_open(after(THREE_IN_TEN, 1000, 2000, 11_000), 11_000)


def test_the_window_slides() -> None:
    assert is_open(after(THREE_IN_TEN, 1000, 2000, 11_000, 11_500), 11_500)


def test_closes_after_the_time_without_memory() -> None:
    circuit = after(THREE_IN_TEN, 1000, 1000, 1000)
    assert is_open(circuit, 10_999)
    assert not is_open(circuit, 11_000)
    again = note_error(THREE_IN_TEN, note_error(THREE_IN_TEN, circuit, 11_000), 11_000)
    assert not is_open(again, 11_000)
    assert is_open(note_error(THREE_IN_TEN, again, 11_000), 11_000)


def test_errors_while_open_count_for_nothing() -> None:
    circuit = after(THREE_IN_TEN, 1, 2, 3)
    assert note_error(THREE_IN_TEN, circuit, 5000) == circuit


@pytest.mark.parametrize("breaker", [Breaker("shop/cb", 0, 10), Breaker("shop/cb", 3, 0)])
def test_nothing_of_either_never_opens(breaker: Breaker) -> None:
    assert after(breaker, 1, 1, 1, 1) == CLOSED
