"""The mesh of cluster `test` as the end-to-end cases see it: kubectl, meshctl, and what runs in pods."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.api import names
from samples.kubectl import Kubectl
from tests.e2e.apps import App, namespace_object
from tests.e2e.eventually import eventually

NAMESPACE = names.DEFAULT_NAMESPACE
READY_SECONDS = 120.0
_METRIC = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
APP = ("python3", "-I", "-B", "-m", "samples.app")


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of Prometheus text."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class MeshUnderTest:
    """A running mesh. ``image`` is the sample's."""

    kubectl: Kubectl
    cluster: str
    image: str

    def create(self, namespace: str, *apps: App, injected: bool = True) -> None:
        """Create *namespace* with *apps* and wait until all of them serve."""
        self.kubectl.apply(namespace_object(namespace, injected=injected))
        self.deploy(namespace, *apps)

    def deploy(self, namespace: str, *apps: App) -> None:
        """Add or change *apps* and wait until they serve."""
        self.kubectl.apply(*(item for app in apps for item in app.objects(namespace)))
        for app in apps:
            self.kubectl.rollout(namespace, f"deployment/{app.name}", READY_SECONDS)

    def pods(self, namespace: str, app: str) -> list[dict[str, Any]]:
        """Return the living pods of *app*."""
        found = self.kubectl.get("pods", "-n", namespace, "-l", f"app={app}")["items"]
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def pod(self, namespace: str, app: str) -> dict[str, Any]:
        """Return the only pod of *app*."""
        [pod] = self.pods(namespace, app)
        return pod

    def call(self, namespace: str, app: str, *arguments: str, timeout_seconds: float = 60.0) -> list[dict[str, Any]]:
        """Make requests from the first pod of *app*; failed ones are answers, too."""
        return self.ask(namespace, app, "call", *arguments, timeout_seconds=timeout_seconds)

    def ask(
        self, namespace: str, app: str, command_name: str, *arguments: str, timeout_seconds: float = 60.0
    ) -> list[dict[str, Any]]:
        """Run a command of the sample (call, grpc, talk) in the first pod of *app* and return its answers."""
        command = ["-n", namespace, "exec", f"deployment/{app}", "-c", "app", "--", *APP, command_name, *arguments]
        result = subprocess.run(
            self.kubectl.command(*command), capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
        assert result.stdout.startswith("["), result.stdout + result.stderr
        answers: list[dict[str, Any]] = json.loads(result.stdout)
        return answers

    def metrics(self, pod: dict[str, Any]) -> list[Sample]:
        """Scrape a sidecar, as Prometheus would."""
        with urllib.request.urlopen(f"http://{address(pod)}:{names.PORT_METRICS}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return [
            Sample(match["name"], dict(_LABEL.findall(match["labels"] or "")), float(match["value"]))
            for match in _METRIC.finditer(text)
        ]

    def total(self, pod: dict[str, Any], metric: str, **labels: str) -> float:
        """Add up the samples of *metric* that carry *labels*."""
        return sum(
            sample.value
            for sample in self.metrics(pod)
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def sidecar_status(self, pod: dict[str, Any]) -> dict[str, Any]:
        """Ask a sidecar's NGINX for its state, from inside the pod: the port is on loopback."""
        url = f"http://127.0.0.1:{names.PORT_CONTROL}/status"
        program = f"import urllib.request as u; print(u.urlopen('{url}', timeout=5).read().decode())"
        metadata = pod["metadata"]
        output = self.kubectl.run(
            *("-n", metadata["namespace"], "exec", metadata["name"], "-c", names.SIDECAR, "--"),
            *("python3", "-I", "-c", program),
        )
        status: dict[str, Any] = json.loads(output)
        return status

    def controller_status(self) -> dict[str, Any]:
        """Ask the controller for its state, through the API server."""
        service = f"{names.CONTROLLER}:{names.PORT_CONTROLLER_API}"
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{service}/proxy/status"
        status: dict[str, Any] = json.loads(self.kubectl.run("get", "--raw", path))
        return status

    def wait_synced(self, within: float = 30.0) -> None:
        """Wait until every sidecar acknowledged what the controller wants it to serve."""

        def synced() -> bool:
            status = self.controller_status()
            return bool(status["leader"] and status["synced"] == status["total"])

        eventually(synced, within, "every sidecar's acknowledgement")

    def set_mesh_config(self, spec: dict[str, Any]) -> None:
        """Merge *spec* into the MeshConfig, as kubectl edit would."""
        patch = json.dumps({"spec": spec})
        self.kubectl.run(*("-n", NAMESPACE, "patch", "meshconfig", names.MESH_CONFIG_NAME, "--type=merge", "-p", patch))

    def mesh_config(self) -> dict[str, Any]:
        """Return the MeshConfig's spec."""
        spec: dict[str, Any] = self.kubectl.get("meshconfig", names.MESH_CONFIG_NAME, "-n", NAMESPACE)["spec"]
        return spec

    def meshctl(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run meshctl as a user would."""
        command = [sys.executable, "-m", "mesh.ctl", "-k", str(self.kubectl.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True, input=given, timeout=120, check=False)

    def in_node(self, *command: str) -> list[str]:
        """Return the command line that runs *command* in the node's namespaces."""
        return [sys.executable, "-m", "embedded.cluster", "exec", self.cluster, "--", *command]

    def processes(self, pod: dict[str, Any], container: str) -> dict[int, str]:
        """Return the processes of a container, seen from the machine: id -> command line."""
        identifier = container_id(pod, container)
        found = {}
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                try:
                    if identifier in (place / "cgroup").read_text():
                        found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                except OSError:  # it ended while we looked
                    continue
        return found

    def process(self, pod: dict[str, Any], container: str, command: str) -> int:
        """Return the first process of a container whose command line holds *command*."""
        processes = self.processes(pod, container)
        matching = sorted(pid for pid, line in processes.items() if command in line)
        assert matching, f"no {command} in {container} of {pod['metadata']['name']}: {processes}"
        return matching[0]

    def workers(self, pod: dict[str, Any]) -> set[int]:
        """Return the process ids of a sidecar's NGINX workers that are not on their way out."""
        processes = self.processes(pod, names.SIDECAR)
        return {
            pid for pid, line in processes.items() if "nginx: worker process" in line and "shutting down" not in line
        }


def address(pod: dict[str, Any]) -> str:
    """Return the pod's IP address."""
    return str(pod["status"]["podIP"])


def container_id(pod: dict[str, Any], container: str) -> str:
    """Return the runtime's id of a container of *pod*."""
    status = pod["status"]
    rows = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    [row] = [row for row in rows if row["name"] == container]
    return str(row["containerID"]).rpartition("/")[2]


def bodies(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the reports in *answers*, all of which must have succeeded."""
    failed = [answer for answer in answers if answer["status"] != 200]
    assert not failed, failed[:5]
    return [answer["body"] for answer in answers]


def restart_count(pod: dict[str, Any], container: str) -> int:
    """Return how often a container of *pod* was started anew."""
    status = pod["status"]
    rows = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    [row] = [row for row in rows if row["name"] == container]
    return int(row["restartCount"])
