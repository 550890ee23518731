"""Diff of one resource: what changes, what of it replaces the object, and which of the two comes first."""

from dataclasses import dataclass, field

from pulumi.runtime.proto import provider_pb2 as pb

from embedded.plugins.kubernetes import diff, force_new, scope
from embedded.plugins.kubernetes.check import is_autonamed
from embedded.plugins.kubernetes.cluster import Cluster
from embedded.plugins.kubernetes.normalise import normalised
from embedded.plugins.kubernetes.properties import Object, Unknown
from embedded.plugins.kubernetes.prune import pruned

_KINDS = {
    "add": (pb.PropertyDiff.ADD, pb.PropertyDiff.ADD_REPLACE),
    "delete": (pb.PropertyDiff.DELETE, pb.PropertyDiff.DELETE_REPLACE),
    "update": (pb.PropertyDiff.UPDATE, pb.PropertyDiff.UPDATE_REPLACE),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """An answer to the engine's Diff."""

    detailed: dict[str, pb.PropertyDiff] = field(default_factory=dict)
    replaces: list[str] = field(default_factory=list)
    delete_first: bool = False

    @property
    def members(self) -> list[str]:
        """The changed members at the top."""
        return sorted({str(diff.parse_path(path)[0]) for path in self.detailed})


def between(live: Object, old_inputs: Object, new_inputs: Object, ignored: list[str], cluster: Cluster) -> Difference:
    """What the new inputs change on the object that the state knows."""
    old, new = normalised(old_inputs), normalised(new_inputs)
    known = pruned(live, old) if old else live
    # The object's own name and namespace are known even where the inputs leave them out.
    if isinstance(known.get("metadata"), dict) and isinstance(new.get("metadata"), dict):
        identity = _identity(live, cluster)
        known["metadata"].update({key: value for key, value in identity.items() if key in new["metadata"]})
    skipped = [diff.parse_path(path) for path in ignored]
    found = [
        change
        for change in diff.changes(known, new, old)
        if not any(diff.contains(path, change.path) for path in skipped)
    ]
    options = cluster.options
    frozen = force_new.frozen_paths(
        new, config_map_mutable=options.config_map_mutable, secret_mutable=options.secret_mutable
    )
    detailed: dict[str, pb.PropertyDiff] = {}
    replaces: list[str] = []
    for change in found:
        path, replacing = diff.text_of(change.path), force_new.replaces(change, frozen)
        detailed[path] = pb.PropertyDiff(kind=_KINDS[change.kind][replacing], inputDiff=change.kind == "delete")
        if replacing:
            replaces.append(path)
    return Difference(detailed, replaces, bool(replaces) and _same_name(live, new, cluster))


def _identity(live: Object, cluster: Cluster) -> Object:
    metadata = live.get("metadata", {})
    result = {"name": metadata.get("name")}
    if scope.is_namespaced(cluster, live):
        result["namespace"] = metadata.get("namespace") or "default"
    return result


def _same_name(live: Object, new: Object, cluster: Cluster) -> bool:
    """Whether old and new cannot stand side by side: same name and namespace, and the name is not ours to change."""
    metadata, old = new.get("metadata"), _identity(live, cluster)
    if not isinstance(metadata, dict) or is_autonamed(new) or isinstance(metadata.get("name"), Unknown):
        return False
    return metadata.get("name") == old["name"] and (metadata.get("namespace") or old.get("namespace")) == old.get(
        "namespace"
    )
