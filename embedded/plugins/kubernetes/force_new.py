"""Which changes replace an object instead of updating it: the table of the official provider 4.32."""

from typing import Any

from embedded.plugins.kubernetes.diff import Change, Path, parse_path
from embedded.plugins.kubernetes.normalise import group_of
from embedded.plugins.kubernetes.properties import Object


def _paths(*texts: str, under: str = "") -> tuple[Path, ...]:
    return tuple(parse_path(f"{under}.{text}" if under else text) for text in texts)


_IDENTITY = _paths("metadata.name", "metadata.namespace")
_SELECTOR = _paths("spec.selector")
_CONTAINER = [
    "args",
    "command",
    "env",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
]
_POD = [
    "affinity",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostname",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "volumes",
]
_VOLUME_SOURCES = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
]
_BINDING = {version: _paths("roleRef") for version in ("v1", "v1beta1", "v1alpha1")}
_STATEFUL_SET = _paths(
    "podManagementPolicy", "revisionHistoryLimit", "selector", "serviceName", "volumeClaimTemplates", under="spec"
)
_JOB = _paths("completions", "parallelism", "selector", "template", under="spec")

# group -> kind -> version -> paths
_TABLE: dict[str, dict[str, dict[str, tuple[Path, ...]]]] = {
    "": {
        "PersistentVolume": {"v1": _paths(*_VOLUME_SOURCES, under="spec")},
        "PersistentVolumeClaim": {
            "v1": _paths("accessModes", "selector", "storageClassName", "volumeName", under="spec")
        },
        "Pod": {
            "v1": (
                *_paths(*_POD, under="spec"),
                *_paths(*_CONTAINER, under="spec.containers[*]"),
                *_paths(*_CONTAINER, under="spec.initContainers[*]"),
            )
        },
        "ResourceQuota": {"v1": _paths("spec.scopes")},
        "Secret": {"v1": _paths("type")},
        "Service": {"v1": _paths("spec.clusterIP")},
    },
    "apps": {
        "DaemonSet": {"v1": _SELECTOR, "v1beta2": _SELECTOR},
        "Deployment": {"v1": _SELECTOR, "v1beta2": _SELECTOR},
        "StatefulSet": dict.fromkeys(("v1", "v1beta1", "v1beta2"), _STATEFUL_SET),
    },
    "batch": {"Job": dict.fromkeys(("v1", "v1beta1", "v2alpha1"), _JOB)},
    "policy": {"PodDisruptionBudget": {"v1beta1": _paths("spec")}},
    "rbac.authorization.k8s.io": {"ClusterRoleBinding": _BINDING, "RoleBinding": _BINDING},
    "storage.k8s.io": {"StorageClass": {"v1": _paths("parameters", "provisioner")}},
}


def frozen_paths(inputs: Object, *, config_map_mutable: bool, secret_mutable: bool) -> tuple[Path, ...]:
    """The places of this object whose change replaces it."""
    api_version, kind = str(inputs.get("apiVersion", "")), str(inputs.get("kind", ""))
    version = api_version.rpartition("/")[2]
    fixed = inputs.get("immutable") is True
    if (api_version, kind) == ("v1", "Secret") and (fixed or not secret_mutable):
        return (*_IDENTITY, *_paths("type", "stringData", "data"))
    if (api_version, kind) == ("v1", "ConfigMap") and (fixed or not config_map_mutable):
        return (*_IDENTITY, *_paths("binaryData", "data"))
    return (*_IDENTITY, *_TABLE.get(group_of(api_version), {}).get(kind, {}).get(version, ()))


def replaces(change: Change, paths: tuple[Path, ...]) -> bool:
    """Whether this change touches a frozen place: it lies at or below one, or it adds or sets something around one."""
    if change.path == ("metadata",) and change.kind == "delete":
        return True
    return any(_touches(change.path, change.value, path) for path in paths)


def _touches(changed: Path, value: Any, frozen: Path) -> bool:
    for step, wanted in zip(changed, frozen, strict=False):
        if wanted not in (step, "*"):
            return False
    return _holds(value, frozen[len(changed) :])


def _holds(value: Any, path: Path) -> bool:
    if not path:
        return True
    head, rest = path[0], path[1:]
    if head == "*":
        return isinstance(value, list) and any(_holds(item, rest) for item in value)
    return isinstance(value, dict) and head in value and _holds(value[head], rest)
