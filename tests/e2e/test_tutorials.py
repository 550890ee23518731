"""Policies written as users of NGINX Service Mesh write them do what its tutorials say (contract 7).

The manifests in `tutorials/` use the kinds, fields and steps of those tutorials on an application of the shape of bookinfo.
"""

import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.apps import namespace_object
from tests.e2e.eventually import eventually
from tests.e2e.mesh_under_test import READY_SECONDS, MeshUnderTest

MANIFESTS = Path(__file__).parent / "tutorials"
# Another one each time: that of a run before may still be on its way out.
NAMESPACE = f"e2e-tutorials-{secrets.token_hex(3)}"
POLICIES = "trafficsplit,traffictarget,ratelimit,circuitbreaker,httproutegroup,tcproute"
DEPLOYMENTS = ("productpage-v1", "visitor", "reviews-v1", "reviews-v2", "reviews-v3", "ratings-v1")
PAGE, VISITOR = "productpage-v1", "visitor"
APPLIED_SECONDS = 20.0
REVIEWS = "http://reviews:9080/reviews"
RATINGS = "http://ratings:9080/ratings"


@pytest.fixture(scope="module")
def bookinfo(mesh: MeshUnderTest) -> Iterator[MeshUnderTest]:
    """The application, injected, without policies."""
    mesh.kubectl.apply(namespace_object(NAMESPACE, injected=True))
    apply(mesh, "bookinfo.yaml")
    for name in DEPLOYMENTS:
        mesh.kubectl.rollout(NAMESPACE, f"deployment/{name}", READY_SECONDS)
    mesh.wait_synced()
    yield mesh
    mesh.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(autouse=True)
def no_policies(bookinfo: MeshUnderTest) -> Iterator[None]:
    """Each case begins without policies and leaves none."""
    yield
    bookinfo.kubectl.run("-n", NAMESPACE, "delete", POLICIES, "--all")
    bookinfo.wait_synced()


def apply(mesh: MeshUnderTest, *files: str, replace: tuple[str, str] = ("", "")) -> None:
    """`kubectl apply` the manifests as they are, but for the image and one replacement."""
    for file in files:
        text = (MANIFESTS / file).read_text().replace("SAMPLE_IMAGE", mesh.image)
        mesh.kubectl.run("-n", NAMESPACE, "apply", "-f", "-", given=text.replace(*replace) if replace[0] else text)


def split_to(mesh: MeshUnderTest, **weights: int) -> None:
    """Set the weights of the rollout as Flagger would, with one update of the object."""
    backends = [{"service": f"reviews-{version}", "weight": weight} for version, weight in weights.items()]
    patch = json.dumps({"spec": {"backends": backends}})
    mesh.kubectl.run("-n", NAMESPACE, "patch", "trafficsplit", "reviews-rollout", "--type=merge", "-p", patch)


def calls(mesh: MeshUnderTest, caller: str, *arguments: str) -> list[dict[str, Any]]:
    """Make requests from a pod of *caller*."""
    return mesh.call(NAMESPACE, caller, *arguments)


def versions(mesh: MeshUnderTest, *arguments: str, caller: str = PAGE, times: int = 40) -> Counter[str]:
    """Who answered the calls; an answer that is no report counts by its status."""
    answers = calls(mesh, caller, *arguments, "--times", str(times))
    return Counter(answer.get("body", {}).get("server", f"status {answer['status']}") for answer in answers)


def statuses(mesh: MeshUnderTest, caller: str, *arguments: str) -> Counter[int]:
    """The statuses of the answers."""
    return Counter(answer["status"] for answer in calls(mesh, caller, *arguments))


def conditions(mesh: MeshUnderTest, kind: str, name: str) -> dict[str, dict[str, Any]]:
    """The status conditions of a policy, by type."""
    status = mesh.kubectl.get(kind, name, "-n", NAMESPACE).get("status", {})
    return {row["type"]: row for row in status.get("conditions", [])}


def wait_programmed(mesh: MeshUnderTest, kind: str, name: str) -> None:
    """Wait until every sidecar that must know of a policy does."""

    def programmed() -> bool:
        row = conditions(mesh, kind, name).get("Programmed")
        return row is not None and row["status"] == "True"

    eventually(programmed, 30.0, f"{kind} {name} programmed")


@pytest.mark.spec("7.split")
def test_a_rollout_in_steps(bookinfo: MeshUnderTest) -> None:
    """One version alone, a canary, all back, then blue and green; the rest of the root's pods get nothing."""
    assert versions(bookinfo, REVIEWS).keys() == {"reviews-v1", "reviews-v2", "reviews-v3"}
    apply(bookinfo, "split.yaml")
    eventually(lambda: versions(bookinfo, REVIEWS).keys() == {"reviews-v1"}, APPLIED_SECONDS, "v1 alone")
    split_to(bookinfo, v1=50, v2=50)
    eventually(lambda: versions(bookinfo, REVIEWS).keys() == {"reviews-v1", "reviews-v2"}, APPLIED_SECONDS, "a canary")
    counts = versions(bookinfo, REVIEWS, times=400)
    # Six standard deviations of a fair coin: one run in 500 million is further off.
    assert abs(counts["reviews-v1"] - 200) <= 60, counts
    split_to(bookinfo, v1=100, v2=0)
    eventually(lambda: versions(bookinfo, REVIEWS).keys() == {"reviews-v1"}, APPLIED_SECONDS, "all back")
    split_to(bookinfo, v1=0, v2=100)
    eventually(lambda: versions(bookinfo, REVIEWS).keys() == {"reviews-v2"}, APPLIED_SECONDS, "the other one")


@pytest.mark.spec("7.split")
def test_only_some_requests_are_split(bookinfo: MeshUnderTest) -> None:
    """By a header, or by path and method; what fits no match goes to the root Service."""
    apply(bookinfo, "split-matches.yaml")
    firefox = ("--header", "User-Agent: Mozilla/5.0 Firefox/128.0", REVIEWS)
    eventually(lambda: versions(bookinfo, *firefox).keys() == {"reviews-v3"}, APPLIED_SECONDS, "v3 for that browser")
    api = "http://reviews:9080/api/list"
    assert versions(bookinfo, api).keys() == {"reviews-v3"}
    everyone = {"reviews-v1", "reviews-v2", "reviews-v3"}
    assert versions(bookinfo, REVIEWS, times=60).keys() == everyone
    assert versions(bookinfo, "--method", "POST", api, times=60).keys() == everyone


@pytest.mark.spec("7.split")
def test_a_backend_without_pods_gets_no_share(bookinfo: MeshUnderTest) -> None:
    """Nothing is lost to a version that was taken away, and an event says that its share is gone."""
    apply(bookinfo, "split.yaml")
    split_to(bookinfo, v1=50, gone=50)
    eventually(lambda: versions(bookinfo, REVIEWS).keys() == {"reviews-v1"}, APPLIED_SECONDS, "v1 alone")
    events = bookinfo.kubectl.get("events", "-n", NAMESPACE, "--field-selector", "involvedObject.kind=TrafficSplit")
    assert any("reviews-gone" in event["message"] for event in events["items"]), events["items"]


@pytest.mark.spec("7.access")
def test_access_by_account_path_method_and_headers(bookinfo: MeshUnderTest) -> None:
    """The caller that is named may make the request that is described; everything else gets 403."""
    good = ("--header", "x-demo-1: demo-1", "--header", "X-Demo-2: a demo", REVIEWS)
    assert statuses(bookinfo, VISITOR, *good) == {200: 1}
    apply(bookinfo, "access.yaml")
    eventually(lambda: statuses(bookinfo, VISITOR, *good) == {403: 1}, APPLIED_SECONDS, "the visitor refused")
    assert statuses(bookinfo, PAGE, *good, "--times", "20") == {200: 20}
    assert statuses(bookinfo, PAGE, *good, "--method", "POST") == {403: 1}
    assert statuses(bookinfo, PAGE, *good[:4], "http://reviews:9080/other") == {403: 1}
    assert statuses(bookinfo, PAGE, "--header", "x-demo-1: demo-12", "--header", "x-demo-2: demo", REVIEWS) == {403: 1}
    assert statuses(bookinfo, PAGE, REVIEWS) == {403: 1}
    # Nobody else's destination is touched.
    assert statuses(bookinfo, VISITOR, RATINGS) == {200: 1}
    wait_programmed(bookinfo, "traffictarget", "page-reads-reviews")


@pytest.mark.spec("7.access")
def test_deny_lets_nothing_pass_without_a_target(bookinfo: MeshUnderTest) -> None:
    """The global mode, changed at run time, there and back."""
    bookinfo.set_mesh_config({"accessControlMode": "deny"})
    try:
        eventually(lambda: statuses(bookinfo, VISITOR, RATINGS) == {403: 1}, APPLIED_SECONDS, "a refusal")
        apply(bookinfo, "access.yaml", replace=("        - reads", "        - anything"))
        eventually(lambda: statuses(bookinfo, PAGE, REVIEWS) == {200: 1}, APPLIED_SECONDS, "what the target allows")
        assert statuses(bookinfo, VISITOR, REVIEWS) == {403: 1}
        assert statuses(bookinfo, PAGE, RATINGS) == {403: 1}
    finally:
        bookinfo.set_mesh_config({"accessControlMode": "allow"})
    eventually(lambda: statuses(bookinfo, VISITOR, RATINGS) == {200: 1}, APPLIED_SECONDS, "everything allowed again")


@pytest.mark.spec("7.limits")
def test_a_rate_limit_holds_for_its_source_alone(bookinfo: MeshUnderTest) -> None:
    """Ten a minute is one every six seconds; what is above waits without limit of burst nowhere: it gets 503."""
    apply(bookinfo, "ratelimit.yaml")
    eventually(lambda: statuses(bookinfo, PAGE, RATINGS) == {503: 1}, APPLIED_SECONDS, "an excess")
    begin = time.monotonic()
    counts = statuses(bookinfo, PAGE, RATINGS, "--times", "30", "--at-once", "1")
    let_in = 1 + (time.monotonic() - begin) / 6
    assert counts.keys() <= {200, 503}, counts
    assert counts[200] <= let_in, counts
    assert statuses(bookinfo, VISITOR, RATINGS, "--times", "30") == {200: 30}


@pytest.mark.spec("7.limits")
def test_rules_a_burst_and_another_status(bookinfo: MeshUnderTest) -> None:
    """Requests that fit the rules are limited; four pass at once: one, and a burst of three."""
    apply(bookinfo, "ratelimit-rules.yaml")
    eventually(lambda: 429 in statuses(bookinfo, PAGE, RATINGS, "--times", "8"), APPLIED_SECONDS, "an excess")
    assert statuses(bookinfo, PAGE, RATINGS, "--method", "POST", "--times", "20") == {200: 20}


@pytest.mark.spec("7.limits")
def test_the_older_version_limits_everybody_together(bookinfo: MeshUnderTest) -> None:
    """v1alpha1, without sources, for a Deployment."""
    apply(bookinfo, "ratelimit-v1alpha1.yaml")
    eventually(lambda: statuses(bookinfo, PAGE, RATINGS) == {503: 1}, APPLIED_SECONDS, "an excess")
    eventually(lambda: statuses(bookinfo, VISITOR, RATINGS) == {503: 1}, APPLIED_SECONDS, "an excess of the other's")


@pytest.mark.spec("7.breaker")
def test_a_breaker_and_its_fallback(bookinfo: MeshUnderTest) -> None:
    """The errors of v2 open its circuit for this caller; v1 answers meanwhile, also behind a split."""
    apply(bookinfo, "breaker.yaml")
    failing = "http://reviews-v2:9080/reviews?status=500"
    wanted = "http://reviews-v2:9080/reviews"
    wait_programmed(bookinfo, "circuitbreaker", "reviews-v2-breaker")
    assert statuses(bookinfo, PAGE, failing, "--times", "2", "--at-once", "1") == {500: 2}
    assert versions(bookinfo, wanted, times=5).keys() == {"reviews-v2"}
    assert statuses(bookinfo, PAGE, failing) == {500: 1}
    assert versions(bookinfo, wanted, times=20).keys() == {"reviews-v1"}
    # Counted by each calling sidecar for itself.
    assert versions(bookinfo, wanted, caller=VISITOR, times=5).keys() == {"reviews-v2"}


@pytest.mark.spec("7.status")
def test_a_policy_says_what_became_of_it(bookinfo: MeshUnderTest) -> None:
    """Accepted and Programmed, for the generation that counts."""
    apply(bookinfo, "split.yaml")

    def programmed() -> bool:
        found = conditions(bookinfo, "trafficsplit", "reviews-rollout")
        return {name: row["status"] for name, row in found.items()} == {"Accepted": "True", "Programmed": "True"}

    eventually(programmed, 30.0, "both conditions")
    before = bookinfo.kubectl.get("trafficsplit", "reviews-rollout", "-n", NAMESPACE)
    split_to(bookinfo, v1=1, v2=1)

    def newer() -> bool:
        now = bookinfo.kubectl.get("trafficsplit", "reviews-rollout", "-n", NAMESPACE)
        return bool(now["status"]["observedGeneration"] > before["status"]["observedGeneration"]) and programmed()

    eventually(newer, 30.0, "the status of the newer generation")
