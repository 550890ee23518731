"""Splits against their law over 100,000 calls, with fixed seeds (contract 7.split)."""

from collections import Counter

import pytest

from tests.balance.chi_square import p_value
from tests.balance.directions import PORT, Directions, Services
from tests.nginx.documents import To

CALLS = 100_000
LIKELY = 0.001
SEEDS = (1, 20261121)


def law(observed: list[str], shares: dict[str, float]) -> float:
    """How likely that is."""
    counted = Counter(observed)
    assert set(counted) <= set(shares)
    return p_value([counted[name] for name in shares], list(shares.values()))


@pytest.mark.spec("7.split")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "weights",
    [
        {"b": 50, "c": 50},
        {"b": 90, "c": 10},
        {"b": 1, "c": 999},
        {"b": 5, "c": 0, "d": 2},
        {"b": 2_000_000_000, "c": 2_000_000_000, "d": 2_000_000_000},
        {"b": 1, "c": 2, "d": 3, "e": 4},
    ],
)
def test_shares_are_those_of_the_weights(directions: Directions, weights: dict[str, int], seed: int) -> None:
    """Within one percentage point, and as independent draws would be."""
    directions.apply(Services(a=1, b=1, c=1, d=1, e=1).split("a", weights), seed)
    answers = directions.calls("a", CALLS)
    total = sum(weights.values())
    assert law(answers, {name: weight / total for name, weight in weights.items()}) > LIKELY
    for name, weight in weights.items():
        assert abs(answers.count(name) / CALLS - weight / total) < 0.01


@pytest.mark.spec("7.split")
def test_draws_are_independent(directions: Directions) -> None:
    """What answered one call says nothing of who answers the next."""
    directions.apply(Services(a=1, b=1, c=1).split("a", {"b": 1, "c": 1}))
    answers = directions.calls("a", CALLS)
    pairs = [first + second for first, second in zip(answers[::2], answers[1::2], strict=True)]
    assert law(pairs, dict.fromkeys(("bb", "bc", "cb", "cc"), 0.25)) > LIKELY


@pytest.mark.spec("7.split")
def test_what_has_no_endpoint_gives_its_share_to_the_others(directions: Directions) -> None:
    """In proportion; with nothing left, and with weights of zero alone, the root answers, and its own calls are untouched."""
    directions.apply(Services(a=1, b=0, c=1, d=2).split("a", {"b": 60, "c": 10, "d": 30}))
    assert law(directions.calls("a", CALLS), {"c": 0.25, "d": 0.75}) > LIKELY
    directions.apply(Services(a=1, b=0, c=0).split("a", {"b": 60, "c": 40}))
    assert set(directions.calls("a", 100)) == {"a"}
    directions.apply(Services(a=1, b=1).split("a", {"b": 0}))
    assert set(directions.calls("a", 100)) == {"a"}
    directions.apply(Services(a=1, b=1).split("a", {}))
    assert set(directions.calls("a", 100)) == {"a"}


@pytest.mark.spec("7.split")
def test_the_root_may_be_a_share_of_itself(directions: Directions) -> None:
    """It means the root's own endpoints, which are not split again; without any its share is the others'."""
    directions.apply(Services(a=1, b=1).split("a", {"a": 75, "b": 25}))
    assert law(directions.calls("a", CALLS), {"a": 0.75, "b": 0.25}) > LIKELY
    directions.apply(Services(a=0, b=1).split("a", {"a": 75, "b": 25}))
    assert set(directions.calls("a", 100)) == {"b"}


@pytest.mark.spec("7.split")
def test_the_first_split_that_fits_counts(directions: Directions) -> None:
    """Those without matches fit everything, connections too; what fits none goes to the root."""
    services = Services(a=1, b=1, c=1, d=0).split("a", {"b": 1}, some=True).split("a", {"c": 1}, some=True)
    directions.apply(services)
    assert directions.calls("a", 1, (True, True)) == ["b"]
    assert directions.calls("a", 1, (False, True)) == ["c"]
    assert directions.calls("a", 1, (False, False)) == ["a"]
    assert directions.calls("a", 1, None) == ["a"]
    directions.apply(services.split("a", {"d": 1}))
    assert directions.calls("a", 1, (False, True)) == ["c"]
    # The last one fits, and has nobody to send to: that is no reason to look further.
    assert directions.calls("a", 1, (False, False)) == ["a"]
    directions.apply(Services(a=1, b=1).split("a", {"b": 1}))
    assert directions.calls("a", 1, None) == ["b"]


@pytest.mark.spec("7.split")
def test_a_backend_is_split_in_turn(directions: Directions) -> None:
    """Shares multiply."""
    services = Services(a=1, b=1, c=1, d=1)
    services.split("a", {"b": 60, "c": 40}).split("b", {"b": 50, "d": 50})
    directions.apply(services)
    assert law(directions.calls("a", CALLS), {"b": 0.3, "d": 0.3, "c": 0.4}) > LIKELY


@pytest.mark.spec("7.split")
def test_a_circle_that_got_in_ends(directions: Directions) -> None:
    """Somebody answers."""
    directions.apply(Services(a=1, b=1).split("a", {"b": 1}).split("b", {"a": 1}))
    assert set(directions.calls("a", 100)) <= {"a", "b"}


@pytest.mark.spec("7.split")
def test_a_pod_called_by_its_address_is_called_as_its_headless_service(directions: Directions) -> None:
    """Its splits hold; what they leave goes to the very pod that was called."""
    services = Services(a=2, b=1).split("a", {"a": 1, "b": 1})
    for host in (1, 2):
        services.document.pod(To(f"10.0.0.{host}", 8080, "spiffe://example.org/ns/shop/sa/a", f"shop/a-{host}"))
    services.document.headless("10.0.0.2", 8080, 0)
    services.document.headless("10.9.9.9", 8080, 0)
    services.document.headless(services.address("b"), PORT, 0)
    directions.apply(services)
    first, second, b = 2, 3, services.numbers["b"]
    assert set(directions.answers("10.0.0.1", 8080, 1000)) == {first}
    answers = directions.answers("10.0.0.2", 8080, CALLS)
    assert set(answers) == {second, b}
    assert p_value([answers.count(second), answers.count(b)], [0.5, 0.5]) > LIKELY
    assert set(directions.calls("b", 100)) == {"b"}
