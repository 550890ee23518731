"""From RateLimits to what a sidecar holds its callers to (contract 7.limits, 7.who-is-limited, 7.order, 7.missing)."""

from typing import Any

import pytest

from mesh.api.names import label_value
from mesh.api.policy import Policy
from mesh.model.policy import NO_DELAY, HttpMatch, Limit, LimitSource
from mesh.model.snapshot import ContainerPort, Service, ServicePortSpec
from tests.unit.compiler.cluster import compiled, config, endpoint_slice, namespace, of_workload, pod, service
from tests.unit.compiler.policies import limit, outcome, routes, said

HTTP = ServicePortSpec(80, 8080, "http")
WEB_GROUP, LONE_GROUP, CLIENT_GROUP = "a" * 16, "b" * 16, "c" * 16
PORTS = (ContainerPort(8080, name="http"), ContainerPort(8081, name="http-admin"))
WEB_1, WEB_2 = (
    of_workload(pod(f"web-{number}", f"10.1.0.{number}", *PORTS, app="web", group=WEB_GROUP), "Deployment", "web")
    for number in (1, 2)
)
LONE = pod("lone", "10.1.0.3", *PORTS, group=LONE_GROUP)
CLIENT_1, CLIENT_2 = (
    of_workload(pod(f"client-{number}", f"10.1.0.1{number}", app="client", group=CLIENT_GROUP), "Deployment", "client")
    for number in (1, 2)
)
BATCH = of_workload(pod("batch-0", "10.1.0.20", app="batch", group="d" * 16), "StatefulSet", "batch")
AGENT = of_workload(pod("agent-x", "10.1.0.21", app="agent", group="e" * 16), "DaemonSet", "agent")
SHOP = (WEB_1, WEB_2, LONE, CLIENT_1, CLIENT_2, BATCH, AGENT, service("web", "10.0.0.1", HTTP))
WEB = ("Deployment", "web")
CLIENT = ("Deployment", "client")
CLIENT_SOURCE = LimitSource("Deployment shop/client", ("shop/client-1", "shop/client-2"))


def limits(*items: Any, group: str = WEB_GROUP) -> tuple[Limit, ...]:
    return config(namespace(*SHOP, *items), group=group).limits


@pytest.mark.spec("7.limits")
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Limit("shop/slow", 10_000_000)),
        ({"rate": "6r/m"}, Limit("shop/slow", 100_000)),
        ({"burst": 7, "delay": 3}, Limit("shop/slow", 10_000_000, 7, 3)),
        ({"burst": 7, "delay": "nodelay"}, Limit("shop/slow", 10_000_000, 7, NO_DELAY)),
        ({"annotations": {"nsm.nginx.com/limit-status": "429"}}, Limit("shop/slow", 10_000_000, status=429)),
    ],
)
def test_rate_burst_delay_and_status(fields: dict[str, Any], expected: Limit) -> None:
    """In millionths of a request per second; what exceeds the rate waits unless the policy says nodelay."""
    assert limits(limit("slow", WEB, **fields)) == (expected,)
    assert limits(limit("slow", WEB, **fields), group=LONE_GROUP) == ()


@pytest.mark.spec("7.limits")
def test_sources_share_the_rate_and_not_the_burst() -> None:
    """A source that has no pod now keeps its share: the others do not get faster when it goes away."""
    policy = limit("slow", WEB, CLIENT, ("StatefulSet", "batch"), ("DaemonSet", "gone"), rate="30r/s", burst=4)
    (found,) = limits(policy)
    assert (found.microrequests, found.burst) == (10_000_000, 4)
    assert found.sources == (
        CLIENT_SOURCE,
        LimitSource("StatefulSet shop/batch", ("shop/batch-0",)),
        LimitSource("DaemonSet shop/gone"),
    )
    assert said(compiled(namespace(*SHOP, policy))) == [("slow", "LimitSourceMissing")]


@pytest.mark.spec("7.who-is-limited")
@pytest.mark.parametrize(
    ("source", "pods"),
    [
        (CLIENT, ("shop/client-1", "shop/client-2")),
        (("StatefulSet", "batch"), ("shop/batch-0",)),
        (("DaemonSet", "agent"), ("shop/agent-x",)),
        (("Pod", "client-2"), ("shop/client-2",)),
        (("Service", "web"), ("shop/web-1", "shop/web-2")),
        (("Deployment", "batch"), ()),
        (("Pod", "client"), ()),
        (("Service", "client"), ()),
    ],
)
def test_the_pods_of_a_source(source: tuple[str, str], pods: tuple[str, ...]) -> None:
    """By owner, by name or by the Service's selector; another kind of the same name is somebody else."""
    (found,) = limits(limit("slow", WEB, source))
    assert found.sources == (LimitSource(f"{source[0]} shop/{source[1]}", pods),)


@pytest.mark.spec("7.who-is-limited")
def test_long_names_of_owners_are_found() -> None:
    """A label holds 63 characters; longer names are cut in both places alike."""
    name = "w" * 70
    owned = of_workload(pod("long", "10.1.0.9", group="f" * 16), "Deployment", label_value(name))
    (found,) = config(namespace(*SHOP, owned, limit("slow", ("Deployment", name))), group="f" * 16).limits
    assert found.policy == "shop/slow"


@pytest.mark.spec("7.who-is-limited")
def test_a_service_as_destination_means_its_target_ports_alone() -> None:
    """A Deployment means every port that carries requests."""
    assert limits(limit("slow", ("Service", "web"))) == (Limit("shop/slow", 10_000_000, ports=(8080,)),)
    assert limits(limit("slow", WEB)) == (Limit("shop/slow", 10_000_000),)


@pytest.mark.spec("7.who-is-limited")
def test_a_pod_as_destination_leaves_the_others_of_its_group_alone() -> None:
    """Documents are per group, so the limit names the pod; one that is alone in its group needs no name."""
    assert limits(limit("slow", ("Pod", "web-2"))) == (Limit("shop/slow", 10_000_000, pods=("shop/web-2",)),)
    assert limits(limit("slow", ("Pod", "lone")), group=LONE_GROUP) == (Limit("shop/slow", 10_000_000),)


@pytest.mark.spec("7.who-is-limited")
def test_destination_and_sources_may_be_elsewhere() -> None:
    """They are of the policy's namespace unless they say another."""
    there = of_workload(pod("there", "10.1.0.9", group="f" * 16, namespace="other"), "Deployment", "client")
    policy = limit("slow", ("Deployment", "shop/web"), CLIENT, namespace="other")
    found = config(namespace(*SHOP), namespace(there, policy, name="other"), group=WEB_GROUP).limits
    assert found == (
        Limit("other/slow", 10_000_000, sources=(LimitSource("Deployment other/client", ("other/there",)),)),
    )


@pytest.mark.spec("7.who-is-limited")
def test_a_service_without_selector_means_the_pods_that_its_slices_name_and_no_other() -> None:
    """Reliability case 29: an empty selector selects nobody here, as in Kubernetes."""
    by_hand = Service("shop", "by-hand", ("10.0.0.9",), (HTTP,))
    policy = limit("slow", ("Service", "by-hand"))
    view = namespace(*SHOP, by_hand, policy)
    assert all(found.limits == () for found in compiled(view).configs.values())
    assert said(compiled(view)) == [("slow", "LimitDestinationMissing")]
    named = namespace(*SHOP, by_hand, policy, endpoint_slice("by-hand", "http", 8080, LONE))
    assert {group for group, found in compiled(named).configs.items() if found.limits} == {LONE_GROUP}


@pytest.mark.spec("7.missing")
@pytest.mark.parametrize("destination", [("Deployment", "gone"), ("Service", "gone"), ("Pod", "other/web-1")])
def test_a_destination_that_is_missing_is_told(destination: tuple[str, str]) -> None:
    """Nobody is limited meanwhile."""
    compilation = compiled(namespace(*SHOP, limit("slow", destination)))
    assert said(compilation) == [("slow", "LimitDestinationMissing")]
    assert all(found.limits == () for found in compilation.configs.values())


@pytest.mark.spec("7.routes")
def test_rules_narrow_a_limit() -> None:
    """To the matches of route groups in the policy's namespace."""
    api = routes("api", {"name": "read", "methods": ["GET"]}, {"name": "write", "methods": ["POST"]})
    policy = limit("slow", WEB, rules=[{"kind": "HTTPRouteGroup", "name": "api", "matches": ["write"]}])
    assert limits(api, policy)[0].matches == (HttpMatch(methods=("POST",)),)


@pytest.mark.spec("7.missing")
def test_rules_that_do_not_exist_limit_nothing() -> None:
    """Never everything because nothing was found; it is told."""
    policy = limit("slow", WEB, rules=[{"kind": "HTTPRouteGroup", "name": "gone"}])
    assert limits(policy) == ()
    assert said(compiled(namespace(*SHOP, policy))) == [("slow", "RouteGroupMissing")]


OLDER = limit("z-older", WEB, CLIENT, rate="1r/s", day=1)
CONFLICTS: list[Policy[Any]] = [
    limit("a-younger", WEB, CLIENT, rate="9r/s", day=2),
    limit("a-younger", WEB, ("StatefulSet", "batch"), CLIENT, rate="9r/s", day=2),
    limit("a-younger", WEB, ("Pod", "client-2"), rate="9r/s", day=2),
    limit("a-younger", ("Pod", "web-1"), ("Service", "client"), rate="9r/s", day=2),
    limit("a-younger", ("Service", "web"), CLIENT, rate="9r/s", day=2),
]


@pytest.mark.spec("7.order")
@pytest.mark.parametrize("younger", CONFLICTS)
def test_of_two_limits_of_one_source_at_one_pod_the_older_holds(younger: Policy[Any]) -> None:
    """Reliability case 23: also where only the pods show that they meet, and after any restart, in whatever order they come."""
    clients = service("client", "10.0.0.7", HTTP)
    for order in ((OLDER, younger), (younger, OLDER)):
        compilation = compiled(namespace(*SHOP, clients, *order))
        assert [found.policy for found in compilation.configs[WEB_GROUP].limits] == ["shop/z-older"]
        assert said(compilation) == [("a-younger", "UpsertRateLimitFailed")]
        assert (outcome(compilation, OLDER).accepted, outcome(compilation, younger).accepted) == (True, False)
    assert [found.policy for found in limits(clients, younger)] == ["shop/a-younger"]


NO_CONFLICTS: list[Policy[Any]] = [
    limit("younger", WEB, ("StatefulSet", "batch"), day=2),
    limit("younger", WEB, day=2),
    limit("younger", ("Pod", "lone"), CLIENT, day=2),
]


@pytest.mark.spec("7.limits")
@pytest.mark.parametrize("younger", NO_CONFLICTS)
def test_limits_that_do_not_meet_both_hold(younger: Policy[Any]) -> None:
    """Another source, everyone else, or another destination."""
    compilation = compiled(namespace(*SHOP, OLDER, younger))
    applied = {found.policy for config in compilation.configs.values() for found in config.limits}
    assert applied == {"shop/z-older", "shop/younger"}
    assert said(compilation) == []


@pytest.mark.spec("7.order")
def test_one_limit_for_everyone_else_at_a_destination() -> None:
    """The older of two without sources holds."""
    older, younger = limit("z", WEB, day=1), limit("a", ("Service", "web"), day=2)
    assert [found.policy for found in limits(younger, older)] == ["shop/z"]


@pytest.mark.spec("7.order")
def test_a_limit_that_was_refused_stands_in_nobodys_way() -> None:
    """The third is compared with what holds."""
    rows = [
        limit("one", WEB, CLIENT, day=1),
        limit("two", WEB, CLIENT, ("StatefulSet", "batch"), day=2),
        limit("three", WEB, ("StatefulSet", "batch"), day=3),
    ]
    assert [found.policy for found in limits(*rows)] == ["shop/one", "shop/three"]


@pytest.mark.spec("7.limits")
def test_limits_are_asked_by_age() -> None:
    """The order is that of creation."""
    rows = [limit("a", WEB, CLIENT, day=2), limit("b", WEB, day=1)]
    assert [found.policy for found in limits(*rows)] == ["shop/b", "shop/a"]


@pytest.mark.spec("7.who-is-limited")
def test_only_pods_with_a_sidecar_limit_and_are_told_apart() -> None:
    """Others have neither a sidecar that could, nor a certificate to be known by."""
    bare = of_workload(pod("bare", "10.1.0.30", group=""), "Deployment", "client")
    outside = of_workload(pod("outside", "10.1.0.31", group=""), "Deployment", "web")
    assert limits(bare, outside, limit("slow", WEB, CLIENT)) == (
        Limit("shop/slow", 10_000_000, sources=(CLIENT_SOURCE,)),
    )
