"""CoreDNS as the cluster's DNS server (identity and Service names are looked up through it), and a check that it answers."""

import secrets
import socket
import struct
from typing import Any

from embedded.cluster import addresses

NAMESPACE = "kube-system"
NAME = "coredns"
PORT = 53
_COREFILE = """.:53 {
    errors
    health :8080
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    prometheus :9153
    cache 5
    loop
    reload
}
"""
_LABELS = {"k8s-app": "kube-dns"}


def objects(plan: addresses.Plan, image: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """API path and content of each object. No ``forward``: the cluster has no way to other name servers."""
    namespaced = {"name": NAME, "namespace": NAMESPACE, "labels": _LABELS}
    rbac = "rbac.authorization.k8s.io/v1"
    role_binding = {
        "apiVersion": rbac,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"system:{NAME}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"system:{NAME}"},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
    role = {
        "apiVersion": rbac,
        "kind": "ClusterRole",
        "metadata": {"name": f"system:{NAME}"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": namespaced}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": namespaced, "data": {"Corefile": _COREFILE}}
    core = f"/api/v1/namespaces/{NAMESPACE}"
    return (
        (f"{core}/serviceaccounts/{NAME}", account),
        (f"/apis/{rbac}/clusterroles/system:{NAME}", role),
        (f"/apis/{rbac}/clusterrolebindings/system:{NAME}", role_binding),
        (f"{core}/configmaps/{NAME}", config),
        (f"{core}/services/kube-dns", _service(plan)),
        (f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}", _deployment(image)),
    )


def _service(plan: addresses.Plan) -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": PORT, "targetPort": PORT, "protocol": "UDP"},
        {"name": "dns-tcp", "port": PORT, "targetPort": PORT, "protocol": "TCP"},
        {"name": "metrics", "port": 9153, "targetPort": 9153, "protocol": "TCP"},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {"selector": _LABELS, "clusterIP": str(plan.slot.dns_address), "ports": ports},
    }


def _deployment(image: str) -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": PORT, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": PORT, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "170Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 30},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 5,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": pod},
        },
    }


def lookup(server: str, name: str, timeout_seconds: float = 1.0) -> list[str]:
    """IPv4 addresses that the DNS *server* gives for *name* (RFC 1035); empty when it gives none or does not answer."""
    identifier = secrets.randbelow(1 << 16)
    question = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split(".")) + b"\0"
    query = struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 0) + question + struct.pack("!2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_seconds)
        try:
            client.connect((server, PORT))
            client.send(query)
            answer = client.recv(4096)
        except OSError:
            return []
    return _addresses(answer, identifier, len(query))


def _addresses(answer: bytes, identifier: int, offset: int) -> list[str]:
    header = struct.Struct("!6H")
    if len(answer) < offset or header.unpack_from(answer)[0] != identifier:
        return []
    found: list[str] = []
    for _ in range(header.unpack_from(answer)[3]):
        # A name ends with a zero label or with a pointer of two bytes (RFC 1035, section 4.1.4).
        while answer[offset] and answer[offset] < 0xC0:
            offset += answer[offset] + 1
        offset += 2 if answer[offset] else 1
        kind, _, _, length = struct.unpack_from("!2HIH", answer, offset)
        offset += 10
        if kind == 1:
            found.append(socket.inet_ntoa(answer[offset : offset + length]))
        offset += length
    return found
