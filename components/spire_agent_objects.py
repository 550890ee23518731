"""Objects of the SPIRE agents: one per node, on the node's network, its socket in a directory of the node."""

from dataclasses import dataclass

from components import manifest, spire_config
from components.manifest import Manifest
from mesh.api import names

_PART = names.SPIRE_AGENT
_TOKEN_LIFE_SECONDS = 7200


@dataclass(frozen=True, slots=True)
class SpireAgentSpec:
    """``wait_image`` has mesh.init, which waits for the server."""

    config: spire_config.SpireConfig
    agent_image: str
    wait_image: str
    pull_policy: str
    pull_secrets: tuple[str, ...]


def config_map(spec: SpireAgentSpec) -> Manifest:
    """Configuration of the agent."""
    data = {"agent.conf": spire_config.agent_conf(spec.config)}
    return manifest.config_map(_PART, spec.config.namespace, _PART, data)


def access(spec: SpireAgentSpec) -> list[Manifest]:
    """Service account and rights: ask the kubelet for the node's pods (``nodes/proxy`` before Kubernetes 1.33)."""
    namespace = spec.config.namespace
    role = manifest.cluster_role(
        f"{_PART}.internal.builtin.nsm.nginx",
        _PART,
        [manifest.rule("", ["nodes/pods", "nodes/proxy"], ["get"])],
    )
    return [
        manifest.service_account(_PART, namespace, _PART, spec.pull_secrets),
        role,
        manifest.binding(role, _PART, _PART, namespace),
    ]


def workload(spec: SpireAgentSpec) -> Manifest:
    """The DaemonSet."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": manifest.metadata(_PART, spec.config.namespace, part=_PART),
        "spec": {
            "selector": {"matchLabels": manifest.labels(_PART)},
            "template": {"metadata": {"labels": manifest.labels(_PART)}, "spec": _pod(spec)},
        },
    }


def _pod(spec: SpireAgentSpec) -> Manifest:
    # Without "optional" the kubelet holds the pod back until the server has filled the bundle.
    bundle = {
        "name": names.SPIRE_BUNDLE_CONFIGMAP,
        "items": [{"key": names.SPIRE_BUNDLE_KEY, "path": names.SPIRE_BUNDLE_KEY}],
    }
    token = {"path": "spire-agent", "expirationSeconds": _TOKEN_LIFE_SECONDS, "audience": "spire-server"}
    return {
        "serviceAccountName": _PART,
        # It finds its callers' containers by their process ids, on every network of the node.
        "hostPID": True,
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "tolerations": [{"operator": "Exists"}],
        "initContainers": [_wait(spec)],
        "containers": [_agent(spec)],
        "volumes": [
            manifest.config_volume("config", config_map(spec)),
            {"name": "bundle", "configMap": bundle},
            {"name": "data", "emptyDir": {}},
            {"name": "sockets", "hostPath": {"path": names.SPIRE_SOCKET_DIRECTORY, "type": "DirectoryOrCreate"}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        ],
    }


def _wait(spec: SpireAgentSpec) -> Manifest:
    """An agent that starts beside a starting server backs off for half a minute; this waits no longer than needed."""
    server = f"{names.SPIRE_SERVER}.{spec.config.namespace}.svc:{names.PORT_SPIRE_SERVER}"
    return {
        "name": f"{_PART}-init",
        "image": spec.wait_image,
        "imagePullPolicy": spec.pull_policy,
        "args": [f"--wait-for={server}"],
        "resources": manifest.requests("10m", "16Mi"),
        "securityContext": manifest.container_security()
        | {"runAsNonRoot": True, "runAsUser": names.MESH_UID, "runAsGroup": names.MESH_UID},
    }


def _agent(spec: SpireAgentSpec) -> Manifest:
    port, host = spire_config.AGENT_HEALTH_PORT, "127.0.0.1"
    return {
        "name": _PART,
        "image": spec.agent_image,
        "imagePullPolicy": spec.pull_policy,
        "args": ["run", "-config", "/etc/spire/agent.conf"],
        "env": [manifest.field_env("MY_NODE_NAME", "status.hostIP")],
        "startupProbe": manifest.http_probe("/live", port, host=host, period=1, failures=120),
        "livenessProbe": manifest.http_probe("/live", port, host=host, period=10),
        "readinessProbe": manifest.http_probe("/ready", port, host=host, period=2),
        "resources": manifest.requests("20m", "48Mi"),
        # Root, because pods of any user must reach the socket's directory on the node; without any capability.
        "securityContext": manifest.container_security() | {"runAsUser": 0},
        "volumeMounts": [
            manifest.mount("config", "/etc/spire", read_only=True),
            manifest.mount("bundle", spire_config.AGENT_BUNDLE_DIRECTORY, read_only=True),
            manifest.mount("data", spire_config.AGENT_DATA),
            manifest.mount("sockets", names.SPIRE_SOCKET_DIRECTORY),
            manifest.mount("token", spire_config.AGENT_TOKEN_DIRECTORY, read_only=True),
        ],
    }
