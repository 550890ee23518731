"""From TrafficSplits to what callers do (contract 7.split, 7.order, 7.missing, 7.headless)."""

from typing import Any

import pytest

from mesh.api.errors import InvalidInputError
from mesh.api.policy import Policy
from mesh.model.policy import HttpMatch, Share, Split
from mesh.model.snapshot import ServicePortSpec
from tests.unit.compiler.cluster import backed, compiled, config, namespace, pod, port_of, service
from tests.unit.compiler.policies import outcome, routes, said, split

HTTP = ServicePortSpec(80, 8080, "http")
CALLER = pod("caller", "10.1.0.200")
ROOT = backed("web", "10.0.0.1", 1)
V1 = backed("web-v1", "10.0.0.2", 2)
V2 = backed("web-v2", "10.0.0.3", 3)
SHOP = (CALLER, *ROOT, *V1, *V2)
CANARY = split("canary", "web", {"web-v1": 9, "web-v2": 1})
FIREFOX = routes("firefox", {"name": "agent", "headers": {"User-Agent": ".*Firefox.*"}})


def splits(*items: Any, root: str = "web", port: int = 80) -> tuple[Split, ...]:
    return port_of(config(namespace(*SHOP, *items)), root, port).splits


@pytest.mark.spec("7.split")
def test_weights_reach_the_callers() -> None:
    """Each backend has its weight, at the port that answers for the root's."""
    assert splits(CANARY) == (Split("shop/canary", (Share("shop/web-v1", 80, 9), Share("shop/web-v2", 80, 1))),)
    compilation = compiled(namespace(*SHOP, CANARY))
    assert said(compilation) == []
    assert outcome(compilation, CANARY).accepted


@pytest.mark.spec("7.split")
@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ((ServicePortSpec(80, 8080, "http"), ServicePortSpec(81, 8081, "http-other")), 80),
        ((ServicePortSpec(81, 8081, "http"), ServicePortSpec(82, 8082, "http-other")), 81),
        ((ServicePortSpec(9000, 8080, "grpc"),), 9000),
        ((ServicePortSpec(80, 8080, "dns", "UDP"), ServicePortSpec(81, 8081, "odd")), 81),
    ],
)
def test_a_backend_answers_at_the_port_of_that_number_else_of_that_name_else_its_only_one(
    ports: tuple[ServicePortSpec, ...], expected: int
) -> None:
    """The root's port is 80, named http."""
    other = backed("other", "10.0.0.4", 4, *ports)
    (found,) = splits(*other, split("canary", "web", {"other": 1}))
    assert found.shares == (Share("shop/other", expected, 1),)


@pytest.mark.spec("7.missing")
def test_a_backend_without_such_a_port_gets_no_share_and_it_is_told() -> None:
    """Neither number nor name fits, and it has several."""
    other = backed("other", "10.0.0.4", 4, ServicePortSpec(81, 1, "http-a"), ServicePortSpec(82, 2, "http-b"))
    policy = split("canary", "web", {"other": 1, "web-v1": 1})
    assert splits(*other, policy)[0].shares == (Share("shop/web-v1", 80, 1),)
    assert said(compiled(namespace(*SHOP, *other, policy))) == [("canary", "SplitBackendMissing")]


@pytest.mark.spec("7.missing")
def test_a_backend_that_is_missing_gets_no_share_and_it_is_told() -> None:
    """The others share what there is."""
    policy = split("canary", "web", {"web-v1": 1, "gone": 9})
    assert splits(policy)[0].shares == (Share("shop/web-v1", 80, 1),)
    compilation = compiled(namespace(*SHOP, policy))
    assert said(compilation) == [("canary", "SplitBackendMissing")]
    assert "gone" in compilation.findings[0].message


@pytest.mark.spec("7.missing")
def test_without_any_backend_the_root_itself_answers() -> None:
    """Reliability case 25: the split is as good as absent, and it is told."""
    policy = split("canary", "web", {"gone": 1})
    assert splits(policy) == ()
    assert port_of(config(namespace(*SHOP, policy)), "web").endpoints
    assert ("canary", "SplitBackendMissing") in said(compiled(namespace(*SHOP, policy)))


@pytest.mark.spec("7.missing")
def test_a_backend_without_endpoints_stays_and_is_told() -> None:
    """The sidecar leaves it out as long as it has none, so that nothing needs to change when it has."""
    empty = service("empty", "10.0.0.4", HTTP)
    policy = split("canary", "web", {"web-v1": 1, "empty": 1})
    assert Share("shop/empty", 80, 1) in splits(empty, policy)[0].shares
    assert said(compiled(namespace(*SHOP, empty, policy))) == [("canary", "SplitBackendEmpty")]


@pytest.mark.spec("7.missing")
def test_a_root_that_is_missing_is_told() -> None:
    """There is nothing to split."""
    policy = split("canary", "gone", {"web-v1": 1})
    compilation = compiled(namespace(*SHOP, policy))
    assert said(compilation) == [("canary", "DestinationMissing")]
    assert not outcome(compilation, policy).accepted


@pytest.mark.spec("7.order")
def test_splits_with_matches_come_first_by_age_and_the_oldest_without_last() -> None:
    """A second one for all requests could never be asked: it is not accepted."""
    late = split("b-default", "web", {"web-v2": 1}, day=4)
    rows = [
        split("z-default", "web", {"web-v1": 1}, day=1),
        split("y-match", "web", {"web-v1": 1}, "firefox", day=3),
        split("x-match", "web", {"web-v2": 1}, "firefox", day=3),
        split("a-match", "web", {"web-v2": 1}, "firefox", day=2),
        late,
    ]
    expected = ["shop/a-match", "shop/x-match", "shop/y-match", "shop/z-default"]
    for order in (rows, rows[::-1]):
        assert [found.policy for found in splits(FIREFOX, *order)] == expected
    compilation = compiled(namespace(*SHOP, FIREFOX, *rows))
    assert said(compilation) == [("b-default", "SplitConflict")]
    assert outcome(compilation, late).reason == "SplitConflict"
    assert not outcome(compilation, late).accepted


@pytest.mark.spec("7.routes")
def test_matches_are_those_of_all_its_groups() -> None:
    """A request is split when it fits one match of one group."""
    api = routes("api", {"name": "a", "pathRegex": "/api", "methods": ["GET"]}, {"name": "b", "pathRegex": "/b"})
    policy = split("canary", "web", {"web-v1": 1}, "firefox", "api")
    (found,) = splits(FIREFOX, api, policy)
    assert set(found.matches) == {
        HttpMatch(headers=(("user-agent", ".*Firefox.*"),)),
        HttpMatch("/api", ("GET",)),
        HttpMatch("/b"),
    }


@pytest.mark.spec("7.missing")
def test_a_split_whose_groups_are_missing_splits_nothing() -> None:
    """What fits no match is not split; never all because none was found."""
    policy = split("canary", "web", {"web-v1": 1}, "gone")
    assert splits(policy) == ()
    assert said(compiled(namespace(*SHOP, policy))) == [("canary", "RouteGroupMissing")]
    other = namespace(routes("gone", {"name": "all"}, namespace="other"), name="other")
    assert port_of(config(namespace(*SHOP, policy), other), "web").splits == ()


@pytest.mark.spec("7.split")
def test_tcp_ports_are_split_by_connection_and_never_by_matches() -> None:
    """A connection has no path; a split that asks for one holds for the other ports, and that is told."""
    ports = (ServicePortSpec(80, 8080, "http"), ServicePortSpec(5432, 5432, "tcp-sql"))
    root, backend = backed("db", "10.0.0.4", 4, *ports), backed("db-v2", "10.0.0.5", 5, *ports)
    by_match = split("matched", "db", {"db-v2": 1}, "firefox")
    plain = split("plain", "db", {"db-v2": 1})
    found = config(namespace(*SHOP, *root, *backend, FIREFOX, by_match, plain))
    assert [item.policy for item in port_of(found, "db", 80).splits] == ["shop/matched", "shop/plain"]
    assert port_of(found, "db", 5432).splits == (Split("shop/plain", (Share("shop/db-v2", 5432, 1),)),)
    assert said(compiled(namespace(*SHOP, *root, *backend, FIREFOX, by_match))) == [("matched", "SplitNotHttp")]


@pytest.mark.spec("7.split")
def test_a_backend_may_be_split_itself_and_the_root_be_its_own_backend() -> None:
    """Flagger's way: the root keeps a share."""
    outer = split("outer", "web", {"web": 1, "web-v1": 1})
    inner = split("inner", "web-v1", {"web-v2": 1})
    found = config(namespace(*SHOP, outer, inner))
    assert port_of(found, "web").splits[0].shares == (Share("shop/web", 80, 1), Share("shop/web-v1", 80, 1))
    assert port_of(found, "web-v1").splits[0].shares == (Share("shop/web-v2", 80, 1),)
    assert said(compiled(namespace(*SHOP, outer, inner))) == []


CIRCLES: list[list[Policy[Any]]] = [
    [split("one", "web", {"web-v1": 1}, day=1), split("two", "web-v1", {"web": 1}, day=2)],
    [
        split("one", "web", {"web-v1": 1}, day=1),
        split("zero", "web-v1", {"web-v2": 1}, day=1),
        split("two", "web-v2", {"web-v2": 1, "web": 1}, day=2),
    ],
    [
        split("one", "web", {"web-v1": 1}, "firefox", day=1),
        split("two", "web-v1", {"web": 1, "web-v2": 1}, "firefox", day=2),
    ],
]


@pytest.mark.spec("7.split", "7.order")
@pytest.mark.parametrize("circle", CIRCLES)
def test_of_a_circle_the_youngest_is_not_applied(circle: list[Policy[Any]]) -> None:
    """Reliability case 25: no request is led back to where it came from; the older ones go on."""
    for order in (circle, circle[::-1]):
        view = namespace(*SHOP, FIREFOX, *order)
        compilation = compiled(view)
        assert said(compilation) == [("two", "SplitCycle")]
        applied = {item.policy for port in config(view).services for item in port.splits}
        assert applied == {f"shop/{policy.name}" for policy in circle if policy.name != "two"}
        assert {policy.name: outcome(compilation, policy).accepted for policy in circle} == {
            policy.name: policy.name != "two" for policy in circle
        }


@pytest.mark.spec("7.parse")
@pytest.mark.parametrize("weights", [{}, {"web-v1": 0}, {"web-v1": 0, "web-v2": 0}])
def test_weights_that_are_all_0_are_refused(weights: dict[str, int]) -> None:
    """Reliability case 25."""
    with pytest.raises(InvalidInputError, match="weight above 0"):
        split("canary", "web", weights)


@pytest.mark.spec("7.split")
def test_both_address_families_are_split() -> None:
    """A Service with two cluster addresses has one upstream for each."""
    web = service("web", "10.0.0.1 fd01::1", HTTP)
    v1 = service("web-v1", "fd01::2", HTTP)
    found = config(namespace(CALLER, web, v1, split("canary", "web", {"web-v1": 1})))
    ports = [port for port in found.services if port.service == "web"]
    assert [port.addresses for port in ports] == [("10.0.0.1",), ("fd01::1",)]
    assert all(port.splits == (Split("shop/canary", (Share("shop/web-v1", 80, 1),)),) for port in ports)


@pytest.mark.spec("7.headless")
def test_a_headless_root_is_split_where_its_pods_are_called() -> None:
    """Its pods' addresses are the only ones that it has; without a policy it is not in the document at all."""
    _, behind, slices = ROOT
    headless = service("web", "", HTTP)
    plain = config(namespace(CALLER, headless, behind, slices, *V1))
    assert [port.service for port in plain.services] == ["web-v1"]
    assert all(not item.headless for item in plain.pods)
    found = config(namespace(CALLER, headless, behind, slices, *V1, split("canary", "web", {"web-v1": 1})))
    port = port_of(found, "web")
    assert (port.addresses, port.splits) == ((), (Split("shop/canary", (Share("shop/web-v1", 80, 1),)),))
    assert {item.pod: item.headless for item in found.pods if item.headless} == {"shop/web": ((8080, "shop/web", 80),)}


@pytest.mark.spec("7.headless")
def test_a_headless_backend_is_known_with_its_endpoints() -> None:
    """Nobody calls it by an address of its own, but shares lead to it."""
    _, behind, slices = V1
    found = config(
        namespace(CALLER, *ROOT, service("web-v1", "", HTTP), behind, slices, split("c", "web", {"web-v1": 1}))
    )
    assert [item.pod for item in port_of(found, "web-v1").endpoints] == ["shop/web-v1"]
    assert all(not item.headless for item in found.pods)


@pytest.mark.spec("7.split")
def test_strict_callers_split_over_what_proves_itself() -> None:
    """A strict caller knows no plaintext endpoint of a backend."""
    plain = pod("plain", "10.1.0.9", group="")
    strict = pod("strict", "10.1.0.8", group="f" * 16, annotations={"config.nsm.nginx.com/mtls-mode": "strict"})
    web_v1, _, slices = V1
    view = namespace(*ROOT, web_v1, plain, strict, slices, CANARY)
    found = config(view, group="f" * 16)
    assert port_of(found, "web").splits[0].shares[0] == Share("shop/web-v1", 80, 9)
    assert all(endpoint.identity for port in found.services for endpoint in port.endpoints)


@pytest.mark.spec("7.policy-scope")
def test_who_knows_a_root_knows_its_backends() -> None:
    """They are of one namespace, so a scope holds all of them or none."""
    narrow = namespace(
        pod("one", "10.1.0.9", namespace="bare", group="e" * 16),
        name="bare",
        annotations={"config.nsm.nginx.com/egress-scope": "shop"},
    )
    found = config(namespace(*SHOP, CANARY), narrow, group="e" * 16)
    known = {(f"{port.namespace}/{port.service}", port.port) for port in found.services}
    assert {(share.service, share.port) for share in port_of(found, "web").splits[0].shares} <= known
    compilation = compiled(namespace(*SHOP, CANARY), narrow)
    assert "e" * 16 in outcome(compilation, CANARY).groups
