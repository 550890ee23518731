"""Judge a change to a MeshConfig before it is made (contract 6.meshconfig). The same parser reads it when it is applied."""

from collections.abc import Iterator, Mapping
from typing import Any

from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.mesh_config import parse_mesh_config


def mesh_config_problems(
    operation: str, name: str, namespace: str, manifest: Mapping[str, Any] | None, mesh_namespace: str
) -> tuple[Problem, ...]:
    """Say why a CREATE, UPDATE or DELETE of a MeshConfig cannot be; *manifest* is the object as it would become."""
    if operation == "DELETE":
        return tuple(_deletion_problems(name, namespace, mesh_namespace))
    return tuple(_object_problems(name, namespace, manifest or {}, mesh_namespace))


def _deletion_problems(name: str, namespace: str, mesh_namespace: str) -> Iterator[Problem]:
    if (namespace, name) == (mesh_namespace, names.MESH_CONFIG_NAME):
        remedy = "edit it to change the mesh; remove the mesh to remove it"
        yield Problem("MeshConfig", "its deletion", "no deletion while the mesh runs", remedy)


def _object_problems(name: str, namespace: str, manifest: Mapping[str, Any], mesh_namespace: str) -> Iterator[Problem]:
    if (namespace, name) != (mesh_namespace, names.MESH_CONFIG_NAME):
        only = quote(f"{mesh_namespace}/{names.MESH_CONFIG_NAME}")
        yield Problem("metadata.name", quote(f"{namespace}/{name}"), f"{only}, the one that counts", "edit that one")
    try:
        config = parse_mesh_config(manifest)
    except InvalidInputError as error:
        yield from error.problems
        return
    expected = names.mesh_config_class(mesh_namespace)
    if config.spec.mesh_config_class_name != expected:
        yield Problem("spec.meshConfigClassName", quote(config.spec.mesh_config_class_name), quote(expected))
