"""meshctl why and describe, over a cluster as the API shows it."""

import json
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from mesh.ctl.main import cli
from mesh.ctl.session import Session
from mesh.model.reason import Reason
from tests.unit.ctl.healthy_mesh import FakeCluster
from tests.unit.ctl.policy_cluster import BREAKER, LIMIT, ROUTES, SPLIT, TARGET, cluster

pytestmark = pytest.mark.spec("7.why")
WEB = "spiffe://example.org/ns/shop/sa/web"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run meshctl against a cluster."""

    def invoke(reader: FakeCluster, *arguments: str) -> Result:
        monkeypatch.setattr(Session, "cluster", lambda _: reader)
        return CliRunner().invoke(cli, arguments)

    return invoke


def why(run: Any, reader: FakeCluster, *arguments: str) -> dict[str, Any]:
    result = run(reader, "why", *arguments, "-o", "json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.output)
    return document


def test_an_allowed_call_names_target_rule_and_limit(run: Any) -> None:
    told = why(run, cluster(ROUTES, TARGET, LIMIT), "shop/web-1", "cart", "GET", "/x/../items/1")
    assert (told["schema"], told["verdict"], told["reasons"]) == ("nginx-mesh/why/v1", "allowed", [])
    assert told["source"] == {"pod": "shop/web-1", "identity": WEB, "mtlsMode": "permissive"}
    assert told["request"] == {"method": "GET", "path": "/items/1"}
    [way] = told["ways"]
    [endpoint] = way["endpoints"]
    assert (endpoint["pod"], endpoint["wire"], endpoint["mtlsMode"]) == ("shop/cart-1", "mTLS", "permissive")
    assert (endpoint["policy"], endpoint["rule"]) == ("shop/web-reads", "GET ^/items")
    assert (endpoint["limit"]["policy"], endpoint["limit"]["requestsPerSecond"]) == ("shop/slow", 10)


@pytest.mark.parametrize(
    ("source", "request_", "reason"),
    [
        ("pod/shop/web-1", ("POST", "/items"), "access_no_rule:shop/web-reads"),
        ("deploy/shop/web", ("GET", "/admin"), "access_no_rule:shop/web-reads"),
        ("sa/shop/canary", ("GET", "/items"), "access_no_target"),
    ],
)
def test_a_refused_call_names_its_reason(run: Any, source: str, request_: tuple[str, str], reason: str) -> None:
    told = why(run, cluster(ROUTES, TARGET), source, "svc/shop/cart:80", *request_)
    assert (told["verdict"], told["reasons"]) == ("refused", [reason])


def test_shares_circuits_and_their_state_are_told(run: Any) -> None:
    told = why(run, cluster(SPLIT, BREAKER, open_circuits=("shop/guard",)), "shop/web", "cart")
    assert [(way["share"], way["services"], way["splits"]) for way in told["ways"]] == [
        (0.75, ["shop/cart:80"], ["shop/canary"]),
        (0.25, ["shop/cart:80", "shop/canary:80"], ["shop/canary"]),
    ]
    assert (told["verdict"], told["reasons"]) == ("depends", ["circuit_open:shop/guard"])
    [circuit] = told["circuits"]
    assert (circuit["policy"], circuit["errors"], circuit["timeoutSeconds"]) == ("shop/guard", 5, 30)
    assert circuit["state"] == "open"


def test_a_pod_may_be_called_by_its_name(run: Any) -> None:
    told = why(run, cluster(ROUTES, TARGET), "shop/web-1", "pod/cart-1:8080", "GET", "/items")
    assert (told["verdict"], told["ways"][0]["endpoints"][0]["policy"]) == ("allowed", "shop/web-reads")


def test_the_modes_of_both_sides_count(run: Any) -> None:
    told = why(run, cluster(mtls={"mode": "off"}), "shop/web-1", "cart")
    assert (told["verdict"], told["source"]["identity"], told["source"]["mtlsMode"]) == ("allowed", "", "off")
    assert told["ways"][0]["endpoints"][0]["wire"] == "plaintext"


@pytest.mark.parametrize("destination", ["cart", "cart:80", "pod/cart-1"])
@pytest.mark.parametrize(("source", "verdict"), [("shop/web-1", "allowed"), ("shop/canary-1", "refused")])
def test_a_headless_service_is_its_pods(run: Any, source: str, verdict: str, destination: str) -> None:
    """Nothing of a call by a pod's address passes unread, with a policy of callers or without one."""
    told = why(run, cluster(ROUTES, TARGET, headless=True), source, destination, "GET", "/items")
    assert (told["verdict"], told["request"]["path"]) == (verdict, "/items")
    [way] = told["ways"]
    assert [(row["pod"], row["port"], row["wire"]) for row in way["endpoints"]] == [("shop/cart-1", 8080, "mTLS")]
    divided = why(run, cluster(ROUTES, TARGET, BREAKER, headless=True), source, destination, "GET", "/items")
    assert divided["verdict"] == verdict


@pytest.mark.parametrize("headless", [False, True])
def test_who_has_no_sidecar_calls_in_plaintext(run: Any, headless: bool) -> None:
    """Its calls are neither divided nor guarded; the called pod's sidecar judges them."""
    told = why(run, cluster(SPLIT, BREAKER, headless=headless), "shop/stranger-1", "cart", "GET", "/items")
    assert told["source"] == {"pod": "shop/stranger-1", "identity": "", "mtlsMode": ""}
    assert (told["verdict"], told["circuits"], len(told["ways"])) == ("allowed", [], 1)
    assert told["ways"][0]["endpoints"][0]["wire"] == "plaintext"
    refused = cluster(ROUTES, TARGET, headless=headless)
    assert why(run, refused, "sa/shop/stranger", "cart", "GET", "/items")["reasons"] == ["access_plaintext"]
    assert "none: the pod has no sidecar" in run(refused, "why", "shop/stranger-1", "cart").output
    strict = cluster(headless=headless, mtls={"mode": "strict"})
    assert why(run, strict, "shop/stranger-1", "cart")["reasons"] == ["plaintext"]


def test_is_readable_as_text_and_yaml(run: Any) -> None:
    reader = cluster(ROUTES, TARGET, LIMIT, SPLIT, BREAKER)
    text = run(reader, "why", "shop/web-1", "cart", "GET", "/items").output
    for said in ("verdict   allowed", "0.75 of calls", "shop/web-reads GET ^/items", "5 in 30 s"):
        assert said in text
    document = yaml.safe_load(run(reader, "why", "shop/web-1", "cart", "-o", "yaml").output)
    assert document["schema"] == "nginx-mesh/why/v1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("web-1", "cart"), "names no namespace"),
        (("shop/nobody", "cart"), "there is no pod or Deployment or service account nobody"),
        (("shop/web-1", "nothing"), "there is no Service or pod nothing in namespace shop"),
        (("shop/web-1", "cart:http"), 'port "http" is no number'),
        (("shop/web-1", "cart:81"), "Service shop/cart has no port 81; it has 80"),
        (("shop/web-1", "cart", "GET", "/", "-H", "x"), "a header is written name:value"),
        (("shop/web-1",), "takes a source and a destination"),
        (("--reason", "bad_luck"), '"bad_luck" is no reason'),
    ],
)
def test_what_does_not_exist_is_said(run: Any, arguments: tuple[str, ...], said: str) -> None:
    result = run(cluster(), "why", *arguments)
    assert result.exit_code != 0
    assert said in result.output


@pytest.mark.spec("7.reasons")
def test_the_id_of_a_refusal_leads_to_the_policy(run: Any) -> None:
    told = json.loads(
        run(cluster(ROUTES, TARGET), "why", "--reason", "access_no_rule:shop/web-reads", "-o", "json").output
    )
    assert told["policy"]["kind"] == "TrafficTarget"
    assert told["policy"]["accepted"]
    assert any("reads" in line for line in told["policy"]["says"])
    text = run(cluster(BREAKER), "why", "--reason", "circuit_open:shop/guard").output
    assert "  timeoutSeconds: 30" in text  # as a manifest has it
    text = run(cluster(), "why", "--reason", "rate_limited:shop/gone").output
    assert "RateLimit shop/gone: there is no such object any more" in text


@pytest.mark.spec("7.reasons")
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_meaning_and_a_remedy(run: Any, reason: Reason) -> None:
    text = run(cluster(), "why", "--reason", reason.value).output
    assert text.startswith(f"{reason.value}: ")
    assert "repair: " in text


@pytest.mark.spec("10.describe")
def test_describe_a_pod(run: Any) -> None:
    result = run(cluster(ROUTES, TARGET, LIMIT), "describe", "pod", "cart-1", "-n", "shop", "-o", "json")
    told = json.loads(result.output)
    assert (told["identity"], told["group"]) == ("spiffe://example.org/ns/shop/sa/cart", "b" * 16)
    assert told["accessEnforced"]
    assert told["ports"] == [{"port": 8080, "protocol": "http", "because": "Service shop/cart:80"}]
    assert [(row["kind"], row["name"]) for row in told["policies"]] == [
        ("RateLimit", "slow"),
        ("TrafficTarget", "web-reads"),
    ]


@pytest.mark.spec("10.describe")
def test_describe_a_service(run: Any) -> None:
    reader = cluster(ROUTES, TARGET, SPLIT)
    told = json.loads(run(reader, "describe", "svc", "cart", "-n", "shop", "-o", "json").output)
    assert told["ports"] == [{"port": 80, "protocol": "http", "because": "its name is http"}]
    assert [row["pod"] for row in told["endpoints"]] == ["shop/cart-1"]
    assert [row["kind"] for row in told["policies"]] == ["TrafficSplit", "TrafficTarget"]
    text = run(reader, "describe", "svc", "cart", "-n", "shop").output
    assert "shop/canary" in text
    missing = run(reader, "describe", "pod", "nobody", "-n", "shop")
    assert (missing.exit_code, missing.output) == (1, "Error: there is no pod shop/nobody\n")
