"""MeshConfigClass: says which controller obeys a MeshConfig (contract 6.meshconfig)."""

from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.conditions import PolicyStatus
from mesh.api.schema import member


@dataclass(frozen=True, slots=True)
class MeshConfigClassSpec:
    """The controller of the class."""

    controller_name: str = member("Name of the controller that obeys MeshConfigs of this class.", min_length=1)


MESH_CONFIG_CLASS = crd.Kind(
    group=names.GROUP_NSM,
    kind="MeshConfigClass",
    plural="meshconfigclasses",
    scope="Cluster",
    description="A class of MeshConfigs and the controller that obeys them.",
    versions=(
        crd.Version(
            "v1alpha2", MeshConfigClassSpec, PolicyStatus, columns=(("Controller", "string", ".spec.controllerName"),)
        ),
    ),
)
