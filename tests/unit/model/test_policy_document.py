"""Traffic policies in wire format 1: golden bytes and refusals (design 7, contract 4.format)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.api.errors import InvalidInputError
from mesh.model import codec
from mesh.model.codec import Revision
from mesh.model.policy import NO_DELAY, Breaker, HttpMatch, Limit, LimitSource, Share, Split, Target
from mesh.model.sidecar_config import Endpoint, IncomingPort, MtlsMode, PodAddress, Protocol, ServicePort, SidecarConfig

GOLDEN = Path(__file__).parents[2] / "golden" / "codec" / "policies.json"
WEB = "spiffe://example.org/ns/shop/sa/web"
ADMIN = HttpMatch("^/admin", ("GET", "POST"), (("x-user", "^Ä\t\n"), ("x-team", "")))
BETA = HttpMatch(headers=(("cookie", "beta=1"),))

CONFIG = SidecarConfig(
    trust_domain="example.org",
    mtls_mode=MtlsMode.STRICT,
    client_max_body_size=1048576,
    error_log_level="warn",
    log_format="default",
    access_control_mode="deny",
    incoming=(IncomingPort(8080, Protocol.HTTP),),
    services=(
        ServicePort(
            "shop",
            "web",
            80,
            Protocol.HTTP,
            "least_time",
            ("10.0.0.1",),
            (Endpoint("10.1.0.2", 8080, WEB, "shop/web-0"),),
            splits=(
                Split("shop/beta", (Share("shop/web-v2", 80, 100),), (BETA,)),
                Split("shop/steps", (Share("shop/web", 80, 90), Share("shop/web-v2", 80, 10))),
            ),
            breaker=Breaker("shop/circuit", 3, 30, ("shop/spare", 80)),
        ),
        ServicePort("shop", "web-v2", 80, Protocol.HTTP, "least_time", breaker=Breaker("shop/other", 5, 60)),
    ),
    pods=(PodAddress("10.1.0.2", WEB, ((8080, Protocol.HTTP),), "shop/web-0", ((8080, "shop/web", 80),)),),
    access_enforced=True,
    targets=(
        Target("shop/open", (WEB,), everything=True),
        Target("shop/rules", (WEB,), 8080, tcp=True, matches=(ADMIN, BETA)),
    ),
    limits=(
        Limit("shop/all", 10_000_000),
        Limit("shop/some", 5_000, 7, NO_DELAY, 429, (8080,), (LimitSource("web", ("shop/web-0",)),), (BETA,)),
    ),
)


@pytest.mark.spec("4.format")
def test_bytes_of_policies_are_fixed() -> None:
    """One of every policy; matches and callers stand once, and what is not set is absent."""
    assert codec.canonical(CONFIG) == GOLDEN.read_bytes().rstrip(b"\n")
    (message,) = codec.encode(CONFIG, Revision(1, 1))
    assert codec.decode(message.headers, message.payload).config == CONFIG


@pytest.mark.spec("4.format")
def test_longer_rows_and_unknown_fields_of_policies_are_read() -> None:
    """A newer controller of the same major format may add to every row and object."""
    document = json.loads(codec.canonical(CONFIG))
    service, guards = document["services"][0], document["guards"]
    for row in (service["splits"][0], service["splits"][0][1][0], service["breaker"], service["breaker"][3]):
        row.append("later")
    for row in (document["splitMatches"][0], guards["matches"][0], guards["limits"][1]["sources"][0]):
        row.append(["later"])
    for known in (guards, guards["targets"][0], guards["limits"][0]):
        known["later"] = {}
    (message,) = codec.encode_state(codec.canonical_json(document), Revision(1, 1))
    assert codec.decode(message.headers, message.payload).config == CONFIG


@pytest.mark.spec("4.format")
@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("splitMatches",), {}, "splitMatches"),
        (("splitMatches", 0), ["", []], "splitMatches"),
        (("splitMatches", 0, 0), "\ud800", "splitMatches.path"),
        (("splitMatches", 0, 0), "x" * 1025, "splitMatches.path"),
        (("splitMatches", 0, 1), ["GET,PUT"], "splitMatches.methods"),
        (("splitMatches", 0, 2, 0, 0), "a\tb", "splitMatches.headers"),
        (("splitMatches", 0, 2, 0, 0), "", "splitMatches.headers"),
        (("splitMatches", 0, 2, 0, 1), None, "splitMatches.headers"),
        (("services", 0, "splits", 0, 0), "a\nb", "services.splits"),
        (("services", 0, "splits", 0, 1, 0, 1), 0, "services.splits.shares"),
        (("services", 0, "splits", 0, 1, 0, 2), -1, "services.splits.shares"),
        (("services", 0, "splits", 0, 2), [1], "services.splits.matches"),
        (("services", 0, "splits", 0, 2), [-1], "services.splits.matches"),
        (("services", 0, "breaker"), ["shop/circuit", 3], "services.breaker"),
        (("services", 0, "breaker", 1), -1, "services.breaker.errors"),
        (("services", 0, "breaker", 3), ["shop/spare"], "services.breaker.fallback"),
        (("pods", 0, 4), [[8080, "shop/web"]], "pods.headless"),
        (("guards",), [], "guards"),
        (("guards", "enforced"), 1, "guards.enforced"),
        (("guards", "callers"), ["spiffe://a\n"], "guards.callers"),
        (("guards", "targets", 0, "sources"), [1], "guards.targets.sources"),
        (("guards", "targets", 0, "port"), 65536, "guards.targets.port"),
        (("guards", "targets", 0, "everything"), "yes", "guards.targets.everything"),
        (("guards", "limits", 0, "microrequests"), None, "guards.limits.microrequests"),
        (("guards", "limits", 0, "status"), 200, "guards.limits.status"),
        (("guards", "limits", 0, "delay"), -2, "guards.limits.delay"),
        (("guards", "limits", 1, "sources"), [["web", ["a\tb"]]], "guards.limits.sources"),
    ],
)
def test_wrong_policies_are_refused_by_place(path: tuple[str | int, ...], value: object, place: str) -> None:
    """Each field is checked, so that nothing half understood guards a pod, and no name can forge a line."""
    document = json.loads(codec.canonical(CONFIG))
    target = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    (message,) = codec.encode_state(json.dumps(document, sort_keys=True).encode(), Revision(1, 1))
    with pytest.raises(InvalidInputError, match=place):
        codec.decode(message.headers, message.payload)


@pytest.mark.spec("4.format")
def test_what_guards_a_group_is_not_in_what_groups_share() -> None:
    """Two groups of one scope: what is rendered once for both is right for both."""
    shared = codec.SharedScopes()
    other = replace(CONFIG, targets=(), limits=(), access_enforced=False)
    assert codec.canonical(CONFIG, shared) == codec.canonical(CONFIG)
    assert codec.canonical(other, shared) == codec.canonical(other)
