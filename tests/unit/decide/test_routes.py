"""A request fits a match when it meets every criterion."""

import pytest

from mesh.decide.path import BadTargetError
from mesh.decide.request import Request
from mesh.decide.routes import first_fit, fits
from mesh.model.policy import HttpMatch

pytestmark = pytest.mark.spec("7.match")
GIVEN_UP = "(a+)+$"
LONG = b"/" + b"a" * 60 + b"!"


def request(method: str = "GET", target: bytes = b"/", headers: tuple[tuple[str, bytes], ...] = ()) -> Request:
    return Request(80, method=method, target=target, headers=headers)


@pytest.mark.parametrize(
    ("match", "call", "expected"),
    [
        (HttpMatch(), request("DELETE", b"/x"), True),
        (HttpMatch("^/shop/"), request(target=b"//shop/../shop//x?y"), True),
        (HttpMatch("^/shop/"), request(target=b"/x?/shop/"), False),
        (HttpMatch("x"), request(target=b"/?x"), False),
        (HttpMatch(methods=("GET", "HEAD")), request("HEAD"), True),
        (HttpMatch(methods=("GET",)), request("get"), False),
        (HttpMatch("^/a", ("GET",)), request("POST", b"/a"), False),
        (HttpMatch(headers=(("x-user", ""),)), request(headers=(("X-User", b""),)), True),
        (HttpMatch(headers=(("x-user", ""),)), request(), False),
        (HttpMatch(headers=(("x-user", "^a"),)), request(headers=(("x-USER", b"ab"),)), True),
        (HttpMatch(headers=(("a", "1"), ("b", "2"))), request(headers=(("a", b"1"),)), False),
        (HttpMatch(headers=(("x-mesh-peer-identity", ""),)), request(headers=(("x-mesh-peer-identity", b"x"),)), False),
        (HttpMatch(GIVEN_UP), request(target=LONG), None),
        (HttpMatch(GIVEN_UP, ("POST",)), request(target=LONG), False),
        (HttpMatch(GIVEN_UP, headers=(("a", ""),)), request(target=LONG), False),
    ],
)
def test_every_criterion_counts(match: HttpMatch, call: Request, expected: bool | None) -> None:
    assert fits(match, call) is expected


def test_values_of_a_repeated_header_are_joined() -> None:
    call = Request(80, headers=(("A", b"1"), ("b", b"x"), ("a", b"2")))
    assert fits(HttpMatch(headers=(("a", "^1, 2$"),)), call) is True


def test_the_first_match_is_told_and_what_was_given_up_is_as_asked() -> None:
    matches = (HttpMatch("^/b"), HttpMatch(GIVEN_UP), HttpMatch())
    assert first_fit(matches, request(target=LONG)) == 2
    assert first_fit(matches, request(target=LONG), unknown=True) == 1
    assert first_fit((), request()) is None


def test_a_malformed_target_is_no_path() -> None:
    with pytest.raises(BadTargetError):
        fits(HttpMatch("a"), request(target=b"/.."))
