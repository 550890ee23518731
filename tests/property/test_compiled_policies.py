"""What policies come to on whole random clusters (contract 7.order, 7.access, 7.conditions, 7.policy-scope)."""

from itertools import pairwise

import pytest
from hypothesis import given, settings

from mesh.api.mesh_config import AccessControlMode
from mesh.compiler.assemble import Compiler
from mesh.model.policy import Limit
from mesh.model.sidecar_config import SidecarConfig
from mesh.model.snapshot import Snapshot
from tests.property import clusters


def configs(snapshot: Snapshot) -> list[SidecarConfig]:
    return list(Compiler().compile(snapshot).configs.values())


@pytest.mark.spec("7.policy-scope")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_everything_that_a_policy_leads_to_is_in_the_same_document(snapshot: Snapshot) -> None:
    """Backends, fallbacks and the headless Services of pods are known wherever they are named."""
    for config in configs(snapshot):
        directed = {}
        for port in config.services:
            directed[f"{port.namespace}/{port.service}", port.port] = port
        for port in config.services:
            for split in port.splits:
                assert split.shares
                assert all((share.service, share.port) in directed for share in split.shares)
            if port.breaker and port.breaker.fallback:
                assert port.breaker.fallback in directed
            # Nothing else makes a Service without an address known.
            assert port.addresses or f"{port.namespace}/{port.service}" in _named(config)
        for pod in config.pods:
            for _, service, number in pod.headless:
                assert directed[service, number].splits or directed[service, number].breaker


def _named(config: SidecarConfig) -> set[str]:
    """The Services that splits and circuits are of, or lead to."""
    named = {f"{port.namespace}/{port.service}" for port in config.services if port.splits or port.breaker}
    named |= {share.service for port in config.services for split in port.splits for share in split.shares}
    breakers = [port.breaker for port in config.services if port.breaker]
    return named | {breaker.fallback[0] for breaker in breakers if breaker.fallback}


@pytest.mark.spec("7.split", "7.order")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_splits_lead_forward_and_the_last_one_alone_is_for_all(snapshot: Snapshot) -> None:
    """No way through splits comes back to where it began, whatever was written."""
    for config in configs(snapshot):
        ways: dict[str, set[str]] = {}
        for port in config.services:
            root = f"{port.namespace}/{port.service}"
            for split in port.splits:
                ways.setdefault(root, set()).update(share.service for share in split.shares if share.service != root)
            assert all(split.matches for split in port.splits[:-1])
        for root, backends in ways.items():
            seen: set[str] = set()
            waiting = set(backends)
            while waiting:
                place = waiting.pop()
                assert place != root
                seen.add(place)
                waiting |= ways.get(place, set()) - seen


@pytest.mark.spec("7.order")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_no_caller_is_held_to_two_limits_of_one_pod(snapshot: Snapshot) -> None:
    """For one port of a pod, a caller stands in one limit, and one alone is for everyone else."""
    for config in configs(snapshot):
        for index, older in enumerate(config.limits):
            for younger in config.limits[index + 1 :]:
                assert older.policy == younger.policy or not _meet(older, younger)


def _meet(one: Limit, other: Limit) -> bool:
    same_pods = not one.pods or not other.pods or set(one.pods) & set(other.pods)
    same_ports = not one.ports or not other.ports or set(one.ports) & set(other.ports)
    if not (same_pods and same_ports):
        return False
    callers = [{pod for source in limit.sources for pod in source.pods} for limit in (one, other)]
    return bool(callers[0] & callers[1]) or not (one.sources or other.sources)


@pytest.mark.spec("7.access")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_access_is_enforced_in_deny_and_where_there_are_targets(snapshot: Snapshot) -> None:
    """Nowhere else; targets come oldest first."""
    denies = snapshot.settings.access_control_mode is AccessControlMode.DENY
    ages = {
        policy.key: policy.age
        for view in snapshot.namespaces.values()
        for policy in view.policies
        if policy.kind == "TrafficTarget"
    }
    for config in configs(snapshot):
        assert config.access_enforced == (denies or bool(config.targets))
        assert all(ages[one.policy] < ages[other.policy] for one, other in pairwise(config.targets))
        assert all(not (target.everything and (target.matches or target.tcp)) for target in config.targets)


@pytest.mark.spec("7.conditions")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_every_policy_has_an_outcome_and_whoever_carries_it_is_counted(snapshot: Snapshot) -> None:
    """What is not accepted is told with the same reason, and no sidecar has heard of it."""
    compilation = Compiler().compile(snapshot)
    views = snapshot.namespaces.values()
    rows = {(row.kind, row.namespace, row.name) for view in views for row in view.policies}
    rows |= {(row.kind, row.namespace, row.name) for view in views for row in view.faulty}
    assert rows == set(compilation.policies)
    said = {(row.kind, row.namespace, row.name, row.reason) for row in compilation.findings}

    carried = {
        (kind, policy, group) for group, config in compilation.configs.items() for kind, policy in _policies(config)
    }
    assert compilation.configs.keys() >= {
        group for outcome in compilation.policies.values() for group in outcome.groups
    }
    for key, outcome in compilation.policies.items():
        groups = {
            group for kind, policy, group in carried if (kind, policy) == (key.kind, f"{key.namespace}/{key.name}")
        }
        assert groups <= outcome.groups
        if not outcome.accepted:
            assert (*key, outcome.reason) in said
            assert not groups


def _policies(config: SidecarConfig) -> set[tuple[str, str]]:
    found = {("TrafficSplit", split.policy) for port in config.services for split in port.splits}
    found |= {("CircuitBreaker", port.breaker.policy) for port in config.services if port.breaker}
    found |= {("TrafficTarget", target.policy) for target in config.targets}
    return found | {("RateLimit", limit.policy) for limit in config.limits}
