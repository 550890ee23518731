"""The index: however events arrive, the snapshot is what there is (design 8; contract 2.recovery)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.api.kinds import POLICY_KINDS
from mesh.api.policy import Policy
from mesh.compiler.assemble import Compiler
from mesh.controller.index import Index
from mesh.kube.objects import Meta, NamespaceObject
from mesh.kube.watch import Changed, Event, Key, Listed
from mesh.model.snapshot import EndpointSlice, FaultyPolicy, MeshSettings, NamespaceView, Pod, Service, Snapshot
from tests.property import clusters


class Node(NamedTuple):
    name: str
    zone: str


Object = Pod | Service | EndpointSlice | Policy[Any] | FaultyPolicy | NamespaceView | Node


def namespace_object(view: NamespaceView) -> NamespaceObject:
    meta = Meta(view.name, labels=dict(view.labels), annotations=dict(view.annotations))
    return NamespaceObject(meta)


def objects_of(snapshot: Snapshot) -> list[Object]:
    rows: list[Object] = []
    for view in snapshot.namespaces.values():
        rows += [view, *view.pods, *view.services, *view.slices, *view.policies, *view.faulty]
    return rows + [Node(name, zone) for name, zone in snapshot.zones.items()]


def feed(index: Index, item: Object, *, gone: bool = False) -> None:
    """One event of the watch that the object belongs to."""
    if isinstance(item, NamespaceView):
        index.take_namespaces(Changed(Key("", item.name), None if gone else namespace_object(item)))
    elif isinstance(item, Node):
        index.zones.take(Changed(Key("", item.name), None if gone else item.zone))
    elif isinstance(item, Pod):
        index.pods.take(Changed(Key(item.namespace, item.name), None if gone else item))
    elif isinstance(item, Service):
        index.services.take(Changed(Key(item.namespace, item.name), None if gone else item))
    elif isinstance(item, Policy | FaultyPolicy):
        index.policies[item.kind].take(Changed(Key(item.namespace, item.name), None if gone else item))
    else:
        index.slices.take(Changed(Key(item.namespace, item.name), None if gone else item))


def list_all(index: Index, items: Sequence[Object]) -> None:
    """The lists with which every watch begins, and begins again."""
    views = [item for item in items if isinstance(item, NamespaceView)]
    index.take_namespaces(Listed({Key("", view.name): namespace_object(view) for view in views}))
    index.zones.take(Listed({Key("", item.name): item.zone for item in items if isinstance(item, Node)}))
    index.pods.take(Listed({Key(item.namespace, item.name): item for item in items if isinstance(item, Pod)}))
    index.services.take(Listed({Key(item.namespace, item.name): item for item in items if isinstance(item, Service)}))
    index.slices.take(
        Listed({Key(item.namespace, item.name): item for item in items if isinstance(item, EndpointSlice)})
    )
    policies = [item for item in items if isinstance(item, Policy | FaultyPolicy)]
    for kind, table in index.policies.items():
        table.take(Listed({Key(item.namespace, item.name): item for item in policies if item.kind == kind}))


def _place(item: Object) -> tuple[object, str, str]:
    """What an object is one of, and which one; a faulty policy is in the place of a sound one."""
    table = item.kind if isinstance(item, Policy | FaultyPolicy) else type(item)
    return table, getattr(item, "namespace", ""), item.name


def documents(snapshot: Snapshot) -> object:
    return Compiler().compile(snapshot)


@pytest.mark.spec("2.recovery")
@settings(max_examples=60)
@given(clusters.snapshots(), clusters.snapshots(), st.data())
def test_the_order_of_events_does_not_count(cluster: Snapshot, other: Snapshot, data: st.DataObject) -> None:
    """Objects that came in any order, some of them twice, others that came and went, a list in between: all the same."""
    wanted = objects_of(cluster)
    index = Index(lambda: None)
    list_all(index, data.draw(st.permutations(objects_of(other))))
    index.snapshot(cluster.settings)
    for item in data.draw(st.permutations(wanted)):
        feed(index, item)
        if data.draw(st.booleans()):
            index.snapshot(cluster.settings)
    kept = {_place(item) for item in wanted}
    for item in data.draw(st.permutations(objects_of(other))):
        if _place(item) not in kept:
            feed(index, item, gone=True)
    assert documents(index.snapshot(cluster.settings)) == documents(cluster)


@pytest.mark.spec("2.recovery")
@settings(max_examples=60)
@given(clusters.snapshots(), clusters.snapshots())
def test_a_new_list_takes_away_what_is_gone(before: Snapshot, after: Snapshot) -> None:
    """A relist after a lost watch leaves no ghost."""
    index = Index(lambda: None)
    list_all(index, objects_of(before))
    index.snapshot(after.settings)
    list_all(index, objects_of(after))
    assert documents(index.snapshot(after.settings)) == documents(after)


@settings(max_examples=60)
@given(clusters.snapshots())
def test_the_same_event_again_is_no_change(cluster: Snapshot) -> None:
    """Heartbeats do not wake the compiler, and untouched namespaces are the same objects."""
    changes: list[None] = []
    index = Index(lambda: changes.append(None))
    list_all(index, objects_of(cluster))
    first = index.snapshot(MeshSettings())
    changes.clear()
    for item in objects_of(cluster):
        feed(index, item)
    assert not changes
    second = index.snapshot(MeshSettings())
    assert all(second.namespaces[name] is view for name, view in first.namespaces.items())


def test_a_snapshot_is_complete_only_after_every_list() -> None:
    """What is missing is named; nothing may be compiled before."""
    index = Index(lambda: None)
    policies = ", ".join(kind.kind for kind in POLICY_KINDS)
    assert index.missing() == f"namespaces, nodes, pods, services, endpointslices, {policies}"
    empty: Event[Pod] = Listed({})
    index.pods.take(empty)
    assert index.missing() == f"namespaces, nodes, services, endpointslices, {policies}"
    list_all(index, [])
    assert index.missing() == ""
