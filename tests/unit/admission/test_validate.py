"""What the validating webhook says to traffic policies (contract 7.webhook)."""

from typing import Any

import pytest

from mesh.admission.validate import judge
from mesh.admission.verdict import Known, Verdict
from mesh.api.kinds import POLICY_PARSERS
from mesh.api.policy import Policy
from tests.unit.api.policies import ALL, BREAKER, GROUP, LIMIT, SPLIT, TARGET, TCP, changed, without

SERVICES = frozenset(f"shop/{name}" for name in ("reviews", "reviews-v2", "reviews-v3", "reviews-cache"))


def cluster(*manifests: dict[str, Any], services: frozenset[str] | None = SERVICES) -> Known:
    kinds: dict[str, list[Policy[Any]]] = {kind: [] for kind in POLICY_PARSERS}
    for manifest in manifests:
        kinds[manifest["kind"]].append(POLICY_PARSERS[manifest["kind"]](manifest))
    return Known(kinds, services)


FULL = cluster(*ALL)


def create(manifest: dict[str, Any], around: Known = FULL) -> Verdict:
    return judge("CREATE", manifest["kind"], manifest, None, around)


def refusals(manifest: dict[str, Any], around: Known) -> str:
    return "; ".join(map(str, create(manifest, around).problems))


def named(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return changed(manifest, "metadata.name", name)


def split(name: str, root: str, *backends: str, weight: int = 1) -> dict[str, Any]:
    rows = [*({"service": one, "weight": weight} for one in backends), {"service": "aside", "weight": 1}]
    return changed(named(SPLIT, name), "spec", {"service": root, "backends": rows})


@pytest.mark.spec("7.webhook")
@pytest.mark.parametrize("manifest", ALL, ids=lambda manifest: manifest["kind"])
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_good_policies_pass_without_a_word(manifest: dict[str, Any], operation: str) -> None:
    """Beside all others, itself among them."""
    expected = ("spec.sources[1].port counts for nothing: a caller is known by its service account alone",)
    found = judge(operation, manifest["kind"], manifest, changed(manifest, "spec", {"was": "another"}), FULL)
    assert found == Verdict(warnings=expected if manifest is TARGET else ())


@pytest.mark.spec("7.webhook")
def test_what_the_parser_refuses_is_refused_with_every_fault() -> None:
    wrong = changed(changed(LIMIT, "spec.rate", "10r/h"), "spec.burst", -1)
    assert [problem.place for problem in create(wrong).problems] == ["spec.rate", "spec.burst"]


@pytest.mark.spec("7.webhook")
def test_kinds_of_others_pass() -> None:
    assert judge("CREATE", "Deployment", {}, None, FULL) == Verdict()


@pytest.mark.spec("7.webhook")
def test_circles_of_splits_are_refused_with_the_way_round() -> None:
    """Over any number of splits, whatever the weights are today; the root itself as a backend closes none."""
    around = cluster(split("one", "a", "a", "b"), split("two", "b", "c"), split("far", "z", "a"))
    assert "spec.backends: got c > a > b > c, takes backends" in refusals(split("three", "c", "a"), around)
    assert refusals(split("three", "c", "c", "d"), around) == ""
    assert refusals(split("three", "c", "a", weight=0), around) != ""
    elsewhere = changed(split("three", "c", "a"), "metadata.namespace", "other")
    assert refusals(elsewhere, around) == ""


@pytest.mark.spec("7.webhook")
def test_a_second_split_of_a_service_needs_matches() -> None:
    plain = without(SPLIT, "spec.matches")
    around = cluster(plain, GROUP)
    assert "reviews is the one" in refusals(named(plain, "second"), around)
    assert refusals(named(SPLIT, "second"), around) == ""
    assert refusals(named(plain, "second"), cluster(SPLIT)) == ""
    assert refusals(plain, around) == ""


@pytest.mark.spec("7.webhook")
def test_a_second_limit_of_a_source_is_refused() -> None:
    """By kind, namespace and name of both ends, as NSM does; left-out namespaces are the policy's own."""
    second = named(changed(LIMIT, "spec.sources", [{"kind": "Deployment", "name": "other"}]), "second")
    around = cluster(LIMIT)
    assert refusals(second, around) == ""
    same = changed(second, "spec.sources.0.name", "product-page")
    text = refusals(same, around)
    assert text.startswith("spec.sources[0]: got Deployment shop/product-page, takes a source that shop/reviews")
    assert refusals(changed(same, "spec.destination.kind", "Deployment"), around) == ""
    away = changed(changed(same, "metadata.namespace", "away"), "spec.sources.0.namespace", "shop")
    assert refusals(away, around) == ""
    assert refusals(changed(away, "spec.destination.namespace", "shop"), around) != ""


@pytest.mark.spec("7.webhook")
def test_a_destination_has_one_limit_for_everyone_else() -> None:
    everyone = without(LIMIT, "spec.sources")
    assert refusals(everyone, cluster(named(LIMIT, "first"))) == ""
    assert "and shop/first is the one" in refusals(everyone, cluster(named(everyone, "first")))


WARNED = [
    (SPLIT, "spec.service", "gone", "spec.service: the mesh knows no Service shop/gone"),
    (SPLIT, "spec.backends.1.service", "gone", "spec.backends[1].service: the mesh knows no Service shop/gone"),
    (SPLIT, "spec.matches.0.name", "gone", "spec.matches[0]: there is no HTTPRouteGroup shop/gone"),
    (GROUP, "spec.matches", [], "spec.matches: no request fits"),
    (GROUP, "spec.matches.2.methods", ["get"], 'spec.matches[2].methods: "get" is compared as it is written'),
    (
        GROUP,
        "spec.matches.2.name",
        "writes",
        'TrafficTarget shop/reviews spec.rules[0].matches still names "reads"',
    ),
    (TARGET, "spec.sources", [], "spec.sources: without any, this target allows nobody"),
    (TARGET, "spec.rules.0.name", "gone", "spec.rules[0]: there is no HTTPRouteGroup shop/gone"),
    (TARGET, "spec.rules.0.matches", ["gone"], 'spec.rules[0].matches: HTTPRouteGroup beta has no match "gone"'),
    (TARGET, "spec.rules.1.name", "gone", "spec.rules[1]: there is no TCPRoute shop/gone"),
    (TARGET, "spec.rules.1.matches", ["a"], "spec.rules[1].matches counts for nothing"),
    (LIMIT, "spec.destination.name", "gone", "spec.destination: the mesh knows no Service shop/gone"),
    (LIMIT, "spec.rules.0.name", "gone", "spec.rules[0]: there is no HTTPRouteGroup shop/gone"),
    (changed(LIMIT, "spec.burst", 0), "spec.delay", 3, "spec.delay counts for nothing without a burst"),
    (BREAKER, "spec.errors", 0, "spec.errors: with 0 the circuit never opens"),
    (BREAKER, "spec.timeoutSeconds", 0, "spec.timeoutSeconds: with 0 the circuit never opens"),
    (BREAKER, "spec.fallback.service", "gone", "spec.fallback.service: the mesh knows no Service shop/gone"),
    (BREAKER, "metadata.name", "second", "spec.destination: CircuitBreaker shop/reviews is for the same Service"),
]


@pytest.mark.spec("7.webhook")
@pytest.mark.parametrize(("manifest", "path", "value", "warning"), WARNED, ids=[f"{r[1]}={r[2]}" for r in WARNED])
def test_what_may_come_later_passes_with_a_warning(
    manifest: dict[str, Any], path: str, value: Any, warning: str
) -> None:
    """Manifests come in any order; what is wrong is told at once all the same."""
    found = create(changed(manifest, path, value))
    assert found.problems == ()
    assert [text for text in found.warnings if text.startswith(warning)]


@pytest.mark.spec("7.webhook")
@pytest.mark.parametrize("manifest", [SPLIT, TARGET, LIMIT, BREAKER], ids=lambda manifest: manifest["kind"])
def test_nothing_is_said_of_what_is_not_known(manifest: dict[str, Any]) -> None:
    """A controller that has just started must not warn of the whole cluster."""
    assert not [text for text in create(manifest, Known()).warnings if "no " in text]


@pytest.mark.spec("7.webhook")
@pytest.mark.parametrize(("route", "users"), [(GROUP, 3), (TCP, 1)], ids=["HTTPRouteGroup", "TCPRoute"])
def test_deleting_routes_that_are_used_warns_with_the_users(route: dict[str, Any], users: int) -> None:
    found = judge("DELETE", route["kind"], None, route, FULL)
    assert found.problems == ()
    assert len(found.warnings) == users
    assert "TrafficTarget shop/reviews" in "; ".join(found.warnings)
    assert judge("DELETE", route["kind"], None, named(route, "unused"), FULL) == Verdict()


@pytest.mark.spec("7.webhook")
@pytest.mark.parametrize("manifest", ALL, ids=lambda manifest: manifest["kind"])
def test_deletions_are_never_refused(manifest: dict[str, Any]) -> None:
    """Not even of a policy that should never have got in."""
    assert judge("DELETE", manifest["kind"], None, changed(manifest, "spec", "nonsense"), FULL).problems == ()


@pytest.mark.spec("7.webhook")
def test_an_update_is_judged_by_what_it_changes() -> None:
    """A bad spec of before does not hold up labels and finalizers; an annotation of ours is judged like the spec."""
    bad = changed(LIMIT, "spec.rate", "10r/h")
    relabelled = changed(bad, "metadata.labels", {"a": "b"})
    assert judge("UPDATE", "RateLimit", relabelled, bad, FULL) == Verdict()
    assert judge("UPDATE", "RateLimit", changed(bad, "spec.burst", 1), bad, FULL).problems
    leaving = changed(changed(bad, "spec.burst", 1), "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")
    assert judge("UPDATE", "RateLimit", leaving, bad, FULL) == Verdict()
    annotated = changed(LIMIT, "metadata.annotations", {"nsm.nginx.com/limit-status": "404"})
    assert judge("UPDATE", "RateLimit", annotated, LIMIT, FULL).problems


@pytest.mark.spec("7.webhook")
def test_many_warnings_are_cut_with_their_number() -> None:
    """The API server would cut them without a word."""
    rules = [{"kind": "HTTPRouteGroup", "name": f"gone-{number}"} for number in range(15)]
    found = create(changed(changed(TARGET, "spec.rules", rules), "spec.sources", []))
    assert len(found.warnings) == 11
    assert found.warnings[-1] == "and 6 more"
