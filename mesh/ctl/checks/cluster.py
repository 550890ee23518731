"""Kubernetes itself: version, nodes, DNS, the mesh's namespace and resource definitions."""

from collections.abc import Iterator

from mesh.api import kinds
from mesh.ctl.checks.finding import Category, Finding, Level
from mesh.ctl.checks.versions import NATIVE_SIDECARS, OLDEST, parse_version
from mesh.ctl.cluster import NotFoundError, Reader, core, grouped, selected

_CATEGORY = Category("cluster")
_DNS_LABELS = {"kubernetes.io/service-name": "kube-dns"}


def findings(reader: Reader, namespace: str) -> Iterator[Finding]:
    """Check what the mesh needs of the cluster it is in."""
    yield _version(reader)
    yield _nodes(reader)
    yield _dns(reader)
    yield (installed := _namespace(reader, namespace))
    if installed.level is Level.OK:
        yield _definitions(reader)


def _version(reader: Reader) -> Finding:
    version = parse_version(reader.get("/version"))
    shown = ".".join(map(str, version))
    subject = f"Kubernetes {shown} is supported"
    if version < OLDEST:
        return _CATEGORY.failure(subject, f"needs {'.'.join(map(str, OLDEST))} or later", "upgrade the cluster")
    if version < NATIVE_SIDECARS:
        cause = "sidecars are ordinary containers: Jobs with a sidecar do not end"
        return _CATEGORY.warning(subject, cause, "upgrade the cluster to 1.29 or later")
    return _CATEGORY.ok(subject)


def _nodes(reader: Reader) -> Finding:
    nodes = reader.get(core("nodes")).get("items") or []
    subject = f"{len(nodes)} node(s) are ready"
    away = []
    for node in nodes:
        conditions = {row["type"]: row["status"] for row in (node.get("status") or {}).get("conditions") or []}
        if conditions.get("Ready") != "True":
            away.append(node["metadata"]["name"])
    if not nodes or away:
        return _CATEGORY.failure(
            subject, f"not ready: {', '.join(away) or 'there is no node'}", "kubectl describe nodes"
        )
    return _CATEGORY.ok(subject)


def _dns(reader: Reader) -> Finding:
    subject = "cluster DNS has ready endpoints"
    slices = reader.get(selected(grouped("discovery.k8s.io/v1", "endpointslices", "kube-system"), _DNS_LABELS))
    if ready_endpoints(slices):
        return _CATEGORY.ok(subject)
    cause = "no ready endpoint of Service kube-system/kube-dns: nothing finds NATS or the SPIRE server"
    return _CATEGORY.failure(subject, cause, "kubectl -n kube-system get pods -l k8s-app=kube-dns")


def ready_endpoints(slices: dict[str, list[dict[str, object]]]) -> int:
    """Count the ready endpoints of an EndpointSlice list."""
    count = 0
    for item in slices.get("items") or []:
        endpoints = item.get("endpoints")
        for endpoint in endpoints if isinstance(endpoints, list) else []:
            # An absent condition means ready (EndpointSlice API).
            count += (endpoint.get("conditions") or {}).get("ready") is not False
    return count


def _namespace(reader: Reader, namespace: str) -> Finding:
    subject = f"namespace {namespace} exists"
    try:
        reader.get(core("namespaces", name=namespace))
    except NotFoundError:
        repair = "pulumi up, or name the mesh's namespace with --namespace"
        return _CATEGORY.failure(subject, "there is no mesh here", repair)
    return _CATEGORY.ok(subject)


def _definitions(reader: Reader) -> Finding:
    wanted = {f"{kind.plural}.{kind.group}" for kind in kinds.ALL_KINDS}
    subject = f"{len(wanted)} resource definitions are established"
    found = reader.get(grouped("apiextensions.k8s.io/v1", "customresourcedefinitions")).get("items") or []
    missing = wanted - {item["metadata"]["name"] for item in found if _is_established(item)}
    if missing:
        return _CATEGORY.failure(subject, f"missing: {', '.join(sorted(missing))}", "pulumi up")
    return _CATEGORY.ok(subject)


def _is_established(definition: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(row.get("type") == "Established" and row.get("status") == "True" for row in conditions)
