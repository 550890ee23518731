"""What the validating webhook says to changes of a MeshConfig (contract 6.meshconfig)."""

from typing import Any

import pytest

from mesh.admission.validate_mesh_config import mesh_config_problems
from mesh.api import names

CLASS = "nginx-mesh-meshconfig-class"


def manifest(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nsm.nginx.com/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": names.MESH_CONFIG_NAME, "namespace": "nginx-mesh"},
        "spec": {"meshConfigClassName": CLASS, **spec},
    }


def judge(
    operation: str, body: dict[str, Any] | None, name: str = names.MESH_CONFIG_NAME, namespace: str = "nginx-mesh"
) -> str:
    return "; ".join(map(str, mesh_config_problems(operation, name, namespace, body, "nginx-mesh")))


@pytest.mark.spec("6.meshconfig")
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_a_good_one_passes(operation: str) -> None:
    """All defaults, and changes of the modes."""
    assert judge(operation, manifest()) == ""
    assert judge(operation, manifest(accessControlMode="deny")) == ""
    assert judge(operation, manifest(mtls={"mode": "strict"})) == ""


@pytest.mark.spec("6.meshconfig")
@pytest.mark.parametrize(
    ("body", "place"),
    [
        (manifest(mtls={"mode": "lax"}), "spec.mtls.mode"),
        (manifest(mtls={"svidTTL": "999h", "caTTL": "24h"}), "spec.mtls.svidTTL"),
        (manifest(clientMaxBodySize="1x"), "spec.clientMaxBodySize"),
        (manifest(meshConfigClassName="other"), "spec.meshConfigClassName"),
        (manifest(accessControlMode="some"), "spec.accessControlMode"),
    ],
)
def test_what_cannot_work_is_refused_by_field(body: dict[str, Any], place: str) -> None:
    """The same parser reads it when it is applied."""
    assert judge("UPDATE", body).startswith(place)


@pytest.mark.spec("6.meshconfig")
@pytest.mark.parametrize(("name", "namespace"), [("second", "nginx-mesh"), (names.MESH_CONFIG_NAME, "shop")])
def test_a_second_one_is_refused(name: str, namespace: str) -> None:
    """The answer names the one that counts."""
    assert "nginx-mesh/nginx-mesh-config" in judge("CREATE", manifest(), name, namespace)


@pytest.mark.spec("6.meshconfig")
def test_its_deletion_is_refused_and_that_of_others_is_not() -> None:
    """A stray one may be cleared away."""
    assert "deletion" in judge("DELETE", None)
    assert judge("DELETE", None, "second") == ""
