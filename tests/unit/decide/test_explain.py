"""What becomes of a call, on every way that it may take."""

from dataclasses import replace
from fractions import Fraction

import pytest

from mesh.decide.explain import Caller, Explanation, Leg, Wire, explain_pod, explain_service
from mesh.decide.request import Request
from mesh.model.policy import Breaker, HttpMatch, Limit, Share, Split, Target
from mesh.model.reason import Reason
from mesh.model.sidecar_config import (
    Endpoint,
    IncomingPort,
    MtlsMode,
    PodAddress,
    Protocol,
    ServicePort,
    SidecarConfig,
)

pytestmark = pytest.mark.spec("7.why")
WEB = "spiffe://example.org/ns/a/sa/web"
CART = "spiffe://example.org/ns/a/sa/cart"
PLAIN = SidecarConfig("example.org", MtlsMode.STRICT, 0, "warn", "default", "allow")
V1 = Endpoint("10.0.0.1", 8080, CART, "a/cart-1")
V2 = Endpoint("10.0.0.2", 8080, CART, "a/cart-2")
BARE = Endpoint("10.0.0.3", 8080, "", "a/old-1")
GET = Request(0)
SERVER = replace(PLAIN, incoming=(IncomingPort(8080, Protocol.HTTP),))
GUARDED = replace(
    SERVER,
    access_enforced=True,
    targets=(Target("a/reads", (WEB,), matches=(HttpMatch("^/items", ("GET",)),)),),
    limits=(Limit("a/slow", 10_000_000),),
)


def service(
    name: str, *endpoints: Endpoint, splits: tuple[Split, ...] = (), breaker: Breaker | None = None
) -> ServicePort:
    return ServicePort("a", name, 80, Protocol.HTTP, "random", ("10.1.0.1",), endpoints, splits=splits, breaker=breaker)


def caller(*services: ServicePort, mode: MtlsMode = MtlsMode.STRICT) -> Caller:
    return Caller("a/web-1", WEB, replace(PLAIN, mtls_mode=mode, services=services))


def only_leg(explanation: Explanation) -> Leg:
    ((leg,),) = [way.legs for way in explanation.ways]
    return leg


def test_a_call_is_judged_by_the_sidecar_of_each_endpoint() -> None:
    who = caller(service("cart", V1, V2))
    pods = {"a/cart-1": GUARDED, "a/cart-2": SERVER}
    allowed = explain_service(who, pods, ("a/cart", 80), replace(GET, target=b"/x/../items"))
    assert allowed.outcomes == {""}
    first, second = allowed.ways[0].legs
    assert (first.wire, first.mode, first.access and first.access.policy) == (Wire.MTLS, MtlsMode.STRICT, "a/reads")
    assert first.limit is not None
    assert first.limit.limit.policy == "a/slow"
    assert second.limit is None
    refused = explain_service(who, pods, ("a/cart", 80), replace(GET, target=b"/admin"))
    assert refused.outcomes == {"", "access_no_rule:a/reads"}


def test_shares_are_told_with_their_splits_and_circuits() -> None:
    who = caller(
        service("cart", V1, splits=(Split("a/canary", (Share("a/cart", 80, 3), Share("a/next", 80, 1))),)),
        service("next", V2, breaker=Breaker("a/cb", 5, 10)),
    )
    told = explain_service(who, {}, ("a/cart", 80), GET)
    assert {way.direction.service[0]: way.chance for way in told.ways} == {
        "a/cart": Fraction(3, 4),
        "a/next": Fraction(1, 4),
    }
    assert all(way.direction.hops[0].split == "a/canary" for way in told.ways)
    opened = explain_service(who, {}, ("a/cart", 80), GET, opened=("a/cb",))
    assert opened.outcomes == {"", "circuit_open:a/cb"}


@pytest.mark.parametrize(
    ("mode", "endpoint", "wire", "refusal"),
    [
        (MtlsMode.STRICT, BARE, None, Reason.PLAINTEXT_ENDPOINT),
        (MtlsMode.PERMISSIVE, BARE, Wire.PLAINTEXT, ""),
        (MtlsMode.PERMISSIVE, V1, Wire.MTLS, ""),
        (MtlsMode.OFF, V1, Wire.PLAINTEXT, Reason.PLAINTEXT),
    ],
)
def test_both_modes_count(mode: MtlsMode, endpoint: Endpoint, wire: Wire | None, refusal: str) -> None:
    leg = only_leg(
        explain_service(caller(service("cart", endpoint), mode=mode), {"a/cart-1": SERVER}, ("a/cart", 80), GET)
    )
    assert (leg.wire, leg.refusal) == (wire, refusal)


def test_without_encryption_there_is_no_identity() -> None:
    who = caller(service("cart", V1), mode=MtlsMode.OFF)
    pods = {"a/cart-1": replace(GUARDED, mtls_mode=MtlsMode.PERMISSIVE)}
    assert only_leg(explain_service(who, pods, ("a/cart", 80), GET)).refusal == Reason.ACCESS_PLAINTEXT


def test_where_nothing_is_known_or_there_the_caller_is_told() -> None:
    assert explain_service(caller(), {}, ("a/cart", 80), GET).outcomes == {Reason.UNKNOWN_DESTINATION}
    assert explain_service(caller(mode=MtlsMode.PERMISSIVE), {}, ("a/cart", 80), GET) == Explanation(
        replace(GET, port=80)
    )
    assert explain_service(caller(service("cart")), {}, ("a/cart", 80), GET).outcomes == {Reason.NO_ENDPOINT}
    malformed = explain_service(caller(service("cart", V1)), {}, ("a/cart", 80), replace(GET, target=b"/.."))
    assert malformed.outcomes == {Reason.MALFORMED}


def test_a_pod_called_by_its_address_is_judged_as_behind_a_service() -> None:
    called = PodAddress("10.0.0.1", CART, ((8080, Protocol.HTTP),), "a/cart-1")
    told = explain_pod(caller(), {"a/cart-1": GUARDED}, called, Request(8080, target=b"/admin"))
    assert told.request.protocol is Protocol.HTTP
    assert told.outcomes == {"access_no_rule:a/reads"}


def test_a_headless_service_counts_at_its_pods_addresses() -> None:
    called = PodAddress("10.0.0.1", CART, ((8080, Protocol.HTTP),), "a/cart-1", ((8080, "a/cart", 80),))
    shares = (Share("a/cart", 80, 1), Share("a/next", 80, 1))
    who = caller(service("cart", V1, V2, splits=(Split("a/canary", shares),)), service("next", BARE))
    told = explain_pod(who, {}, called, Request(8080))
    assert {way.direction.service[0]: [leg.endpoint.pod for leg in way.legs] for way in told.ways} == {
        "a/cart": ["a/cart-1"],
        "a/next": ["a/old-1"],
    }
