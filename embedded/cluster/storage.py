"""Volumes for claims: which to make and which to remove, as functions of what the API server holds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PROVISIONER = "nginx-mesh.embedded/local"
CLASS = "standard"
USER = "nginx-mesh-provisioner"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_WANTED_FROM = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_MODES = {"ReadWriteOnce", "ReadWriteOncePod", "ReadOnlyMany"}
_VOLUME_NAME = re.compile(r"pvc-[0-9a-f-]{36}")
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Make:
    """Make the directory *name* on *node* and create *volume*."""

    name: str
    node: str
    volume: Object


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the directory *name* on *node*, then the PersistentVolume of that name."""

    name: str
    node: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the owner of *claim* why there will be no volume."""

    claim: Object
    reason: str


def objects() -> tuple[tuple[str, Object], ...]:
    """API path and content of the StorageClass and of the provisioner's rights."""
    rbac = "rbac.authorization.k8s.io"
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:persistent-volume-provisioner"},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": USER}],
    }
    return (
        (f"/apis/storage.k8s.io/v1/storageclasses/{CLASS}", storage_class),
        (f"/apis/{rbac}/v1/clusterrolebindings/{USER}", binding),
    )


def plan(
    claims: Iterable[Object], volumes: Iterable[Object], classes: Iterable[Object], nodes: tuple[str, ...]
) -> list[Make | Remove | Refuse]:
    """What is to be done, given every object of the cluster; *nodes* are the nodes that can hold volumes."""
    held = {volume["metadata"]["name"]: volume for volume in volumes}
    by_name = {storage_class["metadata"]["name"]: storage_class for storage_class in classes}
    steps: list[Make | Remove | Refuse] = []
    for claim in claims:
        if _is_ours(claim) and _volume_name(claim) not in held:
            step = _step(claim, by_name.get(claim["spec"].get("storageClassName", "")), nodes)
            steps += [step] if step else []
    steps += [Remove(name, node_of(volume)) for name, volume in held.items() if _is_released(volume)]
    return steps


def node_of(volume: Object) -> str:
    """Node that holds the data of a volume that we made."""
    terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    return str(terms[0]["matchExpressions"][0]["values"][0])


def _is_ours(claim: Object) -> bool:
    annotations = claim["metadata"].get("annotations", {})
    wanted = next((annotations[key] for key in _WANTED_FROM if key in annotations), "")
    ending = "deletionTimestamp" in claim["metadata"]
    return wanted == PROVISIONER and not claim["spec"].get("volumeName") and not ending


def _is_released(volume: Object) -> bool:
    made_here = volume["metadata"].get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER
    released = volume.get("status", {}).get("phase") == "Released"
    to_delete = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    known_name = _VOLUME_NAME.fullmatch(volume["metadata"]["name"]) is not None
    return made_here and released and to_delete and known_name


def _volume_name(claim: Object) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def _step(claim: Object, storage_class: Object | None, nodes: tuple[str, ...]) -> Make | Refuse | None:
    if storage_class is None:
        return None  # The controller manager reports a class that is not there.
    spec = claim["spec"]
    if spec.get("volumeMode", "Filesystem") != "Filesystem":
        return Refuse(claim, f'volumeMode: got "{spec["volumeMode"]}", takes Filesystem')
    if not set(spec["accessModes"]) <= _MODES:
        return Refuse(claim, f"accessModes: got {', '.join(spec['accessModes'])}, takes {', '.join(sorted(_MODES))}")
    if spec.get("selector"):
        return Refuse(claim, "selector: got one, takes none; volumes are made on demand and have no labels")
    chosen = claim["metadata"].get("annotations", {}).get(_SELECTED_NODE)
    if chosen is None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer":
        return None  # The scheduler has not chosen a node yet.
    node = chosen or nodes[0]
    if node not in nodes:
        return Refuse(claim, f'node: got "{node}", takes {", ".join(nodes)}')
    name = _volume_name(claim)
    return Make(name, node, _volume(name, node, claim, storage_class))


def _volume(name: str, node: str, claim: Object, storage_class: Object) -> Object:
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": "Filesystem",
            # Not hostPath: the kubelet applies a pod's fsGroup to local volumes only.
            "local": {"path": f"/var/lib/nginx-mesh-volumes/{name}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }
