"""A small cluster with a policy of each kind, as the API shows it: web calls cart, cart has a canary."""

import json
from typing import Any

from mesh.api import names
from mesh.kube import kinds
from tests.unit.ctl.healthy_mesh import NAMESPACE, FakeCluster, config_map, mesh_config

GROUPS = {"web": "a" * 16, "cart": "b" * 16, "canary": "c" * 16}
CREATED = "2026-11-21T12:00:00Z"


def cluster(
    *policies: dict[str, Any], open_circuits: tuple[str, ...] = (), headless: bool = False, **settings: Any
) -> FakeCluster:
    """The cluster with *policies*; web's sidecar says that circuits are open. With *headless* no Service has an address.

    Beside those who have a sidecar there is the pod ``stranger-1``, which has none.
    """
    installation = {"namespace": NAMESPACE, "mtls": {"trustDomain": "example.org"}}
    lines = [f'nginx_mesh_circuit_open{{policy="{policy}"}} 1\n' for policy in open_circuits]
    answers: dict[str, Any] = {
        config_map(names.MESHCONFIG_CONFIGMAP): {"data": {names.MESHCONFIG_CONFIGMAP_KEY: json.dumps(installation)}},
        kinds.MESH_CONFIGS.path(NAMESPACE, names.MESH_CONFIG_NAME): mesh_config(**settings),
        kinds.NODES.path(): {"items": []},
        kinds.NAMESPACES.path(): {
            "items": [{"metadata": {"name": "shop", "labels": {names.LABEL_AUTO_INJECT: names.AUTO_INJECT_ENABLED}}}]
        },
        kinds.PODS.path(): {"items": [*(_pod(app, number) for number, app in enumerate(GROUPS)), _stranger()]},
        kinds.SERVICES.path(): {"items": [_service(app, number, headless) for number, app in enumerate(GROUPS)]},
        kinds.ENDPOINT_SLICES.path(): {"items": [_slice(app, number) for number, app in enumerate(GROUPS)]},
        "/api/v1/namespaces/shop/pods/web-1:8887/proxy/metrics": "".join(lines),
    }
    for policy in policies:
        answers.setdefault(kinds.PARSED_POLICIES[policy["kind"]].path(), {"items": []})["items"].append(policy)
    return FakeCluster(answers)


def policy(kind: str, object_name: str, /, **spec: Any) -> dict[str, Any]:
    """An object of a policy kind in namespace shop."""
    return {
        "apiVersion": kinds.PARSED_POLICIES[kind].api_version,
        "kind": kind,
        "metadata": {"name": object_name, "namespace": "shop", "creationTimestamp": CREATED},
        "spec": spec,
    }


ROUTES = policy("HTTPRouteGroup", "reads", matches=[{"name": "items", "pathRegex": "^/items", "methods": ["GET"]}])
TARGET = policy(
    "TrafficTarget",
    "web-reads",
    destination={"kind": "ServiceAccount", "name": "cart"},
    sources=[{"kind": "ServiceAccount", "name": "web"}],
    rules=[{"kind": "HTTPRouteGroup", "name": "reads"}],
)
SPLIT = policy(
    "TrafficSplit", "canary", service="cart", backends=[{"service": "cart", "weight": 3}, {"service": "canary", "weight": 1}]
)  # fmt: skip
LIMIT = policy("RateLimit", "slow", name="slow", destination={"kind": "Service", "name": "cart"}, rate="10r/s")
BREAKER = policy(
    "CircuitBreaker", "guard", destination={"kind": "Service", "name": "canary"}, errors=5, timeoutSeconds=30
)


def _pod(app: str, number: int) -> dict[str, Any]:
    labels = {"app": app, names.LABEL_STATUS: names.STATUS_INJECTED, names.LABEL_PARENT_PREFIX + "deployment": app}
    return {
        "metadata": {
            "name": f"{app}-1",
            "namespace": "shop",
            "labels": labels,
            "annotations": {names.ANNOTATION_GROUP: GROUPS[app]},
            "creationTimestamp": CREATED,
        },
        "spec": {
            "serviceAccountName": app,
            "nodeName": "n1",
            "containers": [{"name": "app", "ports": [{"containerPort": 8080, "protocol": "TCP"}]}],
        },
        "status": {"phase": "Running", "podIPs": [{"ip": f"10.0.0.{number + 1}"}]},
    }


def _stranger() -> dict[str, Any]:
    return {
        "metadata": {"name": "stranger-1", "namespace": "shop", "creationTimestamp": CREATED},
        "spec": {"serviceAccountName": "stranger", "nodeName": "n1", "containers": [{"name": "app"}]},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.99"}]},
    }


def _service(app: str, number: int, headless: bool) -> dict[str, Any]:
    return {
        "metadata": {"name": app, "namespace": "shop"},
        "spec": {
            "clusterIPs": ["None"] if headless else [f"10.1.0.{number + 1}"],
            "selector": {"app": app},
            "ports": [{"port": 80, "targetPort": 8080, "name": "http", "protocol": "TCP"}],
        },
    }


def _slice(app: str, number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{app}-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": app}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        "endpoints": [
            {
                "addresses": [f"10.0.0.{number + 1}"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": "shop", "name": f"{app}-1"},
            }
        ],
    }
