"""Traffic policies, written short; each is read by its kind's own parser."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mesh.api.circuit_breaker import CIRCUIT_BREAKER, parse_circuit_breaker
from mesh.api.crd import Kind
from mesh.api.http_route_group import HTTP_ROUTE_GROUP, parse_http_route_group
from mesh.api.policy import Policy
from mesh.api.rate_limit import RATE_LIMIT, parse_rate_limit
from mesh.api.tcp_route import TCP_ROUTE, parse_tcp_route
from mesh.api.traffic_split import TRAFFIC_SPLIT, parse_traffic_split
from mesh.api.traffic_target import TRAFFIC_TARGET, parse_traffic_target
from mesh.compiler.assemble import Compilation
from mesh.compiler.outcome import PolicyKey, PolicyOutcome

Reference = tuple[str, str]
"""Kind and name."""


def _read(
    kind: Kind,
    parse: Callable[[Mapping[str, Any]], Policy[Any]],
    name: str,
    spec: Mapping[str, Any],
    namespace: str,
    day: int,
    annotations: Mapping[str, str] | None = None,
) -> Policy[Any]:
    """A policy that was created on that *day* of a month."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "creationTimestamp": f"2026-01-{day:02}T00:00:00Z",
        "generation": day,
        "uid": f"uid-{kind.kind}-{namespace}-{name}",
        "annotations": annotations or {},
    }
    return parse({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec})


def split(
    name: str, root: str, weights: Mapping[str, int], *groups: str, namespace: str = "shop", day: int = 1
) -> Policy[Any]:
    """A TrafficSplit of *root* over *weights*, for requests that fit the *groups*, or for all."""
    spec = {
        "service": root,
        "backends": [{"service": service, "weight": weight} for service, weight in weights.items()],
        "matches": [{"kind": "HTTPRouteGroup", "name": group} for group in groups],
    }
    return _read(TRAFFIC_SPLIT, parse_traffic_split, name, spec, namespace, day)


def routes(name: str, *matches: Mapping[str, Any], namespace: str = "shop") -> Policy[Any]:
    """An HTTPRouteGroup."""
    return _read(HTTP_ROUTE_GROUP, parse_http_route_group, name, {"matches": list(matches)}, namespace, 1)


def tcp_route(name: str, *, namespace: str = "shop") -> Policy[Any]:
    """A TCPRoute."""
    return _read(TCP_ROUTE, parse_tcp_route, name, {}, namespace, 1)


def target(
    name: str,
    destination: str,
    sources: Sequence[str],
    *rules: tuple[str, str] | tuple[str, str, list[str]],
    port: int | None = None,
    namespace: str = "shop",
    day: int = 1,
) -> Policy[Any]:
    """A TrafficTarget; service accounts are ``[namespace/]name``, rules (kind, name, names of matches)."""
    spec = {
        "destination": _account(destination) | ({} if port is None else {"port": port}),
        "sources": [_account(source) for source in sources],
        "rules": [
            {"kind": rule[0], "name": rule[1]} | ({"matches": rule[2]} if len(rule) == 3 else {}) for rule in rules
        ],
    }
    return _read(TRAFFIC_TARGET, parse_traffic_target, name, spec, namespace, day)


def limit(
    name: str,
    destination: Reference,
    *sources: Reference,
    rate: str = "10r/s",
    namespace: str = "shop",
    day: int = 1,
    annotations: Mapping[str, str] | None = None,
    **more: Any,
) -> Policy[Any]:
    """A RateLimit; names are ``[namespace/]name``, *more* are further fields of the spec."""
    spec = {
        "name": name,
        "destination": _object(destination),
        "sources": [_object(source) for source in sources],
        "rate": rate,
    }
    return _read(RATE_LIMIT, parse_rate_limit, name, spec | more, namespace, day, annotations)


def breaker(
    name: str,
    destination: str,
    *,
    errors: int = 5,
    seconds: int = 30,
    fallback: Mapping[str, Any] | None = None,
    namespace: str = "shop",
    day: int = 1,
) -> Policy[Any]:
    """A CircuitBreaker of the Service ``[namespace/]name``."""
    spec = {"destination": _object(("Service", destination)), "errors": errors, "timeoutSeconds": seconds}
    if fallback is not None:
        spec["fallback"] = fallback
    return _read(CIRCUIT_BREAKER, parse_circuit_breaker, name, spec, namespace, day)


def outcome(compilation: Compilation, policy: Policy[Any]) -> PolicyOutcome:
    """What became of *policy*."""
    return compilation.policies[PolicyKey(policy.kind, policy.namespace, policy.name)]


def said(compilation: Compilation) -> list[tuple[str, str]]:
    """(name of the object, reason) of each finding."""
    return [(finding.name, finding.reason) for finding in compilation.findings]


def _account(text: str) -> dict[str, Any]:
    return _object(("ServiceAccount", text))


def _object(reference: Reference) -> dict[str, Any]:
    namespace, _, name = reference[1].rpartition("/")
    return {"kind": reference[0], "name": name} | ({"namespace": namespace} if namespace else {})
