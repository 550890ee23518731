"""Which Service answers: weights, matches, nested splits, empty backends, circuits."""

from collections.abc import Mapping
from fractions import Fraction

import pytest

from mesh.decide.request import Request
from mesh.decide.split import Direction, Hop, Place, Services, direct, distribution, services_of
from mesh.model.policy import Breaker, HttpMatch, Share, Split
from mesh.model.sidecar_config import Endpoint, Protocol, ServicePort

GET = Request(80)


def port(name: str, *splits: Split, breaker: Breaker | None = None, ready: bool = True) -> ServicePort:
    endpoints = (Endpoint("10.0.0.1", 8080),) if ready else ()
    return ServicePort("shop", name, 80, Protocol.HTTP, "round_robin", (), endpoints, splits=splits, breaker=breaker)


def split(policy: str, matches: tuple[HttpMatch, ...] = (), **weights: int) -> Split:
    return Split(
        f"shop/{policy}", tuple(Share(f"shop/{name}", 80, weight) for name, weight in weights.items()), matches
    )


def place(name: str) -> Place:
    return (f"shop/{name}", 80)


def answers(services: Services, request: Request = GET, opened: tuple[str, ...] = ()) -> Mapping[str, Fraction]:
    """Whose endpoints answer calls of `root`, and how often; "" is a refusal."""
    found: dict[str, Fraction] = {}
    for direction, chance in distribution(services, place("root"), request, opened).items():
        name = "" if direction.refused_by else direction.service[0].removeprefix("shop/")
        found[name] = found.get(name, Fraction(0)) + chance
    return found


@pytest.mark.spec("7.split")
def test_shares_are_by_weight() -> None:
    services = services_of([port("root", split("s", a=1, b=3, c=0)), port("a"), port("b"), port("c")])
    assert answers(services) == {"a": Fraction(1, 4), "b": Fraction(3, 4)}


@pytest.mark.spec("7.split")
def test_a_backend_without_endpoints_takes_no_share() -> None:
    services = services_of([port("root", split("s", a=1, b=3)), port("a"), port("b", ready=False)])
    assert answers(services) == {"a": Fraction(1)}


@pytest.mark.spec("7.split")
@pytest.mark.parametrize("weights", [{"a": 0, "b": 3}, {}, {"a": 0}])
def test_where_nothing_is_left_the_root_answers(weights: dict[str, int]) -> None:
    services = services_of([port("root", split("s", (), **weights)), port("a"), port("b", ready=False)])
    assert answers(services) == {"root": Fraction(1)}


@pytest.mark.spec("7.split")
def test_the_root_may_be_its_own_backend() -> None:
    services = services_of([port("root", split("s", root=1, a=1)), port("a")])
    assert answers(services) == {"root": Fraction(1, 2), "a": Fraction(1, 2)}


@pytest.mark.spec("7.split")
def test_a_backend_is_split_in_turn() -> None:
    services = services_of([port("root", split("s", a=1, b=1)), port("a", split("t", a=1, c=2)), port("b"), port("c")])
    assert answers(services) == {"a": Fraction(1, 6), "c": Fraction(1, 3), "b": Fraction(1, 2)}


@pytest.mark.spec("7.split")
def test_the_first_split_that_fits_counts() -> None:
    matching = split("beta", (HttpMatch("^/beta"),), b=1)
    services = services_of([port("root", matching, split("s", a=1)), port("a"), port("b")])
    assert answers(services) == {"a": Fraction(1)}
    assert answers(services, Request(80, target=b"/x/../beta")) == {"b": Fraction(1)}
    assert answers(services, Request(80, Protocol.TCP, target=b"/beta")) == {"a": Fraction(1)}


@pytest.mark.spec("7.split")
def test_unmatched_traffic_goes_to_the_root() -> None:
    services = services_of([port("root", split("s", (HttpMatch("^/beta"),), a=1)), port("a")])
    assert answers(services) == {"root": Fraction(1)}
    slow = services_of([port("root", split("s", (HttpMatch("(a+)+$"),), a=1)), port("a")])
    assert answers(slow, Request(80, target=b"/" + b"a" * 60 + b"!")) == {"root": Fraction(1)}


@pytest.mark.spec("7.split")
def test_each_draw_has_its_backend() -> None:
    services = services_of([port("root", split("s", a=1, b=3)), port("a"), port("b")])
    draws = iter(range(4))
    drawn = [direct(services, place("root"), GET, lambda _: next(draws)).service for _ in range(4)]
    assert drawn == [place("a"), place("b"), place("b"), place("b")]


@pytest.mark.spec("7.breaker")
def test_an_open_circuit_refuses_or_falls_back() -> None:
    bare = services_of([port("root", breaker=Breaker("shop/cb", 1, 1))])
    assert answers(bare) == {"root": Fraction(1)}
    assert answers(bare, opened=("shop/cb",)) == {"": Fraction(1)}
    guarded = services_of([port("root", breaker=Breaker("shop/cb", 1, 1, place("spare"))), port("spare")])
    assert answers(guarded, opened=("shop/cb",)) == {"spare": Fraction(1)}


@pytest.mark.spec("7.breaker")
def test_a_fallback_is_one_hop() -> None:
    services = services_of(
        [
            port("root", breaker=Breaker("shop/cb", 1, 1, place("spare"))),
            port("spare", split("s", other=1), breaker=Breaker("shop/spare", 1, 1, place("other"))),
            port("other"),
        ]
    )
    assert answers(services, opened=("shop/cb",)) == {"spare": Fraction(1)}
    assert answers(services, opened=("shop/cb", "shop/spare")) == {"": Fraction(1)}


@pytest.mark.spec("7.breaker")
def test_the_root_is_asked_before_its_backends_and_errors_count_for_both() -> None:
    services = services_of(
        [
            port("root", split("s", a=1), breaker=Breaker("shop/root", 1, 1)),
            port("a", breaker=Breaker("shop/a", 1, 1, place("spare"))),
            port("spare", breaker=Breaker("shop/spare", 1, 1)),
        ]
    )
    ((closed, _),) = distribution(services, place("root"), GET).items()
    assert closed.guards == ("shop/root", "shop/a")
    assert closed.hops == (Hop(place("root"), "shop/s"), Hop(place("a")))
    ((fallen, _),) = distribution(services, place("root"), GET, ("shop/a",)).items()
    assert (fallen.service, fallen.guards, fallen.fallback_of) == (place("spare"), ("shop/spare",), "shop/a")
    ((refused, _),) = distribution(services, place("root"), GET, ("shop/root", "shop/a")).items()
    assert refused == Direction((Hop(place("root")),), refused_by="shop/root")
