"""Where `meshctl analyze` gets its objects: files, directories, URLs, standard input, or the cluster."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from mesh.api.kinds import POLICY_KINDS
from mesh.ctl.analysis.objects import Tables
from mesh.ctl.analysis.result import Place
from mesh.ctl.cluster import NotFoundError, core, grouped
from mesh.ctl.manifest import parse_manifest

SUFFIXES: Final = (".yaml", ".yml", ".json")


class Getter(Protocol):
    """The part of a cluster that is needed here."""

    def get(self, path: str) -> Any:
        """Return the JSON at *path*. Raises NotFoundError, ClusterError."""


def files_of(source: Path) -> list[Path]:
    """The manifests of a directory and those below it, in the order of their names; a file is itself."""
    if not source.is_dir():
        return [source]
    return sorted(path for path in source.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def add_manifest(tables: Tables, text: str, source: str, namespace: str) -> None:
    """Read the documents of *text*. Raises InvalidInputError, UnreadableObjectError."""
    line = 1
    for part in parse_manifest(text, source).parts:
        line += part.marker.count("\n")
        for manifest in _objects(part.value):
            tables.add(manifest, Place(source, line + _blank_lines(part.text)), namespace)
        line += part.text.count("\n")


def add_cluster(tables: Tables, cluster: Getter) -> None:
    """Read what the controller reads. Raises ClusterError."""
    tables.live = True
    kinds = [
        ("v1", "Namespace", core("namespaces")),
        ("v1", "Service", core("services")),
        ("v1", "Pod", core("pods")),
        ("discovery.k8s.io/v1", "EndpointSlice", grouped("discovery.k8s.io/v1", "endpointslices")),
        *((kind.api_version, kind.kind, grouped(kind.api_version, kind.plural)) for kind in POLICY_KINDS),
    ]
    for version, kind, path in kinds:
        try:
            found = cluster.get(path)
        except NotFoundError:
            continue  # The mesh's own kinds are not there yet.
        for manifest in found.get("items") or ():
            tables.add({**manifest, "apiVersion": version, "kind": kind}, Place("cluster"))


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(value, Mapping):
        return
    if value.get("kind") == "List" and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _objects(item)
    else:
        yield value


def _blank_lines(text: str) -> int:
    """How many lines of a document come before its first word."""
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), 0)
