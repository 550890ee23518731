"""A healthy cluster with a mesh, as the API would show it: what the checks read, and nothing else."""

import base64
import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mesh.api import kinds, names
from mesh.ctl.cluster import NotFoundError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NAMESPACE = "nginx-mesh"


def root_pem(not_after: datetime = NOW + timedelta(days=30)) -> str:
    """A self-signed root."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(NOW - timedelta(days=1)).not_valid_after(not_after)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


ROOT = root_pem()


class FakeCluster:
    """Answers from a dictionary path -> JSON; a path that is not there is not found. A value may be an exception."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def get(self, path: str) -> Any:
        url = urlsplit(path)
        answer = self.answers.get(url.path, NotFoundError(f"GET {url.path}: 404"))
        if isinstance(answer, Exception):
            raise answer
        wanted = [item.split("=") for item in parse_qs(url.query).get("labelSelector", [""])[0].split(",") if item]
        if not wanted:
            return copy.deepcopy(answer)
        rows = [
            row for row in answer["items"] if all((row["metadata"].get("labels") or {}).get(k) == v for k, v in wanted)
        ]
        return {"items": copy.deepcopy(rows)}

    def create_dry_run(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.answers.get("dry-run " + path)
        if isinstance(answer, Exception):
            raise answer
        return answer if answer is not None else body


def healthy() -> FakeCluster:
    """Everything as it should be: four parts, one namespace with one injected pod."""
    apps = f"/apis/apps/v1/namespaces/{NAMESPACE}"
    return FakeCluster(
        {
            "/version": {"major": "1", "minor": "36"},
            "/api/v1/nodes": {"items": [node("n1")]},
            f"/api/v1/namespaces/{NAMESPACE}": {"metadata": {"name": NAMESPACE}},
            "/api/v1/namespaces": {
                "items": [{"metadata": {"name": "shop", "labels": {names.LABEL_AUTO_INJECT: "enabled"}}}]
            },
            "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices": slices("kube-dns"),
            f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices": slices(names.WEBHOOK_SERVICE),
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": {
                "items": [definition(f"{kind.plural}.{kind.group}") for kind in kinds.ALL_KINDS]
            },
            f"{apps}/statefulsets/{names.SPIRE_SERVER}": workload(names.SPIRE_SERVER),
            f"{apps}/daemonsets/{names.SPIRE_AGENT}": workload(names.SPIRE_AGENT),
            f"{apps}/deployments/{names.NATS_SERVER}": workload(names.NATS_SERVER),
            f"{apps}/deployments/{names.CONTROLLER}": workload(names.CONTROLLER),
            config_map(names.SPIRE_BUNDLE_CONFIGMAP): {"data": {names.SPIRE_BUNDLE_KEY: ROOT}},
            config_map(names.MESHCONFIG_CONFIGMAP): {"data": {names.MESHCONFIG_CONFIGMAP_KEY: "{}"}},
            f"/apis/{names.GROUP_SPIRE}/v1alpha1/clusterspiffeids": {
                "items": [{"metadata": {"name": "ids", "labels": {names.LABEL_PART_OF: names.PART_OF}}}]
            },
            proxy(names.NATS_SERVER, 8222, "healthz"): {"status": "ok"},
            f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{names.LEADER_LEASE}": {
                "spec": {"holderIdentity": "c-0", "renewTime": NOW.isoformat(), "leaseDurationSeconds": 15}
            },
            f"/apis/nsm.nginx.com/v1alpha2/namespaces/{NAMESPACE}/meshconfigs/{names.MESH_CONFIG_NAME}": mesh_config(),
            proxy(names.CONTROLLER, 8082, "status"): status(),
            webhook_path("mutatingwebhookconfigurations", names.MUTATING_WEBHOOK): webhook(ROOT),
            webhook_path("validatingwebhookconfigurations", names.VALIDATING_WEBHOOK): webhook(ROOT),
            "dry-run /api/v1/namespaces/default/pods": {"spec": {"initContainers": [{"name": names.SIDECAR}]}},
            "/api/v1/pods": {"items": [injected_pod("web-0")]},
        }
    )


def mesh_config(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nsm.nginx.com/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": names.MESH_CONFIG_NAME, "namespace": NAMESPACE},
        "spec": {"meshConfigClassName": names.mesh_config_class(NAMESPACE), **spec},
    }


def node(name: str, ready: str = "True") -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def slices(service: str, *, ready: bool = True) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": service}
    return {"items": [{"metadata": {"labels": labels}, "endpoints": [{"conditions": {"ready": ready}}]}]}


def definition(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Established", "status": "True"}]}}


def workload(name: str, desired: int = 1, ready: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"replicas": desired, "selector": {"matchLabels": {"app": name}}},
        "status": {"readyReplicas": ready, "desiredNumberScheduled": desired, "numberReady": ready},
    }


def webhook(root: str) -> dict[str, Any]:
    return {"webhooks": [{"name": "w", "clientConfig": {"caBundle": base64.b64encode(root.encode()).decode()}}]}


def webhook_path(resource: str, name: str) -> str:
    return f"/apis/admissionregistration.k8s.io/v1/{resource}/{name}"


def config_map(name: str) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}"


def proxy(service: str, port: int, path: str) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/services/{service}:{port}/proxy/{path}"


def status(**changes: Any) -> dict[str, Any]:
    report = {"pod": "shop/web-0", "state": "synced", "refused": "", "svid_not_after": int(NOW.timestamp()) + 600}
    return {"leader": True, "bus_connected": True, "missing": "", "sidecars": [report | changes]}


def injected_pod(name: str, *, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": {}},
        "spec": {"initContainers": [{"name": names.SIDECAR}], "containers": [{"name": "app"}]},
        "status": {"phase": "Running", "initContainerStatuses": [{"name": names.SIDECAR, "ready": ready}]},
    }
