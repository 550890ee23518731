"""The global mode changes under traffic, and nobody is refused (contract 3.mode-changes)."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from mesh.api import names
from mesh.api.mesh_config import CONDITION_MODE
from tests.e2e.apps import App
from tests.e2e.eventually import eventually
from tests.e2e.load import Load, assert_no_failure
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest, bodies

HTTP, TCP, GRPC = 8080, 9000, 9090
RATE = 60.0
# A step takes as long as the last sidecar; nobody may be left behind here.
WITHIN = 60.0
LOAD_SECONDS = 300.0


@pytest.fixture
def restored_mode(mesh: MeshUnderTest) -> Iterator[None]:
    """Puts the global mode back."""
    mode = mesh.mesh_config().get("mtls", {}).get("mode")
    yield
    reach(mesh, mode)


def condition(mesh: MeshUnderTest) -> dict[str, Any]:
    """The MeshConfig's word about its mode."""
    status = mesh.kubectl.get("meshconfig", names.MESH_CONFIG_NAME, "-n", NAMESPACE)["status"]
    [row] = [row for row in status["conditions"] if row["type"] == CONDITION_MODE]
    found: dict[str, Any] = row
    return found


def reach(mesh: MeshUnderTest, mode: str) -> None:
    """Change the mode and wait until it is in force everywhere."""
    mesh.set_mesh_config({"mtls": {"mode": mode}})
    eventually(lambda: condition(mesh)["reason"] == mode.capitalize(), WITHIN, f"{mode} in force")
    mesh.wait_synced()


@pytest.mark.spec("3.mode-changes", "3.modes")
@pytest.mark.timeout(420)
@pytest.mark.usefixtures("restored_mode")
def test_no_call_is_refused_from_strict_to_off_and_back(mesh: MeshUnderTest, namespace: str) -> None:
    """HTTP and gRPC without a pause, a connection for each, and TCP in every mode; one pod is off by its own wish where it may."""
    services = {"web": (80, HTTP), "web-tcp": (6000, TCP), "web-grpc": (50051, GRPC)}
    mesh.create(
        namespace,
        App("web", mesh.image, (HTTP,), services, replicas=2, tcp_ports=(TCP,), grpc_ports=(GRPC,)),
        App("own", mesh.image, (HTTP,), {"own": (80, HTTP)}, annotations={names.ANNOTATION_MTLS_MODE: "off"}),
        App("caller", mesh.image, (HTTP,)),
    )
    mesh.wait_synced()
    reach(mesh, "strict")

    def peer() -> str:
        [body] = bodies(mesh.call(namespace, "caller", "http://web/"))
        return str(body["headers"].get("X-Mesh-Peer-Identity", ""))

    with (
        Load(mesh, namespace, "caller", "http://web/", LOAD_SECONDS, RATE) as kept,
        Load(mesh, namespace, "caller", "http://own/", LOAD_SECONDS, RATE / 2, "--no-keepalive") as new,
        Load(mesh, namespace, "own", "http://web/", LOAD_SECONDS, RATE / 2, "--no-keepalive") as back,
    ):
        for mode, by_mtls in (("off", False), ("strict", True), ("permissive", True), ("strict", True), ("off", False)):
            reach(mesh, mode)
            assert bool(peer()) is by_mtls
            told = mesh.ask(namespace, "caller", "talk", *["web-tcp:6000"] * 10)
            assert [answer["received"] for answer in told] == ["hello"] * 10, (mode, told)
            called = mesh.ask(namespace, "caller", "grpc", *["web-grpc:50051"] * 10)
            assert [answer["status"] for answer in called] == ["OK"] * 10, (mode, called)
        reports = [load.stop() for load in (kept, new, back)]
    for report in reports:
        assert_no_failure(report)
    print(f"{sum(report['sent'] for report in reports)} requests over 5 changes of the mode, 0 failed")


def agent_of(mesh: MeshUnderTest, pod: dict[str, Any]) -> int:
    """The agent's process; its parent has the same words on its command line, behind its own name."""
    [agent] = [pid for pid, line in mesh.processes(pod, names.SIDECAR).items() if line.startswith("python")]
    return agent


@pytest.mark.spec("3.mode-changes")
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("restored_mode")
def test_a_sidecar_that_has_not_heard_is_waited_for(mesh: MeshUnderTest, namespace: str) -> None:
    """An agent that stands still keeps the mesh in the step that it understands; the status names its pod."""
    mesh.create(
        namespace,
        App("web", mesh.image, (HTTP,), {"web": (80, HTTP)}),
        App("caller", mesh.image, (HTTP,)),
    )
    reach(mesh, "off")
    for mode, late in (("strict", "caller"), ("off", "web"), ("strict", "web"), ("off", "caller")):
        pod = mesh.pod(namespace, late)
        agent = agent_of(mesh, pod)
        os.kill(agent, signal.SIGSTOP)
        try:
            mesh.set_mesh_config({"mtls": {"mode": mode}})
            waits = f"waiting for {namespace}/{pod['metadata']['name']}"
            eventually(lambda text=waits: text in condition(mesh)["message"], WITHIN, waits)  # type: ignore[misc]
            bodies(mesh.call(namespace, "caller", *["http://web/"] * 20))
        finally:
            os.kill(agent, signal.SIGCONT)
        reach(mesh, mode)
        bodies(mesh.call(namespace, "caller", *["http://web/"] * 20))
