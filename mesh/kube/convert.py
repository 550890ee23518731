"""From objects as the API server has them to values of the model. Called for every event, so it keeps nothing else."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from mesh.api import crd, kinds, names
from mesh.api.errors import InvalidInputError
from mesh.api.mesh_config import MESH_CONFIG
from mesh.api.policy import Policy
from mesh.api.traffic_target import TRAFFIC_TARGET, named_account
from mesh.kube import objects
from mesh.model.snapshot import ContainerPort, EndpointSlice, FaultyPolicy, Pod, Service, ServicePortSpec, SliceEndpoint
from mesh.model.topology import NO_HINTS, Hints

_FINISHED: Final = frozenset({"Succeeded", "Failed"})
_SERVICE_LABEL: Final = "kubernetes.io/service-name"
_EXTERNAL: Final = "ExternalName"
_NO_ADDRESS: Final = frozenset({"", "None"})


def pod(wire: objects.PodObject) -> Pod:
    """Prune a pod. A finished one has no address; one on the node's network has none of its own."""
    meta, spec = wire.metadata, wire.spec
    labels, annotations = meta.labels or {}, meta.annotations or {}
    injected = labels.get(names.LABEL_STATUS) == names.STATUS_INJECTED
    gone = wire.status.phase in _FINISHED
    return Pod(
        namespace=meta.namespace,
        name=meta.name,
        service_account=spec.service_account_name,
        group=annotations.get(names.ANNOTATION_GROUP, "") if injected and not gone else "",
        addresses=() if gone else tuple(row.ip for row in wire.status.pod_i_ps or []),
        ports=tuple(_container_ports(spec)),
        labels=labels,
        annotations=_ours(annotations),
        terminating=meta.deletion_timestamp is not None,
        created=meta.creation_timestamp or "",
        node=spec.node_name,
    )


def service(wire: objects.ServiceObject) -> Service | None:
    """Prune a Service; an ExternalName is a DNS record and no Service to us."""
    meta, spec = wire.metadata, wire.spec
    if spec.type == _EXTERNAL:
        return None
    return Service(
        namespace=meta.namespace,
        name=meta.name,
        addresses=tuple(address for address in spec.cluster_i_ps or [] if address not in _NO_ADDRESS),
        ports=tuple(
            ServicePortSpec(row.port, row.target_port or row.port, row.name, row.protocol, row.app_protocol or "")
            for row in spec.ports or []
        ),
        selector=spec.selector or {},
        annotations=_ours(meta.annotations or {}),
    )


def endpoint_slice(wire: objects.EndpointSliceObject) -> EndpointSlice | None:
    """Prune a slice; one of names in place of addresses, or of no Service, does not matter."""
    meta = wire.metadata
    service_name = (meta.labels or {}).get(_SERVICE_LABEL)
    if not service_name or wire.address_type == "FQDN":
        return None
    return EndpointSlice(
        namespace=meta.namespace,
        name=meta.name,
        service=service_name,
        ports=tuple(
            (row.name or "", row.protocol or "TCP", row.port) for row in wire.ports or [] if row.port is not None
        ),
        endpoints=tuple(_endpoint(row, meta.namespace) for row in wire.endpoints or []),
    )


def zone(wire: objects.NodeObject) -> str | None:
    """The zone of a node; a node of no zone does not matter."""
    return (wire.metadata.labels or {}).get(names.LABEL_ZONE) or None


def mesh_config(wire: objects.CustomObject) -> dict[str, Any]:
    """Give a MeshConfig the shape that its parser takes; an item of a list does not name its own kind."""
    meta = wire.metadata
    return {
        "apiVersion": MESH_CONFIG.api_version,
        "kind": MESH_CONFIG.kind,
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            "generation": meta.generation,
            "annotations": meta.annotations or {},
            "finalizers": meta.finalizers or [],
            "deletionTimestamp": meta.deletion_timestamp,
        },
        "spec": wire.spec or {},
        "status": wire.status or {},
    }


def policy(kind: crd.Kind) -> Callable[[objects.CustomObject], Policy[Any] | FaultyPolicy]:
    """Give the function that reads objects of a policy kind; one that its parser refuses is told, and counts for nothing."""
    parse, version = kinds.POLICY_PARSERS[kind.kind], kind.api_version

    def read(wire: objects.CustomObject) -> Policy[Any] | FaultyPolicy:
        meta = wire.metadata
        metadata = {
            "name": meta.name,
            "namespace": meta.namespace,
            "generation": meta.generation,
            "uid": meta.uid,
            "creationTimestamp": meta.creation_timestamp,
            "annotations": meta.annotations or {},
        }
        try:
            return parse({"apiVersion": version, "kind": kind.kind, "metadata": metadata, "spec": wire.spec or {}})
        except InvalidInputError as error:
            message = "; ".join(map(str, error.problems))
            closes = named_account(wire.spec, meta.namespace) if kind is TRAFFIC_TARGET else None
            return FaultyPolicy(kind.kind, meta.namespace, meta.name, meta.generation or 0, message, closes)

    return read


def _ours(annotations: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in annotations.items() if key.startswith(names.ANNOTATION_PREFIXES)}


def _container_ports(spec: objects.PodSpecObject) -> list[ContainerPort]:
    return [
        ContainerPort(row.container_port, row.protocol, row.name)
        # The order in which Kubernetes looks for a port by its name.
        for container in [*spec.containers, *(spec.init_containers or [])]
        if container.name not in {names.SIDECAR, names.INIT}
        for row in container.ports or []
    ]


def _endpoint(row: objects.EndpointObject, namespace: str) -> SliceEndpoint:
    reference = row.target_ref or objects.ObjectReference()
    # A slice written by hand may name a pod of another namespace; only its address tells then who answers.
    is_own_pod = reference.kind == "Pod" and reference.namespace in {"", namespace}
    return SliceEndpoint(
        addresses=tuple(row.addresses),
        pod=reference.name if is_own_pod else "",
        ready=row.conditions.ready is not False,
        hints=_hints(row.hints) if row.hints else NO_HINTS,
    )


def _hints(wire: objects.HintsObject) -> Hints:
    return Hints(*(tuple(sorted(hint.name for hint in rows or [])) for rows in (wire.for_zones, wire.for_nodes)))
