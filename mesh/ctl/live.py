"""The cluster as the compiler sees it, read at once: the same snapshot, and what the same compiler makes of it."""

from dataclasses import dataclass
from typing import Any

import msgspec

from mesh.admission.settings import load_settings
from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.api.mesh_config import parse_mesh_config
from mesh.api.policy import Policy
from mesh.compiler.assemble import Compilation, Compiler
from mesh.compiler.mesh_settings import mesh_settings
from mesh.ctl.cluster import ClusterError, NotFoundError, Reader, core
from mesh.kube import kinds, objects
from mesh.kube.kinds import Kind
from mesh.model.mode_change import mode_change_of
from mesh.model.snapshot import FaultyPolicy, MeshSettings, NamespaceView, Snapshot
from mesh.model.transparency import Phase, phase_of


@dataclass(frozen=True, slots=True)
class Live:
    """One moment of a cluster, and what every sidecar group should do in it."""

    snapshot: Snapshot
    compilation: Compilation


def read_live(reader: Reader, namespace: str) -> Live:
    """Read the cluster of the mesh in *namespace*. Raises ClusterError, also where there is no mesh."""
    snapshot = Snapshot(_settings(reader, namespace), _namespaces(reader), _zones(reader))
    return Live(snapshot, Compiler().compile(snapshot))


def _settings(reader: Reader, namespace: str) -> MeshSettings:
    found = reader.get(core("configmaps", namespace, names.MESHCONFIG_CONFIGMAP))
    manifest = reader.get(kinds.MESH_CONFIGS.path(namespace, names.MESH_CONFIG_NAME))
    try:
        installation = load_settings((found.get("data") or {}).get(names.MESHCONFIG_CONFIGMAP_KEY, ""))
        spec = parse_mesh_config(manifest).spec
    except InvalidInputError as error:
        raise ClusterError(f"the mesh's settings cannot be read: {error}; run meshctl check") from error
    return mesh_settings(installation, spec, phase_of(manifest) or Phase.PROXYING, mode_change_of(manifest))


def _namespaces(reader: Reader) -> dict[str, NamespaceView]:
    rows: dict[str, objects.NamespaceObject] = {row.metadata.name: row for row in _listed(reader, kinds.NAMESPACES)}
    pods = _by_namespace(_listed(reader, kinds.PODS))
    services = _by_namespace(_listed(reader, kinds.SERVICES))
    slices = _by_namespace(_listed(reader, kinds.ENDPOINT_SLICES))
    policies = _by_namespace(row for kind in kinds.PARSED_POLICIES.values() for row in _listed(reader, kind))
    return {
        name: NamespaceView(
            name,
            row.metadata.labels or {},
            row.metadata.annotations or {},
            tuple(pods.get(name, ())),
            tuple(services.get(name, ())),
            tuple(slices.get(name, ())),
            tuple(policy for policy in policies.get(name, ()) if isinstance(policy, Policy)),
            tuple(policy for policy in policies.get(name, ()) if isinstance(policy, FaultyPolicy)),
        )
        for name, row in sorted(rows.items())
    }


def _zones(reader: Reader) -> dict[str, str]:
    nodes = (reader.get(kinds.NODES.path()).get("items")) or []
    zones = {node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get(names.LABEL_ZONE) for node in nodes}
    return {name: zone for name, zone in zones.items() if zone}


def _listed(reader: Reader, kind: Kind[Any, Any]) -> list[Any]:
    """All objects of a kind as values, in the order of their names; none of a kind that the cluster does not know."""
    try:
        items = reader.get(kind.path()).get("items") or []
    except NotFoundError:
        return []
    items.sort(key=lambda item: item["metadata"]["name"])
    values = [kind.convert(msgspec.convert(item, kind.wire, strict=False)) for item in items]
    return [value for value in values if value is not None]


def _by_namespace(values: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for value in values:
        found.setdefault(value.namespace, []).append(value)
    return found
