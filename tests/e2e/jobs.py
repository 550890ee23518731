"""Jobs and programs of the cases about a pod's first and last moments."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mesh.api import names
from samples.kubectl import KubectlError
from tests.e2e.mesh_under_test import MeshUnderTest

END_SECONDS = 5.0
# As early and as small as a program can be; a call that went past the mesh is a failure, too.
HASTY = """
import socket
with socket.create_connection(("web", 80), 10) as connection:
    connection.sendall(b"GET / HTTP/1.1\\r\\nHost: web\\r\\nConnection: close\\r\\n\\r\\n")
    answer = b"".join(iter(lambda: connection.recv(65536), b""))
assert answer.startswith(b"HTTP/1.1 200 ") and b"X-Mesh-Peer-Identity" in answer, answer
"""
HASTY_AND_LOUD = HASTY + 'print("answered", flush=True)\n'


def python(program: str) -> list[str]:
    """The command that runs *program*, with as little before it as can be."""
    return ["python3", "-I", "-S", "-c", program]


def job(mesh: MeshUnderTest, command: list[str], policy: str = "Never", **spec: Any) -> dict[str, Any]:
    """A Job's spec: one container, which may write to /work."""
    container = {
        "name": "app",
        "image": mesh.image,
        "command": command,
        "volumeMounts": [{"name": "work", "mountPath": "/work"}],
        "resources": {"requests": {"cpu": "5m", "memory": "24Mi"}},
    }
    pod = {
        "restartPolicy": policy,
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "work", "emptyDir": {}}],
    }
    return {"backoffLimit": 0 if policy == "Never" else 3, "template": {"spec": pod}, **spec}


def create(mesh: MeshUnderTest, namespace: str, kind: str, name: str, spec: dict[str, Any]) -> None:
    """Create a Job or CronJob."""
    metadata = {"name": name, "namespace": namespace}
    mesh.kubectl.apply({"apiVersion": "batch/v1", "kind": kind, "metadata": metadata, "spec": spec})


@dataclass(frozen=True, slots=True)
class Ended:
    """A pod of a Job that has ended."""

    pod: dict[str, Any]

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    def finished(self, container: str) -> datetime:
        """When a container of it ended."""
        status = self.pod["status"]
        rows = [*(status.get("initContainerStatuses") or []), *status["containerStatuses"]]
        [row] = [row for row in rows if row["name"] == container]
        return datetime.fromisoformat(row["state"]["terminated"]["finishedAt"])

    def seconds_after_work(self) -> float:
        """From the end of the application's container to that of the sidecar, in whole seconds as the kubelet tells."""
        return (self.finished(names.SIDECAR) - self.finished("app")).total_seconds()


def finish(mesh: MeshUnderTest, namespace: str, name: str, seconds: float) -> list[Ended]:
    """Wait for the end of a Job, which must be a good one, and of its sidecars."""
    wait = ("-n", namespace, "wait", f"job/{name}", "--for=condition=Complete", f"--timeout={seconds:.0f}s")
    try:
        mesh.kubectl.run(*wait, timeout_seconds=seconds + 10)
    except KubectlError as error:
        logs = mesh.kubectl.run("-n", namespace, "logs", "-l", f"job-name={name}", "-c", "app", "--tail=5", "--prefix")
        raise AssertionError(f"{error}\n{logs}") from error
    pods = mesh.kubectl.get("pods", "-n", namespace, "-l", f"job-name={name}")["items"]
    return [Ended(pod) for pod in pods]
