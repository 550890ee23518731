"""Objects of the bus: NATS with the cert reloader beside it, which brings the first certificate and each new one."""

from dataclasses import dataclass

from components import manifest, nats_config
from components.manifest import Manifest
from mesh.api import names

_PART = names.NATS_SERVER
_GRACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class NatsSpec:
    """The bus of a mesh."""

    config: nats_config.NatsConfig
    nats_image: str
    reloader_image: str
    pull_policy: str
    pull_secrets: tuple[str, ...]


def config_map(spec: NatsSpec) -> Manifest:
    """Configuration of the server."""
    data = {"nats.conf": nats_config.nats_conf(spec.config)}
    return manifest.config_map("nats-config", spec.config.namespace, _PART, data)


def service_account(spec: NatsSpec) -> Manifest:
    """It has no rights in Kubernetes; its name is part of the server's identity."""
    return manifest.service_account(names.NATS_SERVICE_ACCOUNT, spec.config.namespace, _PART, spec.pull_secrets)


def service(namespace: str) -> Manifest:
    """Headless: clients reconnect to the pod that is there."""
    ports = [
        {"name": "client", "port": names.PORT_NATS, "targetPort": "client", "protocol": "TCP"},
        {"name": "monitor", "port": names.PORT_NATS_MONITOR, "targetPort": "monitor", "protocol": "TCP"},
    ]
    return manifest.service(names.NATS_SERVER, namespace, _PART, ports, headless=True)


def workload(spec: NatsSpec) -> Manifest:
    """The Deployment. Two servers at once would split the clients, so the old one goes first."""
    labels = manifest.labels(_PART)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": manifest.metadata(names.NATS_SERVER, spec.config.namespace, part=_PART),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels | {names.LABEL_SPIFFE_ID: "true"}}, "spec": _pod(spec)},
        },
    }


def _pod(spec: NatsSpec) -> Manifest:
    return {
        "serviceAccountName": names.NATS_SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        # The reloader signals the server; both run as one user, so no capability is needed.
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": manifest.pod_security(names.MESH_UID),
        "initContainers": [_reloader(spec, names.CERT_RELOADER_INIT, ["--once"])],
        "containers": [_server(spec), _reloader(spec, names.CERT_RELOADER, [])],
        "volumes": [
            manifest.config_volume("config", config_map(spec)),
            manifest.memory_volume("tls"),
            manifest.memory_volume("run"),
            manifest.memory_volume("data"),
            manifest.memory_volume("tmp"),
            manifest.socket_volume(),
        ],
    }


def _server(spec: NatsSpec) -> Manifest:
    return {
        "name": names.NATS_SERVER,
        "image": spec.nats_image,
        "imagePullPolicy": spec.pull_policy,
        "args": ["--config", "/etc/nats/nats.conf"],
        "ports": [
            {"name": "client", "containerPort": names.PORT_NATS, "protocol": "TCP"},
            {"name": "monitor", "containerPort": names.PORT_NATS_MONITOR, "protocol": "TCP"},
        ],
        "startupProbe": manifest.http_probe("/healthz", "monitor", period=1, failures=60),
        "livenessProbe": manifest.http_probe("/healthz?js-server-only=true", "monitor", period=10),
        "readinessProbe": manifest.http_probe("/healthz", "monitor", period=2),
        "resources": manifest.requests("20m", "32Mi"),
        "securityContext": manifest.container_security(),
        "volumeMounts": [
            manifest.mount("config", "/etc/nats", read_only=True),
            manifest.mount("tls", nats_config.TLS_DIRECTORY, read_only=True),
            manifest.mount("run", nats_config.PID_DIRECTORY),
            manifest.mount("data", nats_config.DATA_DIRECTORY),
        ],
    }


def _reloader(spec: NatsSpec, name: str, args: list[str]) -> Manifest:
    found: Manifest = {
        "name": name,
        "image": spec.reloader_image,
        "imagePullPolicy": spec.pull_policy,
        "env": [
            {"name": "MESH_TLS_DIR", "value": nats_config.TLS_DIRECTORY},
            {"name": "MESH_NATS_PID_FILE", "value": nats_config.PID_FILE},
        ],
        "resources": manifest.requests("10m", "32Mi"),
        "securityContext": manifest.container_security(),
        "volumeMounts": [
            manifest.socket_mount(),
            manifest.mount("tls", nats_config.TLS_DIRECTORY),
            manifest.mount("run", nats_config.PID_DIRECTORY, read_only=True),
            manifest.mount("tmp", manifest.TEMPORARY),
        ],
    }
    return found | ({"args": args} if args else {})
