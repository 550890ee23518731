"""Policies that come, go, are faulty or many (contract 7.ghosts, 7.faulty, 7.conditions)."""

from collections.abc import Sequence
from typing import Any

import pytest

from mesh.api.policy import Policy
from mesh.compiler.assemble import Compilation, Compiler
from mesh.compiler.outcome import PolicyKey
from mesh.model import codec
from mesh.model.snapshot import FaultyPolicy, MeshSettings, NamespaceView, ServicePortSpec, SliceEndpoint, Snapshot
from tests.unit.compiler.cluster import (
    GROUP,
    backed,
    compiled,
    endpoint_slice,
    namespace,
    of_workload,
    pod,
    port_of,
    service,
)
from tests.unit.compiler.policies import breaker, limit, outcome, routes, said, split, target

CALLER = pod("caller", "10.1.0.200")
WEB, V1 = backed("web", "10.0.0.1", 1), backed("web-v1", "10.0.0.2", 2)
SHOP = (CALLER, *WEB, *V1)
WEB_GROUP = f"{1:016x}"
POLICIES: tuple[Policy[Any], ...] = (
    split("ghost-split", "web", {"web-v1": 1}, "ghost-routes"),
    routes("ghost-routes", {"name": "a", "pathRegex": "/ghost"}),
    breaker("ghost-breaker", "web", fallback={"service": "web-v1"}),
    target("ghost-target", "web-account", ["caller-account"], ("HTTPRouteGroup", "ghost-routes")),
    limit("ghost-limit", ("Pod", "web"), ("Pod", "caller")),
)


def compile_all(compiler: Compiler, *views: NamespaceView) -> Compilation:
    return compiler.compile(Snapshot(MeshSettings(), {view.name: view for view in views}))


def documents(compilation: Compilation) -> str:
    return "\n".join(codec.canonical(found).decode() for found in compilation.configs.values())


@pytest.mark.spec("7.ghosts")
@pytest.mark.parametrize("gone", POLICIES, ids=lambda policy: policy.kind)
def test_a_policy_that_is_gone_leaves_nothing(gone: Policy[Any]) -> None:
    """The same compiler goes on as if it had never been."""
    compiler = Compiler()
    assert outcome(compile_all(compiler, namespace(*SHOP, *POLICIES)), gone).accepted
    rest = [policy for policy in POLICIES if policy is not gone]
    left = compile_all(compiler, namespace(*SHOP, *rest))
    assert f"shop/{gone.name}" not in documents(left)
    assert left == compiled(namespace(*SHOP, *rest))


@pytest.mark.spec("7.ghosts")
def test_a_namespace_that_is_gone_leaves_nothing() -> None:
    """Reliability case 27: with its pods and policies everything goes that they said, of others, too."""
    compiler = Compiler()
    shop = namespace(*SHOP)
    policies: Sequence[Policy[Any]] = (
        breaker("ghost-breaker", "shop/web", namespace="ghosts"),
        target("ghost-target", "shop/web-account", ["pale-account"], namespace="ghosts"),
        limit("ghost-limit", ("Pod", "shop/web"), ("Pod", "pale"), namespace="ghosts"),
        split("ghost-split", "pale", {"pale": 1}, namespace="ghosts"),
    )
    pale = pod("pale", "10.1.0.66", group="f" * 16, namespace="ghosts")
    before = compile_all(
        compiler, shop, namespace(pale, service("pale", "10.0.0.66", namespace="ghosts"), *policies, name="ghosts")
    )
    assert before.configs[WEB_GROUP].access_enforced
    assert "ghost-limit" in documents(before)
    left = compile_all(compiler, shop)
    assert "ghost" not in documents(left)
    assert left == compiled(shop)


@pytest.mark.spec("7.ghosts")
def test_when_the_older_of_two_goes_the_younger_holds() -> None:
    """What stood in its way is gone."""
    compiler = Compiler()
    older, younger = limit("older", ("Pod", "web"), day=1), limit("younger", ("Pod", "web"), day=2)
    assert not outcome(compile_all(compiler, namespace(*SHOP, older, younger)), younger).accepted
    left = compile_all(compiler, namespace(*SHOP, younger))
    assert outcome(left, younger).accepted
    assert [found.policy for found in left.configs[WEB_GROUP].limits] == ["shop/younger"]


@pytest.mark.spec("7.ghosts")
def test_policies_follow_what_they_refer_to() -> None:
    """A backend or route group that comes later counts from then on, also where its namespace is another's business."""
    compiler = Compiler()
    policy = split("canary", "web", {"late": 1})
    waiting = compile_all(compiler, namespace(*SHOP, policy))
    assert said(waiting) == [("canary", "SplitBackendMissing")]
    late = backed("late", "10.0.0.3", 3)
    come = compile_all(compiler, namespace(*SHOP, *late, policy))
    assert said(come) == []
    assert come == compiled(namespace(*SHOP, *late, policy))


@pytest.mark.spec("7.headless", "6.by-hand")
def test_bare_addresses_behind_a_headless_backend_follow_the_pods_that_have_them() -> None:
    """Also where the pod is in a namespace out of scope, and nothing else has changed."""
    compiler = Compiler()
    http = ServicePortSpec(80, 8080, "http")
    shop = namespace(
        CALLER,
        *WEB,
        service("bare", "", http),
        endpoint_slice("bare", "http", 8080, SliceEndpoint(("10.1.0.66",))),
        split("canary", "web", {"bare": 1}),
        annotations={"config.nsm.nginx.com/egress-scope": "shop"},
    )
    pale = pod("pale", "10.1.0.66", group="f" * 16, namespace="other")
    identities = []
    for there in ((), (pale,), ()):
        found = compile_all(compiler, shop, namespace(*there, name="other")).configs[GROUP]
        identities.append(port_of(found, "bare").endpoints[0].identity)
    assert identities == ["", "spiffe://example.org/ns/other/sa/pale-account", ""]


@pytest.mark.spec("7.faulty")
def test_a_faulty_policy_counts_as_absent_and_is_told() -> None:
    """It was stored before anybody judged it; everything else is as without it."""
    faulty = FaultyPolicy("TrafficSplit", "shop", "broken", 3, "spec.backends: got no backends")
    compilation = compiled(namespace(*SHOP, *POLICIES, faulty))
    assert compilation.configs == compiled(namespace(*SHOP, *POLICIES)).configs
    assert said(compilation) == [("broken", "InvalidPolicy")]
    assert "spec.backends" in compilation.findings[0].message
    found = compilation.policies[PolicyKey("TrafficSplit", "shop", "broken")]
    assert (found.accepted, found.reason, found.groups, found.generation) == (False, "InvalidPolicy", frozenset(), 3)


@pytest.mark.spec("7.conditions")
def test_which_sidecars_carry_a_policy() -> None:
    """Callers those of splits and circuits, destinations those of targets and limits, route groups those of their users."""
    far = pod("far", "10.1.0.77", group="9" * 16, namespace="far")
    away = namespace(far, name="far", annotations={"config.nsm.nginx.com/egress-scope": "far"})
    compilation = compiled(namespace(*SHOP, *POLICIES), away)
    callers = frozenset({GROUP, WEB_GROUP, f"{2:016x}"})
    assert {policy.name: outcome(compilation, policy).groups for policy in POLICIES} == {
        "ghost-split": callers,
        "ghost-breaker": callers,
        "ghost-target": {WEB_GROUP},
        "ghost-limit": {WEB_GROUP},
        "ghost-routes": callers,
    }
    assert all(outcome(compilation, policy).generation == policy.generation for policy in POLICIES)


@pytest.mark.spec("7.conditions")
def test_sidecars_whose_documents_name_a_policy_are_among_those_that_carry_it() -> None:
    """Only the sidecars that a policy concerns are counted, and all of them."""
    compilation = compiled(namespace(*SHOP, *POLICIES))
    for policy in POLICIES:
        named = {
            group
            for group, found in compilation.configs.items()
            if f'"{policy.key}"' in codec.canonical(found).decode()
        }
        assert named <= outcome(compilation, policy).groups


@pytest.mark.spec("7.policy-scope")
def test_a_policy_changes_only_whom_it_concerns() -> None:
    """Other groups keep equal documents, so that nothing is sent to them."""
    plain = compiled(namespace(*SHOP)).configs
    limited = compiled(namespace(*SHOP, POLICIES[4])).configs
    assert {group for group in plain if plain[group] != limited[group]} == {WEB_GROUP}


@pytest.mark.spec("6.groups")
def test_policies_do_not_depend_on_workloads_of_other_groups() -> None:
    """A pod of a source that comes or goes changes the destination's document, and nobody else's services."""
    one = of_workload(pod("one", "10.1.0.50", group="8" * 16), "Deployment", "client")
    two = of_workload(pod("two", "10.1.0.51", group="8" * 16), "Deployment", "client")
    policy = limit("slow", ("Pod", "web"), ("Deployment", "client"))
    before, after = (
        compiled(namespace(*SHOP, *pods, policy)).configs[WEB_GROUP].limits[0].sources[0].pods
        for pods in ((one,), (one, two))
    )
    assert (before, after) == (("shop/one",), ("shop/one", "shop/two"))


@pytest.mark.spec("7.split")
def test_ipv6_alone() -> None:
    """Reliability case 29: a Service with an IPv6 address alone is split like any other."""
    http = ServicePortSpec(80, 8080, "http")
    found = compiled(
        namespace(CALLER, service("web", "fd01::1", http), service("v1", "fd01::2", http), split("s", "web", {"v1": 1}))
    ).configs[GROUP]
    assert [len(port.splits) for port in found.services] == [0, 1]
