"""Leaky buckets, and whose they are."""

import pytest

from mesh.decide.limit import Admission, Applied, Bucket, limit_for, take
from mesh.decide.request import Request
from mesh.model.policy import NO_DELAY, HttpMatch, Limit, LimitSource
from mesh.model.sidecar_config import MtlsMode, Protocol, SidecarConfig

pytestmark = pytest.mark.spec("7.limits")
TEN = 10_000_000


def admissions(limit: Limit, *times: int) -> list[int | None]:
    """What becomes of requests at these times: how long each waits, None for a refusal."""
    bucket: Bucket | None = None
    found = []
    for now in times:
        bucket, admission = take(limit, bucket, now)
        found.append(admission.delay_ms)
    return found


def test_one_request_each_tenth_of_a_second() -> None:
    assert admissions(Limit("a/b", TEN), 0, 50, 99, 100, 199, 200) == [0, None, None, 0, None, 0]


def test_a_burst_waits_for_its_turn() -> None:
    assert admissions(Limit("a/b", TEN, burst=2), 0, 0, 0, 0, 100) == [0, 100, 200, None, 200]


def test_without_delay_a_burst_passes_at_once() -> None:
    assert admissions(Limit("a/b", TEN, 2, NO_DELAY), 0, 0, 0, 0) == [0, 0, 0, None]


def test_what_is_beyond_the_delay_waits() -> None:
    assert admissions(Limit("a/b", TEN, 3, 2), 0, 0, 0, 0, 0) == [0, 0, 0, 100, None]


def test_slow_rates_are_kept() -> None:
    one_a_minute_for_two = Limit("a/b", 1_000_000 // 60 // 2)
    assert admissions(one_a_minute_for_two, 0, 119_000, 120_010) == [0, None, 0]


def test_time_that_goes_back_gives_nothing() -> None:
    limit = Limit("a/b", TEN, 1, NO_DELAY)
    assert take(limit, Bucket(0, 1000), 900) == (Bucket(1000, 1000), Admission(0))


def config(*limits: Limit, transparent: bool = False) -> SidecarConfig:
    return SidecarConfig(
        "example.org", MtlsMode.STRICT, 0, "warn", "default", "allow", limits=limits, transparent=transparent
    )


NAMED = Limit("a/named", TEN, sources=(LimitSource("web", ("a/w1",)), LimitSource("api", ("a/x", "a/y"))))
OTHERS = Limit("a/others", TEN)


@pytest.mark.parametrize(
    ("pod", "applied"),
    [("a/w1", Applied(NAMED, 0)), ("a/y", Applied(NAMED, 1)), ("a/z", Applied(OTHERS)), ("", Applied(OTHERS))],
)
def test_each_source_has_its_bucket(pod: str, applied: Applied) -> None:
    assert limit_for(config(OTHERS, NAMED), Request(80, pod=pod)) == applied


def test_who_is_named_is_not_everyone_else() -> None:
    elsewhere = Limit("a/port", TEN, ports=(81,), sources=(LimitSource("web", ("a/w1",)),))
    assert limit_for(config(elsewhere, OTHERS), Request(80, pod="a/w1")) is None


@pytest.mark.parametrize(
    ("limit", "request_", "holds"),
    [
        (Limit("a/b", TEN, ports=(80,)), Request(80), True),
        (Limit("a/b", TEN, ports=(80,)), Request(81), False),
        (Limit("a/b", TEN), Request(80, Protocol.GRPC), True),
        (Limit("a/b", TEN), Request(80, Protocol.TCP), False),
        (Limit("a/b", TEN, matches=(HttpMatch("^/a"),)), Request(80, target=b"//a"), True),
        (Limit("a/b", TEN, matches=(HttpMatch("^/a"),)), Request(80, target=b"/b"), False),
        (Limit("a/b", TEN, matches=(HttpMatch("(a+)+$"),)), Request(80, target=b"/" + b"a" * 60 + b"!"), True),
    ],
)
def test_a_limit_holds_on_its_ports_for_its_requests(limit: Limit, request_: Request, holds: bool) -> None:
    assert (limit_for(config(limit), request_) is not None) is holds


def test_transparent_limits_nothing() -> None:
    assert limit_for(config(OTHERS, transparent=True), Request(80)) is None


def test_a_limit_may_hold_for_some_pods_of_a_group() -> None:
    some = Limit("a/some", TEN, pods=("a/s1",))
    assert limit_for(config(some), Request(80), "a/s1") == Applied(some)
    assert limit_for(config(some), Request(80), "a/s2") is None
