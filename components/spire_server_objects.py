"""Objects of the SPIRE server and its Controller Manager: one pod with both, its services, its rights."""

from dataclasses import dataclass

from components import manifest, spire_config
from components.manifest import Manifest
from mesh.api import names

_PART = names.SPIRE_SERVER
_UID = 1000  # the user of the upstream images
_DATA = "spire-server-data"


@dataclass(frozen=True, slots=True)
class SpireServerSpec:
    """``persistent`` keeps entries and keys on a PersistentVolume of ``storage_size``."""

    config: spire_config.SpireConfig
    server_image: str
    controller_manager_image: str
    pull_policy: str
    pull_secrets: tuple[str, ...]
    persistent: bool
    storage_size: str = "1Gi"


def bundle(namespace: str) -> Manifest:
    """The ConfigMap of the trust bundle: the object is the program's, its data the server's and the controller's."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": manifest.metadata(names.SPIRE_BUNDLE_CONFIGMAP, namespace, part=_PART),
    }


def config_map(spec: SpireServerSpec) -> Manifest:
    """Configuration of both containers."""
    data = {
        "server.conf": spire_config.server_conf(spec.config),
        "controller-manager.json": spire_config.controller_manager_config(spec.config),
    }
    return manifest.config_map(_PART, spec.config.namespace, _PART, data)


def access(spec: SpireServerSpec) -> list[Manifest]:
    """Service account and rights: attest nodes, publish the bundle, turn pods into entries."""
    namespace = spec.config.namespace
    resources = ["clusterspiffeids", "clusterstaticentries", "clusterfederatedtrustdomains"]
    cluster = manifest.cluster_role(
        f"{_PART}.internal.builtin.nsm.nginx",
        _PART,
        [
            manifest.rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
            manifest.rule("", ["namespaces", "nodes", "pods", "endpoints"], ["get", "list", "watch"]),
            manifest.rule(names.GROUP_SPIRE, resources, ["get", "list", "watch"]),
            manifest.rule(names.GROUP_SPIRE, [f"{one}/finalizers" for one in resources], ["update"]),
            manifest.rule(names.GROUP_SPIRE, [f"{one}/status" for one in resources], ["get", "patch", "update"]),
        ],
    )
    local = manifest.role(
        _PART,
        namespace,
        _PART,
        [manifest.rule("", ["configmaps"], ["get", "patch"], [names.SPIRE_BUNDLE_CONFIGMAP])],
    )
    return [
        manifest.service_account(_PART, namespace, _PART, spec.pull_secrets),
        cluster,
        manifest.binding(cluster, _PART, _PART, namespace),
        local,
        manifest.binding(local, _PART, _PART, namespace),
    ]


def services(namespace: str) -> list[Manifest]:
    """The server's service, and the registrar's, which keeps its name and leads to the health port (design 6)."""
    grpc = {"name": "grpc", "port": names.PORT_SPIRE_SERVER, "targetPort": "grpc", "protocol": "TCP"}
    health = {"name": "health", "port": 443, "targetPort": "registrar", "protocol": "TCP"}
    return [
        manifest.service(names.SPIRE_SERVER, namespace, _PART, [grpc]),
        manifest.service(names.WORKLOAD_REGISTRAR, namespace, _PART, [health]),
    ]


def workload(spec: SpireServerSpec) -> Manifest:
    """The StatefulSet, or a Deployment when nothing is kept (contract 2.spire-server)."""
    namespace = spec.config.namespace
    body: Manifest = {
        "replicas": 1,
        "selector": {"matchLabels": manifest.labels(_PART)},
        "template": {"metadata": {"labels": manifest.labels(_PART)}, "spec": _pod(spec)},
    }
    if spec.persistent:
        body |= {"serviceName": names.SPIRE_SERVER, "volumeClaimTemplates": [_claim(spec.storage_size)]}
    else:
        # Two servers with different keys would be two authorities.
        body["strategy"] = {"type": "Recreate"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet" if spec.persistent else "Deployment",
        "metadata": manifest.metadata(names.SPIRE_SERVER, namespace, part=_PART),
        "spec": body,
    }


def _claim(size: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": _DATA, "labels": manifest.labels(_PART)},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Filesystem",
            "resources": {"requests": {"storage": size}},
        },
    }


def _pod(spec: SpireServerSpec) -> Manifest:
    volumes = [
        manifest.config_volume("config", config_map(spec)),
        manifest.memory_volume("socket"),
        manifest.memory_volume("tmp"),
    ]
    if not spec.persistent:
        volumes.append({"name": _DATA, "emptyDir": {}})
    return {
        "serviceAccountName": names.SPIRE_SERVER,
        # The admin socket looks up its caller by process id.
        "shareProcessNamespace": True,
        "securityContext": manifest.pod_security(_UID),
        "containers": [_server(spec), _registrar(spec)],
        "volumes": volumes,
    }


def _server(spec: SpireServerSpec) -> Manifest:
    health = spire_config.SERVER_HEALTH_PORT
    return {
        "name": names.SPIRE_SERVER,
        "image": spec.server_image,
        "imagePullPolicy": spec.pull_policy,
        "args": ["run", "-config", "/etc/spire/server.conf"],
        "ports": [
            {"name": "grpc", "containerPort": names.PORT_SPIRE_SERVER, "protocol": "TCP"},
            {"name": "health", "containerPort": health, "protocol": "TCP"},
        ],
        "startupProbe": manifest.http_probe("/live", "health", period=1, failures=120),
        "livenessProbe": manifest.http_probe("/live", "health", period=10),
        "readinessProbe": manifest.http_probe("/ready", "health", period=2),
        "resources": manifest.requests("50m", "64Mi"),
        "securityContext": manifest.container_security(),
        "volumeMounts": [
            manifest.mount("config", "/etc/spire", read_only=True),
            manifest.mount("socket", spire_config.SERVER_DIRECTORY),
            manifest.mount(_DATA, spire_config.SERVER_DATA),
            manifest.mount("tmp", manifest.TEMPORARY),
        ],
    }


def _registrar(spec: SpireServerSpec) -> Manifest:
    """The Controller Manager, under the name of the registrar whose work it does."""
    return {
        "name": names.WORKLOAD_REGISTRAR,
        "image": spec.controller_manager_image,
        "imagePullPolicy": spec.pull_policy,
        "args": ["--config=/etc/spire/controller-manager.json"],
        "env": [{"name": "ENABLE_WEBHOOKS", "value": "false"}],
        "ports": [{"name": "registrar", "containerPort": spire_config.REGISTRAR_HEALTH_PORT, "protocol": "TCP"}],
        "startupProbe": manifest.http_probe("/healthz", "registrar", period=1, failures=120),
        "livenessProbe": manifest.http_probe("/healthz", "registrar", period=10),
        "readinessProbe": manifest.http_probe("/readyz", "registrar", period=2),
        "resources": manifest.requests("20m", "48Mi"),
        "securityContext": manifest.container_security(),
        "volumeMounts": [
            manifest.mount("config", "/etc/spire", read_only=True),
            manifest.mount("socket", spire_config.SERVER_DIRECTORY),
            manifest.mount("tmp", manifest.TEMPORARY),
        ],
    }
