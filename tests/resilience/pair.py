"""Two injected, strict workloads that the hard cases put under load, and what is read from their sidecars."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.controlplane.sidecar_view import control_status
from mesh.api import names
from tests.e2e.apps import App
from tests.e2e.eventually import eventually
from tests.e2e.load import Load
from tests.e2e.mesh_under_test import MeshUnderTest

CALLER, SERVER = "caller", "server"
PORT, SERVICE_PORT = 8080, 80
RATE = 200.0
STRICT = {names.ANNOTATION_MTLS_MODE: "strict"}
AGENT = "mesh.sidecar"
WORKER = "nginx: worker process"
MASTER = "nginx: master process"
# Counters that only grow as long as the pod lives, whatever dies in it.
COUNTERS = ("nginx_mesh_http_requests_total", "nginxplus_upstream_server_requests", "nginx_mesh_handshakes_total")


def app(name: str, image: str, replicas: int = 1) -> App:
    """A strict workload that serves HTTP on one port, behind a Service of its name."""
    return App(name, image, ports=(PORT,), services={name: (SERVICE_PORT, PORT)}, replicas=replicas, annotations=STRICT)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One pod's sidecar as seen from the machine: its processes, and its control socket through one of them."""

    mesh: MeshUnderTest
    pod: dict[str, Any]

    def pid(self, command: str) -> int:
        """Process id of the first process whose command line holds *command*."""
        return self.mesh.process(self.pod, names.SIDECAR, command)

    def agent(self) -> int:
        """Process id of the agent, 0 while there is none; the first process of the container names it, too, but starts otherwise."""
        processes = self.mesh.processes(self.pod, names.SIDECAR)
        return next((pid for pid, line in processes.items() if line.startswith("python") and AGENT in line), 0)

    def processes(self) -> dict[str, Any]:
        """What must stay the same when nothing is killed: NGINX's master and workers."""
        return {"master": self.pid(MASTER), "workers": self.mesh.workers(self.pod)}

    def status(self) -> dict[str, Any]:
        """What NGINX has applied; asks its control socket, through a process of the container that lives."""
        return control_status(self.pid(""))

    def counters(self) -> dict[str, float]:
        """Totals of the counters that must outlive every process."""
        return {name: self.mesh.total(self.pod, name) for name in COUNTERS}


@dataclass(frozen=True, slots=True)
class Pair:
    """A caller and a server of one namespace, each in one pod."""

    mesh: MeshUnderTest
    namespace: str

    @property
    def url(self) -> str:
        """The server as the caller names it."""
        return f"http://{SERVER}.{self.namespace}/resilience"

    @property
    def caller(self) -> Sidecar:
        """The caller's sidecar."""
        return Sidecar(self.mesh, self.mesh.pod(self.namespace, CALLER))

    @property
    def server(self) -> Sidecar:
        """The server's sidecar."""
        return Sidecar(self.mesh, self.mesh.pod(self.namespace, SERVER))

    def load(self, seconds: float, *more: str, rate: float = RATE) -> Load:
        """Steady requests from the caller to the server."""
        return Load(self.mesh, self.namespace, CALLER, self.url, seconds, rate, *more)

    def assert_calls_work(self) -> None:
        """A new connection of the caller is answered, and by mutual TLS: the server's sidecar names its caller."""
        [answer] = self.mesh.call(self.namespace, CALLER, self.url)
        assert answer["status"] == 200, answer
        fields = {name.lower(): value for name, value in answer["body"]["headers"].items()}
        assert fields.get("x-mesh-peer-identity", "").endswith(f"/ns/{self.namespace}/sa/{CALLER}"), fields

    def assert_newcomer_works(self, name: str, within: float = 180.0) -> None:
        """A new workload is injected, gets identity and configuration, and can be called: every part does its work."""
        newcomer = app(name, self.mesh.image)
        self.mesh.kubectl.apply(*newcomer.objects(self.namespace))
        try:
            self.mesh.kubectl.rollout(self.namespace, f"deployment/{name}", within)

            def answered() -> bool:
                [answer] = self.mesh.call(self.namespace, CALLER, f"http://{name}.{self.namespace}/")
                return bool(answer["status"] == 200)

            eventually(answered, 30, f"an answer of {name}")
        finally:
            for kind in ("deployment", "service"):
                self.mesh.kubectl.run("-n", self.namespace, "delete", kind, name, "--wait=false")


def assert_grown(before: dict[str, float], after: dict[str, float]) -> None:
    """No counter began anew."""
    assert all(after[name] >= value for name, value in before.items()), (before, after)
    assert after[COUNTERS[0]] > before[COUNTERS[0]], (before, after)


def kill(pid: int, number: int) -> None:
    """Send a signal to one process of a container."""
    assert Path(f"/proc/{pid}").exists()
    os.kill(pid, number)


@contextmanager
def mesh_config(mesh: MeshUnderTest, **changes: dict[str, Any]) -> Iterator[None]:
    """Change the MeshConfig as an operator would, and put back what was there."""
    before = mesh.mesh_config()
    mesh.set_mesh_config(changes)
    try:
        yield
    finally:
        old = {group: {key: (before.get(group) or {}).get(key) for key in values} for group, values in changes.items()}
        mesh.set_mesh_config(old)


def wait_moment(load_began: float, seconds: float) -> None:
    """Let the load run until *seconds* after its begin, so that what comes next falls into its middle."""
    while (left := load_began + seconds - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
