"""Who may call what, by which TrafficTarget."""

from dataclasses import replace

import pytest

from mesh.decide.access import Ground, Verdict, judge_access
from mesh.decide.request import Request
from mesh.model.policy import HttpMatch, Target
from mesh.model.reason import Reason
from mesh.model.sidecar_config import MtlsMode, Protocol, SidecarConfig

pytestmark = pytest.mark.spec("7.access")
WEB = "spiffe://example.org/ns/shop/sa/web"
BATCH = "spiffe://example.org/ns/shop/sa/batch"
OPEN = SidecarConfig("example.org", MtlsMode.STRICT, 0, "warn", "default", "allow")


def config(*targets: Target) -> SidecarConfig:
    return replace(OPEN, access_enforced=True, targets=targets)


def call(identity: str = WEB, target: bytes = b"/", port: int = 80, protocol: Protocol = Protocol.HTTP) -> Request:
    return Request(port, protocol, identity, target=target)


def test_without_enforcement_everything_comes_in() -> None:
    assert judge_access(OPEN, call("")) == Verdict(True, Ground.NOT_ENFORCED)


def test_transparent_overrides_everything() -> None:
    assert judge_access(replace(config(), transparent=True), call("")) == Verdict(True, Ground.TRANSPARENT)


def test_plaintext_has_no_identity() -> None:
    everyone = config(Target("shop/all", (WEB, ""), everything=True))
    assert judge_access(everyone, call("")) == Verdict(False, reason=Reason.ACCESS_PLAINTEXT)


@pytest.mark.parametrize(
    ("target", "port"),
    [(Target("shop/t", (), everything=True), 80), (Target("shop/t", (BATCH,), everything=True), 80),
     (Target("shop/t", (WEB,), 8080, everything=True), 80)],
)  # fmt: skip
def test_who_is_named_by_no_target_for_the_port_stays_out(target: Target, port: int) -> None:
    verdict = judge_access(config(target), call(port=port))
    assert verdict == Verdict(False, reason=Reason.ACCESS_NO_TARGET)
    assert verdict.reason_id == "access_no_target"


def test_the_first_target_that_allows_decides() -> None:
    targets = (
        Target("shop/paths", (WEB,), matches=(HttpMatch("^/b"), HttpMatch("^/a"))),
        Target("shop/all", (WEB,), 80, everything=True),
    )
    assert judge_access(config(*targets), call(target=b"/a")) == Verdict(
        True, Ground.MATCH, policy="shop/paths", match=1
    )
    assert judge_access(config(*targets), call(target=b"/c")) == Verdict(True, Ground.EVERYTHING, policy="shop/all")


def test_where_no_rule_fits_the_first_target_that_names_the_caller_is_told() -> None:
    targets = (
        Target("shop/other", (BATCH,), everything=True),
        Target("shop/first", (WEB,), matches=(HttpMatch("^/a"),)),
        Target("shop/second", (WEB,), tcp=True),
    )
    verdict = judge_access(config(*targets), call(target=b"/c"))
    assert verdict == Verdict(False, reason=Reason.ACCESS_NO_RULE, policy="shop/first")
    assert verdict.reason_id == "access_no_rule:shop/first"


def test_http_rules_count_on_http_and_tcp_rules_on_tcp() -> None:
    http = config(Target("shop/http", (WEB,), matches=(HttpMatch(),)))
    tcp = config(Target("shop/tcp", (WEB,), tcp=True))
    assert judge_access(http, call(protocol=Protocol.GRPC)).is_allowed
    assert not judge_access(http, call(protocol=Protocol.TCP)).is_allowed
    assert judge_access(tcp, call(protocol=Protocol.TCP)) == Verdict(True, Ground.TCP, policy="shop/tcp")
    assert not judge_access(tcp, call()).is_allowed


def test_a_search_that_is_given_up_allows_nothing() -> None:
    slow = config(Target("shop/slow", (WEB,), matches=(HttpMatch("(a+)+$"),)))
    verdict = judge_access(slow, call(target=b"/" + b"a" * 60 + b"!"))
    assert verdict.reason is Reason.ACCESS_NO_RULE
