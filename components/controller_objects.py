"""Objects of the controller: its Deployment, services, rights, and what it reads and writes.

The ConfigMap ``meshconfig`` is made empty here and written by the controller alone, from the MeshConfig and from
``installation``: a MeshConfig edited at run time shows there (contract 6.meshconfig), and nothing of it is drift.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components import manifest
from components.manifest import Manifest
from mesh.api import mesh_config, mesh_config_class, names
from mesh.api.kinds import POLICY_KINDS

_PART = names.CONTROLLER
_GRACE_SECONDS = 15
_READ = ["get", "list", "watch"]


@dataclass(frozen=True, slots=True)
class ControllerSpec:
    """``installation`` is the part of meshconfig.json that no MeshConfig holds: images, registry, environment.

    ``removal_seconds``: how long each step of a removal waits for the sidecars.
    """

    namespace: str
    trust_domain: str
    image: str
    pull_policy: str
    pull_secrets: tuple[str, ...]
    replicas: int
    installation: Mapping[str, Any]
    removal_seconds: int = 15


def access(spec: ControllerSpec) -> list[Manifest]:
    """Service account and rights."""
    cluster = manifest.cluster_role(f"{_PART}.internal.builtin.nsm.nginx", _PART, _cluster_rules(spec))
    local = manifest.role(f"{_PART}.internal.builtin.nsm.nginx", spec.namespace, _PART, _local_rules(spec))
    return [
        manifest.service_account(_PART, spec.namespace, _PART, spec.pull_secrets),
        cluster,
        manifest.binding(cluster, _PART, _PART, spec.namespace),
        local,
        manifest.binding(local, _PART, _PART, spec.namespace),
    ]


def _cluster_rules(spec: ControllerSpec) -> list[Manifest]:
    """What it sees of the cluster; it writes events, CA bundles, lives of SVIDs and statuses of policies.

    With a private registry also the copies of its credentials, and no other Secret.
    """
    admission = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"]
    return [
        manifest.rule("", ["namespaces", "nodes", "pods", "services"], _READ),
        manifest.rule("", ["events"], ["create", "patch"]),
        manifest.rule("events.k8s.io", ["events"], ["create", "patch"]),
        manifest.rule("discovery.k8s.io", ["endpointslices"], _READ),
        manifest.rule("admissionregistration.k8s.io", admission, [*_READ, "patch"]),
        manifest.rule("apiregistration.k8s.io", ["apiservices"], [*_READ, "patch"]),
        manifest.rule(names.GROUP_SPIRE, ["clusterspiffeids"], [*_READ, "patch"]),
        manifest.rule(names.GROUP_NSM, ["meshconfigs", "meshconfigclasses"], _READ),
        *(manifest.rule(kind.group, [kind.plural], _READ) for kind in POLICY_KINDS),
        *(manifest.rule(kind.group, [f"{kind.plural}/status"], ["patch"]) for kind in POLICY_KINDS),
        *_on_credentials(spec, "create", "patch"),
    ]


def _on_credentials(spec: ControllerSpec, *verbs: str) -> list[Manifest]:
    # An apply that makes an object asks for the right to create it by its name.
    return [manifest.rule("", ["secrets"], list(verbs), list(spec.pull_secrets))] if spec.pull_secrets else []


def _local_rules(spec: ControllerSpec) -> list[Manifest]:
    """What it writes in its own namespace."""
    return [
        manifest.rule("coordination.k8s.io", ["leases"], ["get", "list", "watch", "create", "update", "patch"]),
        manifest.rule("", ["configmaps"], [*_READ, "create", "update", "patch"]),
        manifest.rule(names.GROUP_NSM, ["meshconfigs"], ["create", "update", "patch"]),
        manifest.rule(names.GROUP_NSM, ["meshconfigs/status"], ["get", "update", "patch"]),
        *_on_credentials(spec, "get"),
    ]


def services(namespace: str) -> list[Manifest]:
    """The version API and the webhooks."""
    api = {"name": "version", "port": names.PORT_CONTROLLER_API, "targetPort": "version", "protocol": "TCP"}
    admission = {"name": "admission", "port": names.PORT_WEBHOOK_SERVICE, "targetPort": "webhook", "protocol": "TCP"}
    return [
        manifest.service(names.CONTROLLER, namespace, _PART, [api]),
        manifest.service(names.WEBHOOK_SERVICE, namespace, _PART, [admission]),
    ]


def running_config(namespace: str) -> Manifest:
    """The ConfigMap that commands read; the controller fills it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": manifest.metadata(names.MESHCONFIG_CONFIGMAP, namespace, part=_PART),
    }


def config_class(namespace: str) -> Manifest:
    """The MeshConfigClass of the mesh."""
    return {
        "apiVersion": mesh_config_class.MESH_CONFIG_CLASS.api_version,
        "kind": mesh_config_class.MESH_CONFIG_CLASS.kind,
        "metadata": manifest.metadata(names.mesh_config_class(namespace), part=_PART),
        "spec": {"controllerName": names.MESH_CONFIG_CONTROLLER_NAME},
    }


def config(namespace: str, settings: Mapping[str, Any]) -> Manifest:
    """The MeshConfig with the stack's settings. What somebody edited meanwhile is taken back, without a conflict."""
    force = {"pulumi.com/patchForce": "true"}
    return {
        "apiVersion": mesh_config.MESH_CONFIG.api_version,
        "kind": mesh_config.MESH_CONFIG.kind,
        "metadata": manifest.metadata(names.MESH_CONFIG_NAME, namespace, part=_PART, annotations=force),
        "spec": {"meshConfigClassName": names.mesh_config_class(namespace), **settings},
    }


def workload(spec: ControllerSpec) -> Manifest:
    """The Deployment."""
    labels = manifest.labels(_PART)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": manifest.metadata(names.CONTROLLER, spec.namespace, part=_PART),
        "spec": {
            "replicas": spec.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels | {names.LABEL_SPIFFE_ID: "true"}}, "spec": _pod(spec)},
        },
    }


def _pod(spec: ControllerSpec) -> Manifest:
    return {
        "serviceAccountName": names.CONTROLLER,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": manifest.pod_security(names.MESH_UID),
        "containers": [_container(spec)],
        "volumes": [manifest.socket_volume(), manifest.memory_volume("tmp")],
    }


def _container(spec: ControllerSpec) -> Manifest:
    installation = json.dumps(spec.installation, sort_keys=True, separators=(",", ":"))
    return {
        "name": names.CONTROLLER,
        "image": spec.image,
        "imagePullPolicy": spec.pull_policy,
        "env": [
            {"name": "MESH_NAMESPACE", "value": spec.namespace},
            {"name": "MESH_TRUST_DOMAIN", "value": spec.trust_domain},
            {"name": "MESH_INSTALLATION", "value": installation},
            {"name": "MESH_REMOVAL_SECONDS", "value": str(spec.removal_seconds)},
            manifest.field_env("MESH_POD_NAME", "metadata.name"),
            manifest.field_env("MESH_POD_NAMESPACE", "metadata.namespace"),
        ],
        "ports": [
            {"name": "version", "containerPort": names.PORT_CONTROLLER_API, "protocol": "TCP"},
            {"name": "webhook", "containerPort": names.PORT_WEBHOOK, "protocol": "TCP"},
            {"name": "health", "containerPort": names.PORT_HEALTH, "protocol": "TCP"},
        ],
        "startupProbe": manifest.http_probe("/live", "health", period=1, failures=120),
        "livenessProbe": manifest.http_probe("/live", "health", period=10),
        "readinessProbe": manifest.http_probe("/ready", "health", period=2),
        "resources": manifest.requests("50m", "80Mi"),
        "securityContext": manifest.container_security(),
        "volumeMounts": [manifest.socket_mount(), manifest.mount("tmp", manifest.TEMPORARY)],
    }
