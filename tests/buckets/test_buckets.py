"""The sidecar's leaky buckets against the reference, request for request, without a clock (contract 7.limits)."""

import itertools
import random

import pytest

from mesh.decide import limit as reference
from mesh.decide.request import Request
from mesh.model.policy import NO_DELAY, Limit, LimitSource
from mesh.model.sidecar_config import MtlsMode, SidecarConfig
from tests.buckets.library import LET_IN, NO_ROOM, REFUSED, Limits, Taken
from tests.nginx.documents import Document

pytestmark = pytest.mark.spec("7.limits")
PORTS = (8080, 9090)
_names = itertools.count()


def written(limits: list[Limit]) -> str:
    """The document that says so."""
    document = Document(incoming=dict.fromkeys(PORTS, "http"))
    for limit in limits:
        document.limit(
            limit.policy,
            limit.microrequests,
            limit.burst,
            "nodelay" if limit.delay == NO_DELAY else limit.delay,
            limit.status,
            [source.pods for source in limit.sources],
            limit.ports,
        )
    return document.render()


def random_limit(choose: random.Random) -> Limit:
    """Of any rate, from one in days to a million a second; its name is new."""
    burst = choose.choice([0, 0, 1, 5, 1000])
    sources = choose.randrange(4)
    return Limit(
        policy=f"shop/limit-{next(_names)}",
        microrequests=choose.choice([1, 33_333, 166_666, 2_000_000, 10_000_000, 999_999_999, 10**12]),
        burst=burst,
        delay=choose.choice([NO_DELAY, 0, 1, burst]),
        ports=tuple(sorted(choose.sample(PORTS, choose.randrange(3)))),
        sources=tuple(
            LimitSource(
                f"source-{source}", tuple(f"shop/pod-{choose.randrange(9)}" for _ in range(choose.randrange(1, 4)))
            )
            for source in range(sources)
        ),
    )


def config(limits: list[Limit]) -> SidecarConfig:
    return SidecarConfig("example.org", MtlsMode.STRICT, 0, "warn", "default", "allow", limits=tuple(limits))


def admission(taken: Taken) -> reference.Admission:
    """In the words of the reference."""
    assert taken.result in {LET_IN, REFUSED}
    return reference.Admission(taken.wait_ms if taken.result == LET_IN else None)


@pytest.mark.parametrize("seed", range(20))
def test_the_module_agrees_with_the_reference(limits: Limits, seed: int) -> None:
    """Which limit holds, whether a request is let in and when, for 5,000 requests at random times; documents change in between."""
    choose = random.Random(seed)
    known = [random_limit(choose) for _ in range(6)]
    buckets: dict[tuple[str, int], reference.Bucket | None] = {}
    now = 1_000_000
    for number in range(5000):
        if number % 500 == 0:
            # Buckets are known by policy: what else a document says, and in which order, does not matter to them.
            choose.shuffle(known)
            assert limits.read(written(known)) == ""
        now = max(now + choose.choice([-1, 0, 0, 1, 7, 100, 30_000, 86_400_000]), 0)
        pod, port = f"shop/pod-{choose.randrange(11)}", choose.choice(PORTS)
        expected = reference.limit_for(config(known), Request(port, pod=pod))
        taken = limits.take(pod, port, now)
        if expected is None:
            assert taken is None
            continue
        assert taken is not None
        assert known[taken.limit] == expected.limit
        key = (expected.limit.policy, expected.bucket)
        buckets[key], wanted = reference.take(expected.limit, buckets.get(key), now)
        assert admission(taken) == wanted, (expected, now, buckets[key])


def test_a_refusal_says_how_long_it_lasts(limits: Limits) -> None:
    """A request that comes then is let in, one a millisecond earlier is not."""
    limit = Limit(f"shop/limit-{next(_names)}", 3_000_000, burst=1, delay=NO_DELAY)
    assert limits.read(written([limit])) == ""
    results = [limits.take("", 8080, 5000) for _ in range(3)]
    assert results == [Taken(0, LET_IN, 0), Taken(0, LET_IN, 0), Taken(0, REFUSED, 333)]
    assert limits.take("", 8080, 5332) == Taken(0, REFUSED, 1)
    assert limits.take("", 8080, 5334) == Taken(0, LET_IN, 0)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_no_drift(limits: Limits, count: int) -> None:
    """Ten a minute among any number of sources: within an hour of trying every 10 ms each gets its share, to the request."""
    sources = tuple(LimitSource(f"s-{number}", (f"shop/pod-{number}",)) for number in range(count))
    limit = Limit(f"shop/limit-{next(_names)}", 10_000_000 // 60 // count, sources=sources)
    assert limits.read(written([limit])) == ""
    let_in = 0
    for now in range(0, 3_600_000, 10):
        taken = limits.take("shop/pod-0", 8080, 10_000_000 + now)
        assert taken is not None
        let_in += taken.result == LET_IN
    assert let_in == pytest.approx(600 / count, abs=1)


def test_more_buckets_than_there_is_room_for(limits: Limits) -> None:
    """They limit nothing and are counted; those that have run out make room, and the others keep what they know."""
    everyone = tuple(LimitSource(f"s-{number}", (f"shop/pod-{number}",)) for number in range(20_000))
    limit = Limit(f"shop/limit-{next(_names)}", 1_000_000, sources=everyone)
    assert limits.read(written([limit])) == ""
    before = limits.missed()
    now = 2**40  # Long after every other test: their buckets have run out.
    first = [limits.take(f"shop/pod-{number}", 8080, now) for number in range(20_000)]
    results = [taken.result for taken in first if taken is not None]
    assert len(results) == 20_000
    assert 5000 < results.count(LET_IN) <= 8192
    assert limits.missed() - before == results.count(NO_ROOM) == 20_000 - results.count(LET_IN)
    again = [limits.take(f"shop/pod-{number}", 8080, now + 999) for number in range(20_000)]
    assert [taken.result for taken in again if taken is not None] == [
        REFUSED if result == LET_IN else NO_ROOM for result in results
    ]
    late = limits.take(f"shop/pod-{results.index(NO_ROOM)}", 8080, now + 2000)
    assert late is not None
    assert late.result == LET_IN


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("limit\t0\t0\t-1\t0\t0\t503\teveryone", "rate"),
        ("limit\t0\t0\t1\t-1\t0\t503\teveryone", "burst"),
        ("limit\t0\t0\t1\t0\tnone\t503\teveryone", "delay"),
        ("limit\t0\t0\t1\t0\t0\t404\teveryone", "status"),
        ("limit\t0\t0\t1\t0\t0\t503\tall", "callers"),
        ("limit\t0\t1\t1\t0\t0\t503\tnamed", "policy"),
        ("limit\t1\t0\t1\t0\t0\t503\tnamed", "limit"),
        ("limit_source\t0\tshop/pod", "limit"),
        ("limit\t0\t0\t1\t0\t0\t503\tnamed\nlimit_source\t0\tpod", "pod"),
        ("limit\t0\t0\t1\t0\t0\t503\tnamed\nlimit_source\tx\tshop/pod", "bucket"),
        ("limit\t0\t0\t1\t0\t0\t503\tnamed\nlimit_port\t0", "port"),
        ("limit\t0\t0\t1\t0\t0\t503\tnamed\nlimit_match\t0", "match"),
    ],
)
def test_malformed_lines(limits: Limits, lines: str, wrong: str) -> None:
    """Each is refused with what is wrong, and the document with it."""
    lines = "policy\t0\tlimit\tshop/slow\npolicy\t1\tsplit\tshop/other\n" + lines
    document = "mesh\t1\t1.1\ntrust_domain\texample.org\nmode\toff\n" + lines + "\n"
    error = limits.read(f"{document}end\t{document.count(chr(10))}\n")
    assert error.startswith("state:"), error
    assert f": {wrong}" in error, error
