"""Which volumes are made and removed (contract 10.cluster-volumes)."""

from typing import Any

import pytest

from embedded.cluster import storage

NODES = ("node-1", "node-2")
CLASS = {"metadata": {"name": "standard"}, "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete"}
UID = "0b3f2c9e-1111-2222-3333-444455556666"
NAME = f"pvc-{UID}"


def _claim(node: str | None = "node-1", provisioner: str = storage.PROVISIONER, **spec: Any) -> storage.Object:
    annotations = {"volume.kubernetes.io/storage-provisioner": provisioner}
    if node is not None:
        annotations["volume.kubernetes.io/selected-node"] = node
    return {
        "metadata": {"name": "data", "namespace": "shop", "uid": UID, "annotations": annotations},
        "spec": {
            "storageClassName": "standard",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            **spec,
        },
    }


def _volume(phase: str, policy: str = "Delete") -> storage.Object:
    [made] = storage.plan([_claim()], [], [CLASS], NODES)
    assert isinstance(made, storage.Make)
    made.volume["status"] = {"phase": phase}
    made.volume["spec"]["persistentVolumeReclaimPolicy"] = policy
    return made.volume


def test_a_claim_gets_a_volume_on_the_node_of_its_pod() -> None:
    [step] = storage.plan([_claim("node-2")], [], [CLASS], NODES)
    assert isinstance(step, storage.Make)
    assert (step.name, step.node) == (NAME, "node-2")
    assert storage.node_of(step.volume) == "node-2"
    assert step.volume["spec"]["claimRef"]["uid"] == UID
    assert step.volume["spec"]["capacity"] == {"storage": "1Gi"}


def test_a_claim_without_a_pod_waits() -> None:
    assert storage.plan([_claim(None)], [], [CLASS], NODES) == []


def test_immediate_binding_takes_the_first_node() -> None:
    [step] = storage.plan([_claim(None)], [], [{**CLASS, "volumeBindingMode": "Immediate"}], NODES)
    assert isinstance(step, storage.Make)
    assert step.node == "node-1"


@pytest.mark.parametrize(
    "claim",
    [_claim(provisioner="other.example/driver"), _claim(volumeName="already"), _claim(storageClassName="unknown")],
)
def test_claims_that_are_not_ours_are_left_alone(claim: storage.Object) -> None:
    assert storage.plan([claim], [], [CLASS], NODES) == []


def test_nothing_is_made_twice() -> None:
    assert storage.plan([_claim()], [_volume("Available")], [CLASS], NODES) == []


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (_claim(accessModes=["ReadWriteMany"]), "accessModes"),
        (_claim(volumeMode="Block"), "volumeMode"),
        (_claim(selector={"matchLabels": {"a": "b"}}), "selector"),
        (_claim("node-9"), "node"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(claim: storage.Object, reason: str) -> None:
    [step] = storage.plan([claim], [], [CLASS], NODES)
    assert isinstance(step, storage.Refuse)
    assert step.reason.startswith(reason)


def test_a_released_volume_is_removed() -> None:
    assert storage.plan([], [_volume("Released")], [CLASS], NODES) == [storage.Remove(NAME, "node-1")]


def test_data_is_kept_when_it_is_in_use_wanted_or_not_ours() -> None:
    foreign = _volume("Released")
    foreign["metadata"]["annotations"] = {}
    climbing = _volume("Released")
    climbing["metadata"]["name"] = "../etcd"
    kept = [_volume("Bound"), _volume("Released", "Retain"), foreign, climbing]
    for volume in kept:
        assert storage.plan([], [volume], [CLASS], NODES) == []
