"""The lines of traffic policies in the document that NGINX reads (docs/reference/nginx-state.md)."""

from dataclasses import replace
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.api.mtls import MtlsMode
from mesh.model.policy import NO_DELAY, Breaker, HttpMatch, Limit, LimitSource, Share, Split, Target
from mesh.model.sidecar_config import PodAddress, Protocol, ServicePort, SidecarConfig
from mesh.sidecar import nginx_state, policy_state
from tests.property import strategies

CART = "spiffe://example.org/ns/shop/sa/cart"
WEB = "spiffe://example.org/ns/shop/sa/web"
ADMIN = HttpMatch("^/admin", ("GET", "POST"), (("x-team", ""), ("x-user", "^a b$")))
BETA = HttpMatch(headers=(("cookie", "beta=1"),))

STEPS = Split("shop/steps", (Share("shop/web", 80, 90), Share("shop/web-v2", 80, 10), Share("shop/dns", 53, 1)))
CIRCUIT = Breaker("shop/circuit", 3, 30, ("shop/web-v2", 80))
SAMPLE = SidecarConfig(
    trust_domain="example.org",
    mtls_mode=MtlsMode.STRICT,
    client_max_body_size=0,
    error_log_level="warn",
    log_format="json",
    access_control_mode="deny",
    services=(
        ServicePort("shop", "dns", 53, Protocol.UDP, "random", ("10.96.0.10",), splits=(STEPS,)),
        ServicePort(
            "shop",
            "web",
            80,
            Protocol.HTTP,
            "random",
            splits=(Split("shop/beta", (Share("shop/web-v2", 80, 100),), (BETA, ADMIN)), STEPS),
            breaker=CIRCUIT,
        ),
        ServicePort("shop", "web", 90, Protocol.TCP, "random", breaker=CIRCUIT),
        ServicePort(
            "shop", "web-v2", 80, Protocol.HTTP, "random", breaker=Breaker("shop/v2", 5, 60, ("shop/nobody", 80))
        ),
        ServicePort("shop", "web-v3", 80, Protocol.HTTP, "random", breaker=Breaker("shop/never", 0, 60)),
    ),
    pods=(
        PodAddress(
            "10.244.0.7",
            CART,
            ((8080, Protocol.HTTP),),
            "shop/cart-1",
            ((8080, "shop/nobody", 80), (8080, "shop/web", 80), (8080, "shop/web-v2", 80), (9090, "shop/web", 90)),
        ),
    ),
    access_enforced=True,
    targets=(
        Target("shop/open", (CART, WEB), everything=True),
        Target("shop/rules", (WEB,), 8080, tcp=True, matches=(ADMIN,)),
        Target("shop/rules", (), 8081),
    ),
    limits=(
        Limit("shop/all", 10_000_000),
        Limit(
            "shop/some",
            5_000,
            7,
            NO_DELAY,
            429,
            (8080, 8081),
            (LimitSource("web", ("shop/web-0", "shop/web-1")), LimitSource("cart"), LimitSource("x", ("shop/x-0",))),
            (BETA,),
        ),
        Limit("shop/all", 1, 20, 10),
    ),
)
GOLDEN = """\
policy|0|split|shop/beta
policy|1|split|shop/steps
policy|2|breaker|shop/circuit
policy|3|breaker|shop/v2
policy|4|target|shop/open
policy|5|target|shop/rules
policy|6|limit|shop/all
policy|7|limit|shop/some
match|0|-|-
header|0|cookie|beta=1
match|1|^/admin|GET,POST
header|1|x-team|-
header|1|x-user|^a%20b$
split|0|0|some
split_match|0
split_match|1
share|2|100
split|0|1|all
share|0|90
share|2|10
breaker|0|2|3|30000|2
breaker|1|3|5|60000|-
guard|0|0
guard|1|0
guard|2|1
headless|10.244.0.7|8080|0
headless|10.244.0.7|9090|1
access|enforced
target|4|0|all
target_source|0
target_source|1
target|5|8080|some
target_source|1
target_match|1
target_tcp
target|5|8081|some
limit|0|6|10000000|0|0|503|everyone
limit|1|7|5000|7|nodelay|429|named
limit_source|0|shop/web-0
limit_source|0|shop/web-1
limit_source|2|shop/x-0
limit_port|8080
limit_port|8081
limit_match|0
limit|2|6|1|20|10|503|everyone
"""


def written(config: SidecarConfig) -> list[str]:
    return nginx_state.render(config, "1.1").splitlines()


def test_golden() -> None:
    """One of everything; what leads to a Service that is not in scope or not proxied is left out."""
    lines = written(SAMPLE)
    start = next(number for number, line in enumerate(lines) if line.startswith("policy\t"))
    assert [line.replace("\t", "|") for line in lines[start:-1]] == GOLDEN.splitlines()


def test_callers_are_declared() -> None:
    """An identity that only calls is introduced like those that are called."""
    assert [line.split("\t")[1:] for line in written(SAMPLE) if line.startswith("identity\t")] == [
        ["0", CART],
        ["1", WEB],
    ]


def test_without_policies_there_is_no_line_of_them() -> None:
    """A sidecar without policies reads what it has always read."""
    bare = [replace(service, splits=(), breaker=None) for service in SAMPLE.services]
    pods = tuple(replace(pod, headless=()) for pod in SAMPLE.pods)
    config = replace(SAMPLE, services=tuple(bare), pods=pods, access_enforced=False, targets=(), limits=())
    kinds = {line.split("\t")[0] for line in written(config)}
    assert kinds == {"mesh", "trust_domain", "mode", "set", "identity", "upstream", "pod", "end"}


@pytest.mark.parametrize(
    ("pattern", "field"),
    [
        ("", "-"),
        ("-", "%2D"),
        ("--", "--"),
        ("^/a/[0-9]+$", "^/a/[0-9]+$"),
        ("a b\tc\nd\0", "a%20b%09c%0Ad%00"),
        ('100%"\\d', "100%25%22%5Cd"),
        ("é\x7f", "%C3%A9%7F"),
    ],
)
def test_patterns_are_one_field(pattern: str, field: str) -> None:
    """Whatever a pattern holds, its field is printable ASCII, and none is mistaken for an absent one."""
    assert policy_state.write_pattern(pattern) == field


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_patterns_come_back_whole(pattern: str) -> None:
    """Reading the escapes gives the bytes of the pattern."""
    field = policy_state.write_pattern(pattern)
    assert field.isascii()
    assert field.isprintable()
    assert not set(field) & set('\t\n "\\')
    assert unquote_to_bytes("" if field == "-" else field) == pattern.encode()


@given(strategies.sidecar_configs)
def test_every_document_introduces_numbers_before_use(config: SidecarConfig) -> None:
    """Numbers count from 0 in the order of their lines, and a line names only what came before it."""
    known = {"identity": 0, "upstream": 0, "policy": 0, "match": 0, "breaker": 0, "limit": 0}
    uses = {
        "header": {1: "match"},
        "split": {1: "upstream", 2: "policy"},
        "split_match": {1: "match"},
        "share": {1: "upstream"},
        "breaker": {2: "policy", 5: "upstream"},
        "guard": {1: "upstream", 2: "breaker"},
        "headless": {3: "upstream"},
        "target": {1: "policy"},
        "target_source": {1: "identity"},
        "target_match": {1: "match"},
        "limit": {2: "policy"},
        "limit_match": {1: "match"},
    }
    places = set()
    for fields in (line.split("\t") for line in nginx_state.render(config, "1.1").removesuffix("\n").split("\n")):
        kind = fields[0]
        for place, of in uses.get(kind, {}).items():
            assert fields[place] == "-" or int(fields[place]) < known[of]
        if kind in known:
            assert int(fields[1]) == known[kind]
            known[kind] += 1
        if kind == "headless":
            assert (fields[1], fields[2]) not in places
            places.add((fields[1], fields[2]))
        assert len("\t".join(fields)) <= 4096
