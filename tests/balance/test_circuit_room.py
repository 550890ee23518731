"""There is room for so many circuits: who keeps one, and who gets none (contract 6.shared-memory)."""

import pytest

from tests.balance.directions import Directions, Services

ROOM = 2048
HOUR_MS = 3_600_000
LONG_MS = 24 * HOUR_MS
pytestmark = pytest.mark.spec("6.shared-memory")


def full(first: str, new: bool = False) -> Services:
    """A circuit of Service *first*, which opens at one error, among as many as there is room for; or behind a new one."""
    services = Services(a=1, b=1)
    if new:
        services.breaker("b", 1, LONG_MS)
    services.breaker(first, 1, LONG_MS)
    for number in range(1, ROOM):
        services.document.breaker([], f"shop/other-{number}", 1, LONG_MS)
    return services


@pytest.mark.parametrize(
    "later_ms",
    [
        pytest.param(2 * HOUR_MS, id="documents are seldom"),
        pytest.param(-5 & (1 << 64) - 1, id="another worker's clock is ahead"),
    ],
)
def test_a_new_policy_takes_no_circuit_of_one_that_is_still_wanted(directions: Directions, later_ms: int) -> None:
    """It is open before and after; the new one never opens, and its calls pass."""
    directions.apply(full("a"))
    directions.fail("a")
    assert directions.call("a") == ""
    directions.forward(later_ms)
    directions.apply(full("a", new=True))
    assert directions.call("a") == ""
    directions.fail("b", 3)
    assert directions.call("b") == "b"


def test_a_circuit_that_nobody_wants_any_more_is_given_to_another(directions: Directions) -> None:
    """After an hour, as good as new."""
    directions.apply(full("a"))
    directions.fail("a")
    directions.apply(full("b"))
    directions.fail("b", 3)
    assert directions.call("b") == "b"
    directions.forward(HOUR_MS + 1)
    services = full("b")
    services.document.revision = "1.2"
    directions.apply(services)
    assert directions.call("b") == "b"
    directions.fail("b")
    assert directions.call("b") == ""
