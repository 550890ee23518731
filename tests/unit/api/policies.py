"""Policies with every field that NSM's documents use, and variations of them."""

from copy import deepcopy
from typing import Any

SPLIT: dict[str, Any] = {
    "apiVersion": "split.smi-spec.io/v1alpha3",
    "kind": "TrafficSplit",
    "metadata": {"name": "reviews", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 3},
    "spec": {
        "service": "reviews",
        "backends": [
            {"service": "reviews", "weight": 0},
            {"service": "reviews-v2", "weight": 90},
            {"service": "reviews-v3", "weight": 10},
        ],
        "matches": [{"kind": "HTTPRouteGroup", "name": "beta", "apiGroup": "specs.smi-spec.io"}],
    },
}
GROUP: dict[str, Any] = {
    "apiVersion": "specs.smi-spec.io/v1alpha3",
    "kind": "HTTPRouteGroup",
    "metadata": {"name": "beta", "namespace": "shop"},
    "spec": {
        "matches": [
            {"name": "anything", "pathRegex": "*", "methods": ["*"]},
            {"name": "firefox", "headers": {"user-agent": ".*Firefox.*", "X-Beta": "^(yes|1)$"}},
            {"name": "reads", "pathRegex": "^/api/v[0-9]+/", "methods": ["GET", "HEAD"]},
            {"pathRegex": ""},
        ]
    },
}
TCP: dict[str, Any] = {
    "apiVersion": "specs.smi-spec.io/v1alpha3",
    "kind": "TCPRoute",
    "metadata": {"name": "tcp", "namespace": "shop"},
}
TARGET: dict[str, Any] = {
    "apiVersion": "access.smi-spec.io/v1alpha2",
    "kind": "TrafficTarget",
    "metadata": {"name": "reviews", "namespace": "shop"},
    "spec": {
        "destination": {"kind": "ServiceAccount", "name": "reviews", "port": 8080},
        "sources": [
            {"kind": "ServiceAccount", "name": "product-page"},
            {"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring", "port": 9090},
        ],
        "rules": [
            {"kind": "HTTPRouteGroup", "name": "beta", "matches": ["reads"]},
            {"kind": "TCPRoute", "name": "tcp"},
        ],
    },
}
LIMIT: dict[str, Any] = {
    "apiVersion": "specs.smi.nginx.com/v1alpha2",
    "kind": "RateLimit",
    "metadata": {"name": "reviews", "namespace": "shop", "annotations": {"nsm.nginx.com/limit-status": "429"}},
    "spec": {
        "name": "10rm",
        "destination": {"kind": "Service", "name": "reviews"},
        "sources": [
            {"kind": "Deployment", "name": "product-page"},
            {"kind": "Pod", "name": "curl-0.test", "namespace": "tools"},
        ],
        "rate": "10r/m",
        "burst": 5,
        "delay": "nodelay",
        "rules": [{"kind": "HTTPRouteGroup", "name": "beta", "matches": ["reads"]}],
    },
}
BREAKER: dict[str, Any] = {
    "apiVersion": "specs.smi.nginx.com/v1alpha1",
    "kind": "CircuitBreaker",
    "metadata": {"name": "reviews", "namespace": "shop"},
    "spec": {
        "destination": {"kind": "Service", "name": "reviews"},
        "errors": 3,
        "timeoutSeconds": 30,
        "fallback": {"service": "shop/reviews-cache", "port": 8080},
    },
}
ALL = (SPLIT, GROUP, TCP, TARGET, LIMIT, BREAKER)


def changed(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The same policy with another value at *path*, such as ``spec.matches.0.name``."""
    copy = deepcopy(manifest)
    *parents, last = path.split(".")
    node: Any = copy
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    node[int(last) if isinstance(node, list) else last] = value
    return copy


def without(manifest: dict[str, Any], path: str) -> dict[str, Any]:
    """The same policy without the member at *path*."""
    copy = deepcopy(manifest)
    *parents, last = path.split(".")
    node: Any = copy
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    del node[last]
    return copy
