"""From TrafficTargets to what a sidecar lets in (contract 7.access, 7.order, 7.missing, 7.routes, 7.policy-scope)."""

from typing import Any

import pytest

from mesh.api.mesh_config import AccessControlMode
from mesh.model.policy import HttpMatch, Target
from mesh.model.sidecar_config import SidecarConfig
from mesh.model.snapshot import FaultyPolicy, MeshSettings
from tests.unit.compiler.cluster import backed, compiled, config, namespace, pod
from tests.unit.compiler.policies import outcome, routes, said, target, tcp_route

CALLER = pod("caller", "10.1.0.200")
WEB = backed("web", "10.0.0.1", 1)
CART = backed("cart", "10.0.0.2", 2)
SHOP = (CALLER, *WEB, *CART)
WEB_GROUP, CART_GROUP = f"{1:016x}", f"{2:016x}"
DENY = MeshSettings(access_control_mode=AccessControlMode.DENY)
CALLER_ID = "spiffe://example.org/ns/shop/sa/caller-account"
OPEN = target("open", "web-account", ["caller-account"])


def of_web(*items: Any, settings: MeshSettings | None = None) -> SidecarConfig:
    return config(namespace(*SHOP, *items), settings=settings, group=WEB_GROUP)


@pytest.mark.spec("7.access")
def test_without_targets_everything_comes_in_where_the_mesh_allows() -> None:
    """Mode allow closes nothing that no target names."""
    found = of_web()
    assert (found.access_enforced, found.targets) == (False, ())


@pytest.mark.spec("7.access")
def test_without_targets_nothing_comes_in_where_the_mesh_denies() -> None:
    """Mode deny closes every pod of the mesh."""
    compilation = compiled(namespace(*SHOP), settings=DENY)
    assert all(found.access_enforced and not found.targets for found in compilation.configs.values())


@pytest.mark.spec("7.access")
def test_a_target_closes_its_destination_and_no_one_else() -> None:
    """The pods of the destination's service account let in what it names; the others are as they were."""
    found = of_web(OPEN)
    assert (found.access_enforced, found.targets) == (True, (Target("shop/open", (CALLER_ID,), everything=True),))
    cart = config(namespace(*SHOP, OPEN), group=CART_GROUP)
    assert (cart.access_enforced, cart.targets) == (False, ())
    compilation = compiled(namespace(*SHOP, OPEN))
    assert outcome(compilation, OPEN).groups == {WEB_GROUP}
    assert outcome(compilation, OPEN).accepted


@pytest.mark.spec("7.access")
def test_in_deny_a_target_opens_its_destination_alone() -> None:
    """Everything else stays closed."""
    view = namespace(*SHOP, OPEN)
    assert config(view, settings=DENY, group=WEB_GROUP).targets != ()
    cart = config(view, settings=DENY, group=CART_GROUP)
    assert (cart.access_enforced, cart.targets) == (True, ())


@pytest.mark.spec("7.access")
def test_sources_and_destination_may_be_elsewhere() -> None:
    """Service accounts are of the policy's namespace unless they say another; a target may stand in a namespace without the mesh."""
    policy = target("open", "shop/web-account", ["else", "shop/caller-account"], namespace="policies")
    stored = namespace(policy, name="policies")
    found = config(namespace(*SHOP), stored, settings=MeshSettings(trust_domain="corp.example"), group=WEB_GROUP)
    assert found.targets[0].sources == (
        "spiffe://corp.example/ns/policies/sa/else",
        "spiffe://corp.example/ns/shop/sa/caller-account",
    )
    namesake = target("open", "web-account", ["caller-account"], namespace="policies")
    assert not config(namespace(*SHOP), namespace(namesake, name="policies"), group=WEB_GROUP).access_enforced


@pytest.mark.spec("7.missing")
def test_without_sources_nobody_is_allowed() -> None:
    """The target closes its destination all the same, and that is told."""
    policy = target("shut", "web-account", [])
    found = of_web(policy)
    assert (found.access_enforced, found.targets[0].sources) == (True, ())
    assert said(compiled(namespace(*SHOP, policy))) == [("shut", "TargetWithoutSources")]


@pytest.mark.spec("7.faulty", "7.access")
def test_a_faulty_target_closes_what_it_names_and_allows_nobody() -> None:
    """Nobody knows whom it meant to let in; those whom another target allows come in all the same."""
    faulty = FaultyPolicy("TrafficTarget", "rules", "broken", 2, "spec.sources: wrong", ("shop", "web-account"))
    stored = namespace(faulty, name="rules")
    found = config(namespace(*SHOP), stored, group=WEB_GROUP)
    assert (found.access_enforced, found.targets) == (True, ())
    assert not config(namespace(*SHOP), stored, group=CART_GROUP).access_enforced
    assert config(namespace(*SHOP, OPEN), stored, group=WEB_GROUP).targets == of_web(OPEN).targets
    compilation = compiled(namespace(*SHOP), stored)
    assert said(compilation) == [("broken", "InvalidPolicy")]
    assert "shop/web-account is closed" in compilation.findings[0].message


@pytest.mark.spec("7.faulty")
def test_a_faulty_target_that_names_nobody_closes_nothing() -> None:
    """It counts as absent, as every other kind does."""
    faulty = FaultyPolicy("TrafficTarget", "shop", "broken", 2, "spec.destination: wrong")
    compilation = compiled(namespace(*SHOP, faulty))
    assert not any(found.access_enforced for found in compilation.configs.values())
    assert "counts as absent" in compilation.findings[0].message


@pytest.mark.spec("7.access")
def test_a_port_of_the_destination() -> None:
    """0 stands for every port."""
    assert of_web(target("open", "web-account", ["caller-account"], port=8080)).targets[0].port == 8080
    assert of_web(OPEN).targets[0].port == 0


GROUP = routes(
    "api",
    {"name": "read", "pathRegex": "^/api", "methods": ["GET", "HEAD"]},
    {"name": "any", "pathRegex": "*", "methods": ["GET", "*"]},
    {"name": "mobile", "headers": {"User-Agent": ".*Mobile.*", "X-Trace": "*"}},
)
READ = HttpMatch("^/api", ("GET", "HEAD"))
ANY = HttpMatch()
MOBILE = HttpMatch(headers=(("user-agent", ".*Mobile.*"), ("x-trace", "")))


@pytest.mark.spec("7.routes")
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (("HTTPRouteGroup", "api"), {READ, ANY, MOBILE}),
        (("HTTPRouteGroup", "api", ["read"]), {READ}),
        (("HTTPRouteGroup", "api", ["mobile", "any"]), {ANY, MOBILE}),
    ],
)
def test_rules_are_matches_of_route_groups(
    rule: tuple[str, str] | tuple[str, str, list[str]], expected: set[HttpMatch]
) -> None:
    """All matches of a group or the named ones; ``*`` is no criterion, names of headers are in lower case."""
    (found,) = of_web(GROUP, target("open", "web-account", ["caller-account"], rule)).targets
    assert (set(found.matches), found.everything, found.tcp) == (expected, False, False)


@pytest.mark.spec("7.missing")
@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (("HTTPRouteGroup", "gone"), "RouteGroupMissing"),
        (("HTTPRouteGroup", "api", ["gone"]), "RouteMatchMissing"),
        (("TCPRoute", "gone"), "RouteGroupMissing"),
    ],
)
def test_rules_that_do_not_exist_allow_nothing(rule: tuple[str, str] | tuple[str, str, list[str]], reason: str) -> None:
    """Never everything because nothing was found; it is told."""
    policy = target("open", "web-account", ["caller-account"], rule)
    found = of_web(GROUP, policy)
    assert found.access_enforced
    assert (found.targets[0].everything, found.targets[0].tcp, found.targets[0].matches) == (False, False, ())
    assert said(compiled(namespace(*SHOP, GROUP, policy))) == [("open", reason)]


@pytest.mark.spec("7.routes")
def test_route_groups_are_those_of_the_policys_namespace() -> None:
    """A namesake elsewhere, or of the destination's namespace, is another group."""
    policy = target("open", "shop/web-account", ["a"], ("HTTPRouteGroup", "api"), namespace="policies")
    elsewhere = namespace(policy, name="policies")
    assert config(namespace(*SHOP, GROUP), elsewhere, group=WEB_GROUP).targets[0].matches == ()
    at_home = namespace(policy, routes("api", {"pathRegex": "/home"}, namespace="policies"), name="policies")
    assert config(namespace(*SHOP, GROUP), at_home, group=WEB_GROUP).targets[0].matches == (HttpMatch("/home"),)


@pytest.mark.spec("7.access")
def test_a_tcp_route_allows_connections() -> None:
    """Without one, a target with rules allows no connection to a tcp port."""
    policy = target("open", "web-account", ["caller-account"], ("TCPRoute", "all"), ("HTTPRouteGroup", "api", ["read"]))
    (found,) = of_web(GROUP, tcp_route("all"), policy).targets
    assert (found.everything, found.tcp, found.matches) == (False, True, (READ,))


@pytest.mark.spec("7.order")
def test_targets_are_asked_by_age() -> None:
    """Creation first, then namespace, then name."""
    rows = [
        target("b", "web-account", ["x"], day=2),
        target("a", "web-account", ["x"], day=3),
        target("c", "web-account", ["x"], day=2),
        target("z", "web-account", ["x"], day=1),
    ]
    for order in (rows, rows[::-1]):
        assert [found.policy for found in of_web(*order).targets] == ["shop/z", "shop/b", "shop/c", "shop/a"]


@pytest.mark.spec("7.policy-scope")
def test_deny_does_not_narrow_what_a_caller_knows() -> None:
    """ADR 0012: a caller out of scope could not get a 403."""
    view = namespace(*SHOP)
    assert config(view, settings=DENY).services == config(view).services
    assert config(view, settings=DENY).pods == config(view).pods


@pytest.mark.spec("7.ghosts")
def test_a_target_that_is_gone_leaves_its_destination_open() -> None:
    """As it was before."""
    assert of_web(OPEN).access_enforced
    assert of_web() == of_web(target("open", "cart-account", ["caller-account"]))


@pytest.mark.spec("7.access")
def test_many_targets_of_one_destination_are_all_there() -> None:
    """300 of them, each with a source of its own."""
    many = [target(f"t-{number:03}", "web-account", [f"source-{number:03}"]) for number in range(300)]
    assert [found.policy for found in of_web(*many).targets] == [f"shop/t-{number:03}" for number in range(300)]
