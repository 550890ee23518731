"""The compiler on whole random clusters (contract 3.modes, 6.scope)."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.api.mtls import MtlsMode
from mesh.compiler.assemble import Compiler
from mesh.model import codec
from mesh.model.codec import Revision
from mesh.model.snapshot import NamespaceView, Snapshot
from tests.property import clusters


@settings(max_examples=60)
@given(clusters.snapshots(), clusters.snapshots(), st.data())
def test_the_past_does_not_count(first: Snapshot, second: Snapshot, data: st.DataObject) -> None:
    """A compiler that has seen another cluster gives what a fresh one gives, also when namespaces stayed as they were."""
    kept = data.draw(st.sets(st.sampled_from(clusters.NAMESPACES)))
    mixed = dict(second.namespaces) | {name: view for name, view in first.namespaces.items() if name in kept}
    after = Snapshot(second.settings, mixed)
    compiler = Compiler()
    compiler.compile(first)
    assert compiler.compile(after) == Compiler().compile(after)


@settings(max_examples=60)
@given(clusters.snapshots(), st.randoms(use_true_random=False))
def test_order_does_not_count(snapshot: Snapshot, order: random.Random) -> None:
    """However pods, Services, slices and namespaces are ordered, the documents are the same bytes."""

    def shuffled(view: NamespaceView) -> NamespaceView:
        return NamespaceView(
            view.name,
            view.labels,
            view.annotations,
            tuple(order.sample(view.pods, len(view.pods))),
            tuple(order.sample(view.services, len(view.services))),
            tuple(order.sample(view.slices, len(view.slices))),
            tuple(order.sample(view.policies, len(view.policies))),
            view.faulty,
        )

    names = list(snapshot.namespaces)
    order.shuffle(names)
    namespaces = {name: shuffled(snapshot.namespaces[name]) for name in names}
    other = replace(snapshot, namespaces=namespaces)
    left, right = Compiler().compile(snapshot), Compiler().compile(other)
    assert left.findings == right.findings
    assert left.policies == right.policies
    assert {group: codec.canonical(config) for group, config in left.configs.items()} == {
        group: codec.canonical(config) for group, config in right.configs.items()
    }


@pytest.mark.spec("3.modes")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_strict_never_yields_a_plaintext_endpoint(snapshot: Snapshot) -> None:
    """Whoever is strict knows no endpoint that has nothing to prove; a strict mesh knows no weaker group.

    On the way to transparent proxies nobody is strict, or callers that are transparent already would be refused.
    """
    settings_of = snapshot.settings
    configs = Compiler().compile(snapshot).configs.values()
    for config in configs:
        if config.mtls_mode is MtlsMode.STRICT:
            assert all(endpoint.identity for service in config.services for endpoint in service.endpoints)
        if settings_of.transparent or settings_of.opening:
            assert config.mtls_mode is not MtlsMode.STRICT
        elif settings_of.mtls_mode is MtlsMode.STRICT:
            assert config.mtls_mode is MtlsMode.STRICT


@pytest.mark.spec("3.identity")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_identities_are_those_of_the_pods(snapshot: Snapshot) -> None:
    """An endpoint that names a pod demands that pod's own identity, or none where it has none to prove."""
    pods = {pod.key: pod for view in snapshot.namespaces.values() for pod in view.pods}
    for config in Compiler().compile(snapshot).configs.values():
        for endpoint in (endpoint for service in config.services for endpoint in service.endpoints if endpoint.pod):
            pod = pods[endpoint.pod]
            expected = f"spiffe://{config.trust_domain}/ns/{pod.namespace}/sa/{pod.service_account}"
            assert endpoint.identity in {"", expected}
            assert not (endpoint.identity and not pod.group)


@pytest.mark.spec("6.by-hand")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_no_bare_address_of_an_injected_pod_is_spoken_to_in_plaintext(snapshot: Snapshot) -> None:
    """Whatever a slice says: an endpoint that is no known pod has the identity of the injected pod at its address."""
    for config in Compiler().compile(snapshot).configs.values():
        injected = {pod.address: pod.identity for pod in config.pods}
        for endpoint in (endpoint for service in config.services for endpoint in service.endpoints if not endpoint.pod):
            assert endpoint.identity == injected.get(endpoint.address, endpoint.identity)


@pytest.mark.spec("6.dual-stack")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_callers_of_one_address_family_are_led_to_addresses_of_that_family(snapshot: Snapshot) -> None:
    """No Service port mixes them."""
    for config in Compiler().compile(snapshot).configs.values():
        for service in config.services:
            families = {":" in address for address in service.addresses}
            families |= {":" in endpoint.address for endpoint in service.endpoints}
            # A headless Service has no address, and is called by those of its pods.
            assert len(families) == 1 or not service.addresses


@pytest.mark.spec("4.format")
@settings(max_examples=60)
@given(clusters.snapshots())
def test_documents_are_what_a_sidecar_can_read(snapshot: Snapshot) -> None:
    """Each configuration survives the bus, and no place is named twice, which NGINX would refuse."""
    for config in Compiler().compile(snapshot).configs.values():
        messages = codec.encode(config, Revision(1, 1))
        assert codec.decode(messages[-1].headers, messages[-1].payload).config == config
        addresses = [pod.address for pod in config.pods]
        assert len(addresses) == len(set(addresses))
        for service in config.services:
            places = [(endpoint.address, endpoint.port) for endpoint in service.endpoints]
            assert places == sorted(set(places))
        incoming = [row.port for row in config.incoming]
        assert incoming == sorted(set(incoming))
