"""The Pulumi program against the running mesh: no drift, settings that change it, settings that are refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.apps import App
from tests.e2e.eventually import eventually
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest
from tests.e2e.program import Program

BAD_SETTINGS = {
    "nginx-mesh:mtls": {"mode": "maybe", "caTTL": "23h", "svidTTL": "0h", "trustDomain": "spiffe://Example"},
    "nginx-mesh:nginxLBMethod": "fastest",
    "nginx-mesh:unheardOf": "1",
}
NAMED = ("mtls.mode", "maybe", "mtls.caTTL", "23h", "mtls.svidTTL", "mtls.trustDomain", "nginxLBMethod", "unheardOf")


@pytest.fixture
def program(mesh: MeshUnderTest) -> Program:
    """The program on the stack of the cluster."""
    return Program(mesh.cluster)


@pytest.mark.spec("10.no-drift")
def test_a_second_up_changes_nothing(program: Program) -> None:
    """caBundles, status, defaults and what the controller writes are nobody's drift, also after a refresh."""
    assert "unchanged" in program.up("--expect-no-changes")
    program.succeed("preview", "--refresh", "--expect-no-changes")


@pytest.fixture
def strict(program: Program) -> Iterator[None]:
    """The stack in mode strict; its settings as they were afterwards."""
    kept = program.settings_file.read_bytes()
    program.succeed("config", "set", "--path", "mtls.mode", "strict")
    program.up()
    yield
    program.settings_file.write_bytes(kept)
    program.up()


@pytest.mark.spec("10.up")
@pytest.mark.usefixtures("strict")
def test_a_setting_reaches_the_running_mesh_without_a_restart(
    mesh: MeshUnderTest, namespace: str, outside: str, request: pytest.FixtureRequest
) -> None:
    """mtls.mode from strict back to what it was, by the stack: the mesh follows, and no pod is made anew."""
    mesh.create(namespace, App("web", mesh.image, (8080,), {"web": (80, 8080)}))
    mesh.create(outside, App("stranger", mesh.image, (8080,), {"stranger": (80, 8080)}), injected=False)
    assert mesh.mesh_config()["mtls"]["mode"] == "strict"

    def from_outside() -> int:
        return int(mesh.call(outside, "stranger", f"http://web.{namespace}/")[0]["status"])

    eventually(lambda: from_outside() in {0, 400}, 20, "strict refusing plaintext")
    pods = identities(mesh, namespace)
    program: Program = request.getfixturevalue("program")
    program.succeed("config", "set", "--path", "mtls.mode", "permissive")
    program.up()
    eventually(lambda: from_outside() == 200, 20, "permissive taking plaintext")
    assert identities(mesh, namespace) == pods


def identities(mesh: MeshUnderTest, namespace: str) -> set[tuple[str, int]]:
    """Pods of the mesh and of *namespace*, with how often a container of theirs was started anew."""
    found = [pod for place in (NAMESPACE, namespace) for pod in mesh.kubectl.get("pods", "-n", place)["items"]]
    return {
        (pod["metadata"]["uid"], sum(row["restartCount"] for row in pod["status"]["containerStatuses"]))
        for pod in found
    }


@pytest.mark.spec("10.settings")
def test_wrong_settings_are_refused_together_before_anything_changes(
    mesh: MeshUnderTest, program: Program, tmp_path: Path
) -> None:
    """Every wrong key is named with its value in one answer, and no object of the mesh is touched."""
    settings = yaml.safe_load(program.settings_file.read_text(encoding="utf-8"))
    settings["config"] |= BAD_SETTINGS
    bad = tmp_path / program.settings_file.name
    bad.write_text(yaml.safe_dump(settings), encoding="utf-8")
    before = versions(mesh)
    result = program.run("up", "--yes", "--skip-preview", "--config-file", str(bad))
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert [text for text in NAMED if text not in said] == [], said
    assert versions(mesh) == before


def versions(mesh: MeshUnderTest) -> dict[str, str]:
    """Generation of each workload and of the MeshConfig: it grows with every change of what is wanted."""
    found = mesh.kubectl.get("deployments,statefulsets,daemonsets,meshconfigs", "-n", NAMESPACE)["items"]
    return {f"{item['kind']}/{item['metadata']['name']}": str(item["metadata"]["generation"]) for item in found}


@pytest.mark.spec("10.import")
def test_an_existing_object_is_imported(program: Program, mesh: MeshUnderTest, namespace: str) -> None:
    """pulumi import takes over an object that somebody else made, as it is: the state knows its content afterwards."""
    name = namespace.replace("e2e-", "imported-")
    mesh.kubectl.run("-n", NAMESPACE, "create", "configmap", name, f"--from-literal=made-by={namespace}")
    try:
        resource = ("kubernetes:core/v1:ConfigMap", name, f"{NAMESPACE}/{name}")
        program.succeed("import", *resource, "--yes", "--protect=false", "--generate-code=false")
        state = json.loads(program.succeed("stack", "export"))
        [imported] = [row for row in state["deployment"]["resources"] if row["urn"].endswith(f"::{name}")]
        assert imported["outputs"]["data"] == {"made-by": namespace}
        # The program does not declare it, so the next update removes it, and nothing else.
        assert "- 1 deleted" in program.up()
    finally:
        mesh.kubectl.run("-n", NAMESPACE, "delete", "configmap", name, "--ignore-not-found")
