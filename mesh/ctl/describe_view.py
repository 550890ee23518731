"""What `meshctl describe` tells of a pod or a Service, as a document with a schema, and as text."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mesh.api.circuit_breaker import CIRCUIT_BREAKER
from mesh.api.rate_limit import RATE_LIMIT
from mesh.api.traffic_split import TRAFFIC_SPLIT
from mesh.api.traffic_target import TRAFFIC_TARGET
from mesh.compiler.protocol import protocol_and_ground
from mesh.ctl import columns
from mesh.ctl.calls import identity_of
from mesh.ctl.live import Live
from mesh.ctl.policies_view import policy_documents
from mesh.model.sidecar_config import ServicePort, SidecarConfig
from mesh.model.snapshot import NamespaceView, Pod, Service

SCHEMA: Final = "nginx-mesh/describe/v1"
_NO_SIDECAR: Final = "none: no sidecar"


def pod_document(live: Live, namespace: str, name: str) -> dict[str, Any]:
    """Describe a pod. Raises LookupError when there is none."""
    pod = next((row for row in _view(live, namespace).pods if row.name == name), None)
    if pod is None:
        raise LookupError(f"there is no pod {namespace}/{name}")
    config = live.compilation.configs.get(pod.group)
    return {
        "schema": SCHEMA,
        "kind": "Pod",
        "namespace": namespace,
        "name": name,
        "group": pod.group if config else "",
        "identity": identity_of(live, pod),
        "mtlsMode": config.mtls_mode.value if config else "",
        "transparent": bool(config and config.transparent),
        "accessEnforced": bool(config and config.access_enforced),
        "ports": [
            {"port": row.port, "protocol": row.protocol.value, "because": _called_by(live, pod, row.port)}
            for row in (config.incoming if config else ())
        ],
        "policies": policy_documents(live, _of_pods([pod], live)),
        "findings": _findings(live, [("Pod", namespace, name)]),
    }


def service_document(live: Live, namespace: str, name: str) -> dict[str, Any]:
    """Describe a Service as its callers see it. Raises LookupError when there is none."""
    view = _view(live, namespace)
    service = next((row for row in view.services if row.name == name), None)
    if service is None:
        raise LookupError(f"there is no Service {namespace}/{name}")
    ports = _compiled(live, service)
    keys = {endpoint.pod for port in ports for endpoint in port.endpoints}
    pods = [pod for other in live.snapshot.namespaces.values() for pod in other.pods if pod.key in keys]
    own = [(TRAFFIC_SPLIT.kind, split.policy) for port in ports for split in port.splits]
    own += [(CIRCUIT_BREAKER.kind, port.breaker.policy) for port in ports if port.breaker]
    return {
        "schema": SCHEMA,
        "kind": "Service",
        "namespace": namespace,
        "name": name,
        "addresses": list(service.addresses),
        "headless": service.is_headless,
        "ports": [_service_port(live, service, spec.port) for spec in service.ports],
        "endpoints": [
            {"pod": end.pod, "address": end.address, "port": end.port, "identity": end.identity or "", "of": port.port}
            for port in ports
            for end in port.endpoints
        ],
        "policies": policy_documents(live, [*own, *_of_pods(pods, live)]),
        "findings": _findings(live, [("Service", namespace, name)]),
    }


def _view(live: Live, namespace: str) -> NamespaceView:
    return live.snapshot.namespaces.get(namespace) or NamespaceView(namespace)


def _compiled(live: Live, service: Service) -> list[ServicePort]:
    """The Service's ports as a caller that is not strict knows them: a strict one does not see bare endpoints."""
    known: list[list[ServicePort]] = [
        [port for port in config.services if (port.namespace, port.service) == (service.namespace, service.name)]
        for config in live.compilation.configs.values()
    ]
    return max(known, key=lambda ports: sum(len(port.endpoints) for port in ports), default=[])


def _service_port(live: Live, service: Service, number: int) -> dict[str, Any]:
    spec = next(row for row in service.ports if row.port == number)
    app_protocol = spec.app_protocol if live.snapshot.settings.app_protocol else ""
    protocol, ground = protocol_and_ground(spec.transport, spec.name, app_protocol, spec.port)
    return {"port": number, "protocol": protocol.value, "because": ground}


def _called_by(live: Live, pod: Pod, number: int) -> str:
    """Which Services lead to a port of a pod, as any sidecar knows them."""
    names = {
        f"{port.namespace}/{port.service}:{port.port}"
        for config in live.compilation.configs.values()
        for port in config.services
        for endpoint in port.endpoints
        if (endpoint.pod, endpoint.port) == (pod.key, number)
    }
    return f"Service {', '.join(sorted(names))}" if names else "the pod declares it"


def _of_pods(pods: Iterable[Pod], live: Live) -> Iterator[tuple[str, str]]:
    """Kind and key of what the pods' own sidecars enforce."""
    for pod in pods:
        config: SidecarConfig | None = live.compilation.configs.get(pod.group)
        if config:
            yield from ((TRAFFIC_TARGET.kind, target.policy) for target in config.targets)
            yield from (
                (RATE_LIMIT.kind, limit.policy) for limit in config.limits if not limit.pods or pod.key in limit.pods
            )


def _findings(live: Live, objects: list[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [
        {"reason": row.reason, "message": row.message}
        for row in live.compilation.findings
        if (row.kind, row.namespace, row.name) in objects
    ]


def as_text(document: Mapping[str, Any]) -> str:
    """The document for people."""
    lines = [f"{document['kind']} {document['namespace']}/{document['name']}"]
    if document["kind"] == "Pod":
        access = "only what TrafficTargets allow" if document["accessEnforced"] else "everybody"
        lines += [
            f"identity  {document['identity'] or _NO_SIDECAR if not document['group'] else document['identity'] or 'none: mTLS is off'}",
            f"mode      {'transparent' if document['transparent'] else document['mtlsMode'] or '-'}",
            f"group     {document['group'] or '-'}",
            f"access    {access}",
        ]
    else:
        lines.append(f"addresses {', '.join(document['addresses']) or 'none: headless'}")
    lines += _table("PORT PROTOCOL BECAUSE", document["ports"], ("port", "protocol", "because"))
    endpoints = [row | {"identity": row["identity"] or "-"} for row in document.get("endpoints", [])]
    lines += _table("OF ENDPOINT ADDRESS PORT IDENTITY", endpoints, ("of", "pod", "address", "port", "identity"))
    policies = [
        row | {"name": f"{row['namespace']}/{row['name']}", "state": "applied" if row["accepted"] else row["reason"]}
        for row in document["policies"]
    ]
    lines += _table("POLICY NAME STATE", policies, ("kind", "name", "state"))
    lines += _table("FINDING MESSAGE", document["findings"], ("reason", "message"))
    return "\n".join(lines)


def _table(titles: str, rows: list[dict[str, Any]], keys: tuple[str, ...]) -> list[str]:
    if not rows:
        return []
    return ["", *columns.lines([tuple(titles.split()), *(tuple(str(row[key] or "-") for key in keys) for row in rows)])]
