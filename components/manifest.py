"""The parts that manifests of this project share: labels, security contexts, volumes, probes. Plain Kubernetes values.

Everything is written in the form in which the API server keeps it (quantities, durations, defaults that matter), so
that a second deployment shows no change.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from mesh.api import names

Manifest = dict[str, Any]

SOCKET_VOLUME = "spire-agent-socket"
TEMPORARY = "/tmp"  # noqa: S108  # a volume of each pod, nobody else's


def labels(name: str) -> dict[str, str]:
    """Labels of the objects of one part, which select its pods, too."""
    return {names.LABEL_NAME: name, names.LABEL_PART_OF: names.PART_OF}


def metadata(name: str, namespace: str = "", *, part: str = "", **more: Mapping[str, str]) -> Manifest:
    """Metadata of an object; *more* may hold ``labels`` and ``annotations``."""
    base = labels(part) if part else {names.LABEL_PART_OF: names.PART_OF}
    found: Manifest = {"name": name, "labels": base | dict(more.get("labels", {}))}
    if namespace:
        found["namespace"] = namespace
    if more.get("annotations"):
        found["annotations"] = dict(more["annotations"])
    return found


def config_map(name: str, namespace: str, part: str, data: Mapping[str, str]) -> Manifest:
    """A ConfigMap whose name ends in a digest of its content, so that new content rolls the pods that mount it."""
    content = "".join(f"{key}\0{value}\0" for key, value in sorted(data.items()))
    digest = hashlib.sha256(content.encode()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(f"{name}-{digest}", namespace, part=part),
        "data": dict(data),
    }


def service(name: str, namespace: str, part: str, ports: list[Manifest], *, headless: bool = False) -> Manifest:
    """A Service over the pods of a part; headless ones also name pods that are not ready yet."""
    spec: Manifest = {"selector": labels(part), "ports": ports}
    if headless:
        spec |= {"clusterIP": "None"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(name, namespace, part=part), "spec": spec}


def service_account(name: str, namespace: str, part: str, pull_secrets: tuple[str, ...]) -> Manifest:
    """A service account; its pods pull with the registry's credentials where there are any."""
    found: Manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name, namespace, part=part)}
    if pull_secrets:
        found["imagePullSecrets"] = [{"name": secret} for secret in pull_secrets]
    return found


def cluster_role(name: str, part: str, rules: list[Manifest]) -> Manifest:
    """A ClusterRole."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": metadata(name, part=part),
        "rules": rules,
    }


def role(name: str, namespace: str, part: str, rules: list[Manifest]) -> Manifest:
    """A Role."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata(name, namespace, part=part),
        "rules": rules,
    }


def binding(to: Manifest, part: str, service_account_name: str, namespace: str) -> Manifest:
    """The binding of a Role or ClusterRole to a service account of the mesh."""
    name = to["metadata"]["name"]
    where = namespace if to["kind"] == "Role" else ""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": f"{to['kind']}Binding",
        "metadata": metadata(name, where, part=part),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": to["kind"], "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": service_account_name, "namespace": namespace}],
    }


def rule(group: str, resources: list[str], verbs: list[str], resource_names: list[str] | None = None) -> Manifest:
    """One rule of a role."""
    found: Manifest = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    if resource_names:
        found["resourceNames"] = resource_names
    return found


def pod_security(uid: int) -> Manifest:
    """Security context of a pod whose processes run as *uid*, and whose volumes belong to it."""
    return {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": uid,
        "fsGroup": uid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """Security context of a container that needs nothing: no capability, no new privileges, read-only root."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def requests(cpu: str, memory: str, memory_limit: str = "") -> Manifest:
    """Resources of a container; quantities in canonical form, such as 50m and 64Mi."""
    found: Manifest = {"requests": {"cpu": cpu, "memory": memory}}
    if memory_limit:
        found["limits"] = {"memory": memory_limit}
    return found


def http_probe(path: str, port: int | str, *, period: int, failures: int = 3, host: str = "") -> Manifest:
    """An HTTP GET probe; *period* in seconds."""
    get: Manifest = {"path": path, "port": port, "scheme": "HTTP"}
    if host:
        get["host"] = host
    return {"httpGet": get, "periodSeconds": period, "timeoutSeconds": 2, "failureThreshold": failures}


def mount(name: str, path: str, *, read_only: bool = False) -> Manifest:
    """A volume mount."""
    return {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})


def memory_volume(name: str) -> Manifest:
    """An empty directory in memory: nothing of it reaches a disk."""
    return {"name": name, "emptyDir": {"medium": "Memory"}}


def config_volume(name: str, config: Manifest) -> Manifest:
    """The volume of a ConfigMap."""
    return {"name": name, "configMap": {"name": config["metadata"]["name"]}}


def socket_volume() -> Manifest:
    """The directory of the SPIRE agent's socket; a directory, because a new agent makes a new socket file."""
    return {"name": SOCKET_VOLUME, "hostPath": {"path": names.SPIRE_SOCKET_DIRECTORY, "type": "DirectoryOrCreate"}}


def socket_mount() -> Manifest:
    """Mount of the SPIRE agent's socket directory."""
    return mount(SOCKET_VOLUME, names.SPIRE_SOCKET_DIRECTORY, read_only=True)


def field_env(name: str, path: str) -> Manifest:
    """An environment variable with a field of the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
