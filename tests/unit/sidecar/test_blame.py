"""A refused line of `state` names the object that it comes from (contract 6.last-good)."""

import pytest

from mesh.api.mtls import MtlsMode
from mesh.model.policy import Breaker, HttpMatch, Limit, LimitSource, Share, Split, Target
from mesh.model.sidecar_config import Endpoint, Protocol, ServicePort, SidecarConfig
from mesh.sidecar import nginx_state
from mesh.sidecar.blame import name_objects

CALLER = "spiffe://example.org/ns/shop/sa/page"
FIRST, SECOND = HttpMatch("^/a", ("GET",), (("x-user", "b"),)), HttpMatch("^/b")
CONFIG = SidecarConfig(
    "example.org",
    MtlsMode.STRICT,
    0,
    "warn",
    "json",
    "allow",
    services=(
        ServicePort(
            "shop",
            "web",
            80,
            Protocol.HTTP,
            "random",
            ("10.96.0.1",),
            (Endpoint("10.0.0.1", 80, "", "shop/web-0"),),
            splits=(Split("shop/canary", (Share("shop/web", 80, 1),), (FIRST,)),),
            breaker=Breaker("shop/fuse", 3, 10, None),
        ),
    ),
    access_enforced=True,
    targets=(Target("shop/open", (CALLER,), matches=(SECOND,), tcp=True),),
    limits=(Limit("shop/slow", 1, 0, 0, 503, (80,), (LimitSource("page", ("shop/page-0",)),), (SECOND,)),),
)
DOCUMENT = nginx_state.render(CONFIG, "1.1")
SUBJECTS = {
    "upstream": "Service shop/web",
    "endpoint": "Service shop/web",
    "route": "Service shop/web",
    "guard": "Service shop/web",
    "split": "TrafficSplit shop/canary",
    "split_match": "TrafficSplit shop/canary",
    "share": "TrafficSplit shop/canary",
    "header": "TrafficSplit shop/canary",
    "breaker": "CircuitBreaker shop/fuse",
    "target": "TrafficTarget shop/open",
    "target_source": "TrafficTarget shop/open",
    "target_match": "TrafficTarget shop/open",
    "target_tcp": "TrafficTarget shop/open",
    "limit": "RateLimit shop/slow",
    "limit_source": "RateLimit shop/slow",
    "limit_port": "RateLimit shop/slow",
    "limit_match": "RateLimit shop/slow",
}


def number_of(start: str) -> int:
    return next(i for i, line in enumerate(DOCUMENT.splitlines(), 1) if line.split("\t")[0] == start)


@pytest.mark.spec("6.last-good")
@pytest.mark.parametrize(("start", "subject"), SUBJECTS.items(), ids=SUBJECTS)
def test_a_line_of_each_kind_names_its_object(start: str, subject: str) -> None:
    """The Service or the policy, as it is called in the cluster."""
    refusal = f"state:{number_of(start)}: something: got x"
    assert name_objects(DOCUMENT, refusal) == f"{refusal} ({subject})"


@pytest.mark.spec("6.last-good")
def test_a_match_names_the_first_policy_that_has_it() -> None:
    """Matches are written once for all policies."""
    lines = DOCUMENT.splitlines()
    row = next(
        i for i, line in enumerate(lines, 1) if line.startswith("match\t") and "%5Eb" not in line and "/b" in line
    )
    assert name_objects(DOCUMENT, f"state:{row}: pattern: bad").endswith("(TrafficTarget shop/open)")


@pytest.mark.spec("6.last-good")
@pytest.mark.parametrize(
    "refusal",
    ["state: too long", "state:1: version: got 2", "state:9999: what", "svid.pem:7: no key", "state:0: none", ""],
)
def test_what_names_no_object_is_left_as_it_is(refusal: str) -> None:
    """Lines about the whole, and other files."""
    assert name_objects(DOCUMENT, refusal) == refusal


@pytest.mark.spec("6.last-good")
def test_a_document_of_rubbish_names_nobody() -> None:
    """It is only read to explain; nothing can go wrong with it."""
    rubbish = "split\nshare\nmatch\ntarget_match\npolicy\nlimit\tx\n\n"
    refusals = [f"state:{number}: bad" for number in range(1, 9)]
    assert [line.split(" (")[0] for line in name_objects(rubbish, "\n".join(refusals)).splitlines()] == refusals
