"""meshctl check on the real mesh: all green, and what breaks is named with a repair that works (contract 10.check)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mesh.api import names
from tests.e2e.apps import App, namespace_object
from tests.e2e.eventually import eventually
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest

BUS = f"deployment/{names.NATS_SERVER}"


def check(mesh: MeshUnderTest, *arguments: str) -> dict[str, Any]:
    result = mesh.meshctl("check", "-o", "json", *arguments)
    assert result.stdout.startswith("{"), result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    assert result.returncode == (0 if document["ok"] else 1)
    return document


def failed(document: dict[str, Any]) -> list[dict[str, str]]:
    return [row for row in document["findings"] if row["level"] == "failure"]


@pytest.mark.spec("10.check")
def test_every_line_is_green(mesh: MeshUnderTest, pair_of_apps: str) -> None:
    assert pair_of_apps
    document = check(mesh, "--wait", "60s")
    assert [row for row in document["findings"] if row["level"] != "ok"] == []
    assert {row["category"] for row in document["findings"]} == {
        *("cluster", "spire", "nats", "controller", "webhooks", "sidecars")
    }


@pytest.fixture
def no_bus(mesh: MeshUnderTest) -> Iterator[None]:
    """The bus scaled to nothing, and back."""
    mesh.kubectl.run("-n", NAMESPACE, "scale", BUS, "--replicas=0")
    yield
    mesh.kubectl.run("-n", NAMESPACE, "scale", BUS, "--replicas=1")
    mesh.kubectl.rollout(NAMESPACE, BUS, 90)
    mesh.wait_synced(60)


@pytest.mark.spec("10.check")
@pytest.mark.usefixtures("no_bus")
def test_a_missing_bus_is_named_and_its_repair_works(mesh: MeshUnderTest) -> None:
    eventually(lambda: any("bus" in row["subject"] for row in failed(check(mesh))), 30, "the failed line")
    [row] = [row for row in failed(check(mesh)) if row["subject"] == f"{names.NATS_SERVER} is ready"]
    assert "scaled to 0" in row["cause"]
    assert row["repair"].startswith("kubectl ")
    mesh.kubectl.run(*row["repair"].split()[1:])
    mesh.kubectl.rollout(NAMESPACE, BUS, 90)
    assert check(mesh, "--wait", "90s")["ok"]


@pytest.mark.spec("10.check")
def test_a_pod_from_before_its_label_is_named_and_its_repair_works(mesh: MeshUnderTest, namespace: str) -> None:
    mesh.create(namespace, App("early", mesh.image, (8080,), {"early": (80, 8080)}), injected=False)
    mesh.kubectl.apply(namespace_object(namespace, injected=True))
    [row] = failed(check(mesh))
    assert f"{namespace}/early-" in row["cause"]
    mesh.kubectl.run(*row["repair"].split()[1:])
    mesh.kubectl.rollout(namespace, "deployment/early", 120)
    assert check(mesh, "--wait", "90s")["ok"]


@pytest.mark.spec("10.status")
def test_status_and_versions_show_the_running_mesh(mesh: MeshUnderTest, pair_of_apps: str) -> None:
    document = json.loads(mesh.meshctl("status", "-o", "json").stdout)
    assert document["bus_connected"]
    assert {row["name"]: row["ready"] for row in document["parts"]} == {
        row["name"]: row["desired"] for row in document["parts"]
    }
    [row] = [row for row in document["sidecars"] if row["namespace"] == pair_of_apps]
    assert row == {"namespace": pair_of_apps, "sidecars": 2, "ready": 2, "current": 2}
    versions = json.loads(mesh.meshctl("version", "--server", "-o", "json").stdout)["versions"]
    assert versions[names.CONTROLLER] == versions[names.SIDECAR] == versions["nginx-meshctl"]


@pytest.mark.spec("10.config")
def test_config_prints_what_the_mesh_runs_with(mesh: MeshUnderTest) -> None:
    document = json.loads(mesh.meshctl("config").stdout)
    assert document["mtls"]["mode"] == mesh.mesh_config()["mtls"]["mode"]
    assert document["namespace"] == NAMESPACE
