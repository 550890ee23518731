"""Clusters never share an address, a namespace or a cgroup (contract 10.cluster-slots)."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.cluster import addresses

PLANS = st.builds(
    addresses.Plan,
    st.from_regex(r"\A[a-z][a-z0-9-]{0,18}[a-z0-9]\Z"),
    st.builds(addresses.Slot, st.integers(0, addresses.SLOTS - 1)),
    st.integers(1, addresses.MAX_NODES),
)


def test_slots_cut_the_test_range_without_overlap() -> None:
    networks = [addresses.Slot(number).network for number in range(addresses.SLOTS)]
    assert all(network.subnet_of(addresses.RANGE) for network in networks)
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))
    assert sum(network.num_addresses for network in networks) == addresses.RANGE.num_addresses


@pytest.mark.spec("10.cluster-slots")
@given(PLANS)
def test_ranges_of_a_cluster_lie_in_its_slot_and_do_not_overlap(plan: addresses.Plan) -> None:
    slot = plan.slot
    ranges = [slot.segment, slot.services, *(node.pods for node in plan.nodes)]
    assert all(part.subnet_of(slot.network) for part in ranges)
    assert not any(one.overlaps(other) for one, other in combinations(ranges, 2))
    assert all(node.pods.subnet_of(slot.pods) for node in plan.nodes)
    ends = [slot.host_address, *(node.address for node in plan.nodes)]
    assert len(set(ends)) == len(ends)
    assert all(end in slot.segment for end in ends)
    assert slot.api_service_address in slot.services
    assert slot.dns_address in slot.services


def test_addresses_of_the_first_slot() -> None:
    """Written out, so that a change of the arithmetic is seen."""
    plan = addresses.Plan("dev", addresses.Slot(0), 2)
    assert [str(node.address) for node in plan.nodes] == ["198.18.0.2", "198.18.0.3"]
    assert [str(node.pods) for node in plan.nodes] == ["198.18.16.0/24", "198.18.17.0/24"]
    assert str(plan.slot.services) == "198.18.8.0/21"
    assert str(plan.slot.dns_address) == "198.18.8.10"
    assert plan.api_url == "https://198.18.0.2:6443"
    assert str(addresses.Slot(15).network) == "198.19.224.0/19"


@given(PLANS, PLANS)
def test_a_namespace_belongs_to_one_name_only(one: addresses.Plan, other: addresses.Plan) -> None:
    """`stop` of one cluster finds its own namespaces by pattern and must find no other's."""
    mine = [one.switch_namespace, *(node.namespace for node in one.nodes)]
    assert all(addresses.is_namespace_of(one.name, namespace) for namespace in mine)
    if one.name != other.name:
        assert not any(addresses.is_namespace_of(other.name, namespace) for namespace in mine)


def test_a_name_that_ends_like_a_node_is_not_mistaken() -> None:
    assert not addresses.is_namespace_of("a", addresses.Plan("a-node1", addresses.Slot(0), 1).nodes[0].namespace)
    assert not addresses.is_namespace_of("a", "nm-a-node1-switch")


@pytest.mark.parametrize("name", ["", "Dev", "1a", "a-", "a" * 21, "a/b", "a b", "a.b"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(addresses.ClusterNameError, match="takes 1 to 20"):
        addresses.check_name(name)


@given(PLANS)
def test_link_names_fit_the_kernel(plan: addresses.Plan) -> None:
    assert len(plan.slot.host_link) <= 15
