"""CustomResourceDefinitions as values: a kind with its versions in, the manifest that Kubernetes takes out.

Groups, versions, plurals and short names are NSM's (contract 7.kinds); schemas come from ``mesh.api.schema``. Status is
a subresource of every kind, so that who may write a policy may not write what became of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mesh.api import names, schema
from mesh.api.errors import InvalidInputError, Problem, quote

AGE = ("Age", "date", ".metadata.creationTimestamp")


@dataclass(frozen=True, slots=True)
class Version:
    """One served version. ``columns`` are (title, type, JSON path) of `kubectl get`, ``wide`` those that only `-o wide` shows."""

    name: str
    spec: type
    status: type
    spec_required: bool = True
    storage: bool = True
    columns: tuple[tuple[str, str, str], ...] = ()
    wide: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A custom resource."""

    group: str
    kind: str
    plural: str
    description: str
    versions: tuple[Version, ...]
    short_names: tuple[str, ...] = ()
    scope: Literal["Namespaced", "Cluster"] = "Namespaced"

    @property
    def name(self) -> str:
        """Name of the definition object."""
        return f"{self.plural}.{self.group}"

    @property
    def stored(self) -> Version:
        """The version in which objects are kept."""
        return next(version for version in self.versions if version.storage)

    @property
    def api_version(self) -> str:
        """``group/version`` of the stored version."""
        return f"{self.group}/{self.stored.name}"


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition manifest of a kind."""
    spelling: dict[str, Any] = {
        "kind": kind.kind,
        "listKind": kind.kind + "List",
        "plural": kind.plural,
        "singular": kind.kind.lower(),
    }
    if kind.short_names:
        spelling["shortNames"] = list(kind.short_names)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.name, "labels": {names.LABEL_PART_OF: names.PART_OF}},
        "spec": {
            "group": kind.group,
            "scope": kind.scope,
            "names": spelling,
            "versions": [_version(kind, version) for version in kind.versions],
        },
    }


def _version(kind: Kind, version: Version) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "description": kind.description,
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string", "description": "Group and version of this object."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            "spec": schema.open_api(version.spec, "What is wanted."),
            "status": schema.open_api(version.status, "What became of it."),
        },
    }
    if version.spec_required:
        whole["required"] = ["spec"]
    return {
        "name": version.name,
        "served": True,
        "storage": version.storage,
        "schema": {"openAPIV3Schema": whole},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            *(_column(*column) for column in (*version.columns, AGE)),
            *({**_column(*column), "priority": 1} for column in version.wide),
        ],
    }


def _column(title: str, type_: str, path: str) -> dict[str, Any]:
    return {"name": title, "type": type_, "jsonPath": path}


def parse_spec(kind: Kind, manifest: Mapping[str, Any], *, strict: bool = False) -> Any:
    """Read ``spec`` of an object of *kind* by the declaration of the version that it names.

    Returns an instance of that version's ``spec`` declaration; ``strict`` refuses what it does not declare. Raises
    InvalidInputError.
    """
    named = manifest.get("apiVersion")
    for version in kind.versions:
        if named == f"{kind.group}/{version.name}" and manifest.get("kind") == kind.kind:
            absent: Any = None if version.spec_required else {}
            given = manifest.get("spec")
            return schema.parse(version.spec, absent if given is None else given, "spec", strict=strict)
    takes = " or ".join(f"{kind.group}/{version.name} {kind.kind}" for version in kind.versions)
    raise InvalidInputError([Problem("apiVersion and kind", quote(f"{named} {manifest.get('kind')}"), takes)])
