"""The two containers that injection adds, and their volumes (contract 5.containers)."""

import json
from collections.abc import Sequence
from typing import Any, Final

from mesh.admission.probes import RedirectedProbe
from mesh.admission.settings import InjectionSettings
from mesh.api import names
from mesh.api.mtls import MtlsMode
from mesh.model.annotations import PodAnnotations

SOCKET_VOLUME: Final = "spire-agent-socket"
RUN_VOLUME: Final = "nginx-mesh-run"
TEMPORARY_VOLUME: Final = "nginx-mesh-tmp"
RUN_DIRECTORY: Final = "/var/run/nginx-mesh"
_READY: Final = {"path": "/ready", "port": names.PORT_METRICS, "scheme": "HTTP"}
# Waiting for the first SVID and configuration has no end of its own: the pod's events say what is missing.
_STARTUP_FAILURES: Final = 600
# An ordinary sidecar ends with the application's containers; one that holds no socket for so long has ended.
_QUIET_SECONDS: Final = 5
# What Kubernetes gives a pod that names no grace; the agent's own limit for a drain fits it.
KUBERNETES_GRACE_SECONDS: Final = 30
# Of the pod's grace this much is left to NGINX for its end; what the agent takes has these limits.
_LAST_SECONDS, _LEAST_DRAIN_SECONDS, _MOST_DRAIN_SECONDS = 5, 1, 86400
_DOWNWARD: Final = {
    "MESH_POD_NAME": "metadata.name",
    "MESH_POD_NAMESPACE": "metadata.namespace",
    "MESH_POD_IP": "status.podIP",
    "MESH_POD_IPS": "status.podIPs",
    "MESH_NODE_NAME": "spec.nodeName",
}


def socket_volume() -> dict[str, Any]:
    """The directory of the SPIRE agent's socket; the directory, because a restarted agent makes a new socket."""
    return {"name": SOCKET_VOLUME, "hostPath": {"path": names.SPIRE_SOCKET_DIRECTORY, "type": "Directory"}}


def socket_mount() -> dict[str, Any]:
    """The mount of :func:`socket_volume`."""
    return {"name": SOCKET_VOLUME, "mountPath": names.SPIRE_SOCKET_DIRECTORY, "readOnly": True}


def sidecar_volumes() -> list[dict[str, Any]]:
    """The volumes of a sidecar: keys and state stay in memory, NGINX's temporary files for bodies do not."""
    return [
        socket_volume(),
        {"name": RUN_VOLUME, "emptyDir": {"medium": "Memory"}},
        {"name": TEMPORARY_VOLUME, "emptyDir": {}},
    ]


def init_container(settings: InjectionSettings, annotations: PodAnnotations) -> dict[str, Any]:
    """The container that redirects the pod's traffic: root, for its short life, with two capabilities."""
    arguments = [
        f"--{direction}={','.join(map(str, ports))}"
        for direction, ports in (
            ("ignore-incoming-ports", annotations.ignore_incoming_ports),
            ("ignore-outgoing-ports", annotations.ignore_outgoing_ports),
        )
        if ports
    ]
    container: dict[str, Any] = {
        "name": names.INIT,
        "image": settings.init_image,
        "imagePullPolicy": settings.image_pull_policy,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            # Written out because pods that demand runAsNonRoot would keep it from starting.
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return container | ({"args": arguments} if arguments else {})


def sidecar_container(
    settings: InjectionSettings,
    mode: MtlsMode,
    group: str,
    probes: Sequence[RedirectedProbe],
    grace_seconds: int | None,
    *,
    native: bool,
) -> dict[str, Any]:
    """The proxy. A native one is a restartable init container; the other one holds back the containers after it.

    *grace_seconds* is what the pod has to end, None where it does not say.
    """
    container: dict[str, Any] = {
        "name": names.SIDECAR,
        "image": settings.sidecar_image,
        "imagePullPolicy": settings.image_pull_policy,
        "env": _environment(settings, mode, group, probes),
        "ports": [{"name": "mesh-metrics", "containerPort": names.PORT_METRICS, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": dict(_READY), "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3},
        "resources": {"requests": {"cpu": "20m", "memory": "40Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": names.MESH_UID,
            "runAsNonRoot": True,
            "runAsUser": names.MESH_UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "startupProbe": {
            "httpGet": dict(_READY),
            "periodSeconds": 1,
            "timeoutSeconds": 2,
            "failureThreshold": _STARTUP_FAILURES,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            socket_mount(),
            {"name": RUN_VOLUME, "mountPath": RUN_DIRECTORY},
            {"name": TEMPORARY_VOLUME, "mountPath": "/tmp"},  # noqa: S108 - a volume of its own
        ],
    }
    grace = KUBERNETES_GRACE_SECONDS if grace_seconds is None else grace_seconds
    if grace != KUBERNETES_GRACE_SECONDS:
        seconds = min(max(grace - _LAST_SECONDS, _LEAST_DRAIN_SECONDS), _MOST_DRAIN_SECONDS)
        container["env"].append({"name": "MESH_DRAIN_SECONDS", "value": str(seconds)})
    if native:
        return container | {"restartPolicy": "Always"}
    container["env"].append({"name": "MESH_QUIET_SECONDS", "value": str(_QUIET_SECONDS)})
    # The kubelet starts the containers of a pod in order and waits for this hook before the next one.
    return container | {"lifecycle": {"postStart": {"exec": {"command": ["python3", "-m", "mesh.sidecar.wait"]}}}}


def _environment(
    settings: InjectionSettings, mode: MtlsMode, group: str, probes: Sequence[RedirectedProbe]
) -> list[dict[str, Any]]:
    values = {
        "MESH_GROUP": group,
        "MESH_NAMESPACE": settings.mesh_namespace,
        "MESH_TRUST_DOMAIN": settings.trust_domain,
        "MESH_MTLS_MODE": str(mode),
        "MESH_LOG_LEVEL": str(settings.log_level),
    }
    if probes:
        values["MESH_PROBES"] = json.dumps([probe.row() for probe in probes], separators=(",", ":"))
    downward = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in _DOWNWARD.items()]
    return downward + [{"name": name, "value": value} for name, value in values.items()]
