"""Every policy kind has one parser: full manifests are read, defaults filled in, faults told by field, value and rule."""

from typing import Any

import pytest

from mesh.api import rate_limit
from mesh.api.circuit_breaker import Destination, Fallback, parse_circuit_breaker
from mesh.api.errors import InvalidInputError
from mesh.api.http_route_group import is_everything, parse_http_route_group
from mesh.api.kinds import POLICY_PARSERS
from mesh.api.rate_limit import ObjectReference, parse_rate_limit
from mesh.api.tcp_route import parse_tcp_route
from mesh.api.traffic_split import parse_traffic_split
from mesh.api.traffic_target import Subject, parse_traffic_target
from tests.unit.api.policies import BREAKER, GROUP, LIMIT, SPLIT, TARGET, TCP, changed, without


def faults(manifest: dict[str, Any]) -> list[str]:
    try:
        POLICY_PARSERS[manifest["kind"]](manifest)
    except InvalidInputError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.spec("7.parse")
def test_what_all_policies_share() -> None:
    """Names, age and version of the object; of its annotations those that are the mesh's."""
    found = parse_traffic_split(changed(SPLIT, "metadata.annotations", {"nsm.nginx.com/a": "1", "kubectl": "2"}))
    assert (found.kind, found.key, found.generation) == ("TrafficSplit", "shop/reviews", 3)
    assert found.age == ("2026-01-01T00:00:00Z", "shop", "reviews")
    assert found.annotations == {"nsm.nginx.com/a": "1"}


@pytest.mark.spec("7.parse")
def test_splits_name_the_root_itself_too() -> None:
    """A backend of weight 0 is no fault as long as another one takes traffic."""
    spec = parse_traffic_split(SPLIT).spec
    assert [(row.service, row.weight) for row in spec.backends] == [
        ("reviews", 0),
        ("reviews-v2", 90),
        ("reviews-v3", 10),
    ]
    assert [row.name for row in spec.matches] == ["beta"]


@pytest.mark.spec("7.parse", "7.patterns")
def test_star_alone_means_anything() -> None:
    """It is no regular expression, and NSM's own example has it."""
    matches = parse_http_route_group(GROUP).spec.matches
    assert [is_everything(match) for match in matches] == [True, False, False, True]


@pytest.mark.spec("7.parse")
def test_a_tcp_route_needs_no_spec() -> None:
    assert parse_tcp_route(TCP).key == "shop/tcp"


@pytest.mark.spec("7.parse")
def test_namespaces_left_out_are_the_policys_own() -> None:
    target = parse_traffic_target(TARGET).spec
    assert target.destination == Subject(kind="ServiceAccount", name="reviews", namespace="shop", port=8080)
    assert [source.namespace for source in target.sources] == ["shop", "monitoring"]
    limit = parse_rate_limit(LIMIT).spec
    assert limit.destination == ObjectReference(kind="Service", name="reviews", namespace="shop")
    assert [source.namespace for source in limit.sources] == ["shop", "tools"]
    breaker = parse_circuit_breaker(BREAKER).spec
    assert breaker.destination == Destination(kind="Service", name="reviews", namespace="shop")


@pytest.mark.spec("7.parse")
def test_limits_of_both_versions() -> None:
    """v1alpha1 has no rules; a delay that is not given makes the excess wait; a source counts once."""
    found = parse_rate_limit(LIMIT)
    assert (found.spec.burst, found.spec.delay, rate_limit.limit_status(found)) == (5, "nodelay", 429)
    assert rate_limit.microrequests(found.spec.rate) == 166_666
    assert rate_limit.microrequests("10r/s") == 10_000_000
    old = without(without(changed(LIMIT, "apiVersion", "specs.smi.nginx.com/v1alpha1"), "spec.delay"), "spec.burst")
    twice = changed(old, "spec.sources.1", LIMIT["spec"]["sources"][0] | {"namespace": "shop"})
    spec = parse_rate_limit(without(twice, "metadata.annotations")).spec
    assert (spec.rules, spec.burst, spec.delay, len(spec.sources)) == ((), 0, 0, 1)
    assert parse_rate_limit(changed(LIMIT, "spec.delay", "3")).spec.delay == 3


@pytest.mark.spec("7.parse")
@pytest.mark.parametrize(
    ("fallback", "read"),
    [
        ({"service": "shop/cache", "port": 8080}, Fallback(service="shop/cache", port=8080)),
        ({"service": "cache"}, Fallback(service="shop/cache", port=80)),
        ({"port": 8080}, None),
        (None, None),
    ],
)
def test_fallbacks_are_in_the_destinations_namespace(fallback: Any, read: Fallback | None) -> None:
    assert parse_circuit_breaker(changed(BREAKER, "spec.fallback", fallback)).spec.fallback == read


@pytest.mark.spec("7.parse")
def test_a_bare_fallback_follows_the_destination_into_another_namespace() -> None:
    moved = changed(changed(BREAKER, "spec.fallback", {"service": "cache"}), "spec.destination.namespace", "default")
    assert parse_circuit_breaker(moved).spec.fallback == Fallback(service="default/cache", port=80)


REFUSED = [
    (SPLIT, "spec.service", "Reviews", "spec.service"),
    (SPLIT, "spec.backends", [], "spec.backends"),
    (SPLIT, "spec.backends", [{"service": "a", "weight": 0}], "spec.backends"),
    (SPLIT, "spec.backends.0.weight", -1, "spec.backends[0].weight"),
    (SPLIT, "spec.backends.0.weight", 1.5, "spec.backends[0].weight"),
    (SPLIT, "spec.backends.0.weight", 1_000_001, "spec.backends[0].weight"),
    (SPLIT, "spec.backends.1.service", "reviews", "spec.backends[1].service"),
    (SPLIT, "spec.backends.1.service", "other.shop", "spec.backends[1].service"),
    (SPLIT, "spec.matches.0.kind", "TCPRoute", "spec.matches[0].kind"),
    (SPLIT, "spec.matches.0.apiGroup", "apps", "spec.matches[0].apiGroup"),
    (SPLIT, "spec", None, "spec.service"),
    (SPLIT, "metadata.name", "", "metadata.name"),
    (SPLIT, "apiVersion", "split.smi-spec.io/v1alpha1", "apiVersion and kind"),
    (GROUP, "spec.matches.1.name", "anything", "spec.matches[1].name"),
    (GROUP, "spec.matches.0.methods.0", "GET POST", "spec.matches[0].methods[0]"),
    (GROUP, "spec.matches.1.headers", {"a b": "x"}, "spec.matches[1].headers.a b"),
    (GROUP, "spec.matches.1.headers", {"X-A": "x", "x-a": "y"}, "spec.matches[1].headers.x-a"),
    (GROUP, "spec.matches.1.headers", {"X-A": "["}, "spec.matches[1].headers.X-A"),
    (GROUP, "spec.matches.1.headers", {"X-A": 1}, "spec.matches[1].headers.X-A"),
    (GROUP, "spec", None, "spec"),
    (TARGET, "spec.destination.kind", "Group", "spec.destination.kind"),
    (TARGET, "spec.destination.port", 0, "spec.destination.port"),
    (TARGET, "spec.destination.port", 65536, "spec.destination.port"),
    (TARGET, "spec.sources.0.name", "a/b", "spec.sources[0].name"),
    (TARGET, "spec.sources.1.namespace", "Monitoring", "spec.sources[1].namespace"),
    (TARGET, "spec.rules.0.kind", "UDPRoute", "spec.rules[0].kind"),
    (LIMIT, "spec.rate", "10r/h", "spec.rate"),
    (LIMIT, "spec.rate", "-1r/s", "spec.rate"),
    (LIMIT, "spec.rate", "10 r/s", "spec.rate"),
    (LIMIT, "spec.rate", "10r/s\n", "spec.rate"),
    (LIMIT, "spec.rate", "0r/s", "spec.rate"),
    (LIMIT, "spec.rate", "1000001r/s", "spec.rate"),
    (LIMIT, "spec.delay", "later", "spec.delay"),
    (LIMIT, "spec.delay", -1, "spec.delay"),
    (LIMIT, "spec.burst", -1, "spec.burst"),
    (LIMIT, "spec.destination.kind", "Job", "spec.destination.kind"),
    (LIMIT, "spec.destination.name", "a.b", "spec.destination.name"),
    (LIMIT, "spec.sources.0.kind", "ServiceAccount", "spec.sources[0].kind"),
    (LIMIT, "spec.rules.0.kind", "TCPRoute", "spec.rules[0].kind"),
    (LIMIT, "spec.name", "", "spec.name"),
    (LIMIT, "metadata.annotations", {"nsm.nginx.com/limit-status": "404"}, "annotation nsm.nginx.com/limit-status"),
    (BREAKER, "spec.errors", 1001, "spec.errors"),
    (BREAKER, "spec.timeoutSeconds", 86_401, "spec.timeoutSeconds"),
    (BREAKER, "spec.destination.kind", "Deployment", "spec.destination.kind"),
    (BREAKER, "spec.fallback.service", "shop/reviews", "spec.fallback.service"),
    (BREAKER, "spec.fallback.service", "reviews", "spec.fallback.service"),
    (BREAKER, "spec.fallback.service", "other/cache", "spec.fallback.service"),
    (BREAKER, "spec.fallback.service", "/cache", "spec.fallback.service"),
    (BREAKER, "spec.fallback.service", "a/b/c", "spec.fallback.service"),
    (BREAKER, "spec.fallback.port", 0, "spec.fallback.port"),
]


@pytest.mark.spec("7.parse")
@pytest.mark.parametrize(("manifest", "path", "value", "place"), REFUSED, ids=[f"{r[1]}={r[2]}"[:60] for r in REFUSED])
def test_what_cannot_work_is_refused_by_field(manifest: dict[str, Any], path: str, value: Any, place: str) -> None:
    """The good policy passes, the changed one is refused at that place."""
    assert faults(manifest) == []
    assert [fault for fault in faults(changed(manifest, path, value)) if fault.startswith(place + ": got ")]


@pytest.mark.spec("7.parse")
def test_every_fault_is_told_at_once() -> None:
    """Wrong types, missing members and broken rules alike."""
    wrong = changed(changed(LIMIT, "spec.rate", "0r/s"), "spec.burst", "many")
    wrong = changed(changed(without(wrong, "spec.name"), "spec.sources.1.kind", "Job"), "metadata.namespace", "A")
    assert [fault.partition(":")[0] for fault in faults(wrong)] == [
        "metadata.namespace",
        "spec.name",
        "spec.rate",
        "spec.sources[1].kind",
        "spec.burst",
    ]


@pytest.mark.spec("7.parse")
def test_manifests_that_no_api_server_pruned_are_read_strictly() -> None:
    """A field that does not exist is named, with the one that was meant."""
    wrong = changed(BREAKER, "spec.fallback", {"services": "cache"})
    assert parse_circuit_breaker(wrong).spec.fallback is None
    with pytest.raises(InvalidInputError, match="did you mean service"):
        parse_circuit_breaker(wrong, strict=True)


@pytest.mark.spec("7.patterns")
@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "[a",
        "**",
        "a" * 1025,
        "é" * 513,
        "(*UTF)a",
        "(a)(?1(1))",
        "(?R(1))?(a)",
        "(?&n(1))(?<n>a)",
        "(a)(*scs:(1)b)",
        "(*LIMIT_MATCH=1)a",
        "\ud800",
    ],
)
def test_patterns_that_nginx_would_not_take_are_refused(pattern: str) -> None:
    found = faults(changed(GROUP, "spec.matches.2.pathRegex", pattern))
    assert [fault.partition(":")[0] for fault in found] == ["spec.matches[2].pathRegex"]


@pytest.mark.spec("7.patterns")
@pytest.mark.parametrize("pattern", ["a" * 1024, "(a+)+$", "(?i)^/a(?=b)\\d", "a{1,3}(?<x>b)\\k<x>", "(*pla:a)", "é"])
def test_patterns_of_the_dialect_pass(pattern: str) -> None:
    """One that may run for long is no exception: the sidecar bounds its time."""
    assert faults(changed(GROUP, "spec.matches.2.pathRegex", pattern)) == []
