"""A real cluster `ctest` with two nodes for the tests of this directory, driven by the command line that people use."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedded.cluster import binaries, oci, places, requirements
from embedded.tools import paths

NAME = "ctest"
OTHER = "ctest-other"
_SOURCE = Path(__file__).with_name("probe.c")


def eventually(check: Callable[[], object], what: str, within: float = 60.0) -> None:
    """Wait until *check* holds; a command that fails meanwhile counts as no."""
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(subprocess.CalledProcessError):
            if check():
                return
        assert time.monotonic() < deadline, f"{what}: not within {within} s"
        time.sleep(0.1)


@dataclass(frozen=True)
class Cluster:
    """The command lines of one cluster; ``image`` holds the probe program."""

    name: str
    image: str = ""

    @property
    def where(self) -> places.Places:
        return places.Places(paths.state_root(self.name))

    def cli(self, verb: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``python -m embedded.cluster VERB NAME ...``."""
        done = subprocess.run(
            command(verb, self.name, *arguments), capture_output=True, text=True, timeout=300, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.cli("status", "-o", "json", check=False).stdout)
        return found

    def part(self, name: str) -> dict[str, Any]:
        """What the supervisor says of a part, without asking the API server."""
        return next(part for part in json.loads(self.where.status.read_text())["parts"] if part["name"] == name)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl with time limits of its own; raises CalledProcessError."""
        argv = (
            str(paths.path_of("kubectl")),
            f"--kubeconfig={self.where.kubeconfig}",
            "--request-timeout=20s",
            *arguments,
        )
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, argv, done.stdout, done.stderr)
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", "-o", "json", *arguments))
        return found

    def status_pid(self) -> int:
        """Process id of the supervisor."""
        found: int = json.loads(self.where.status.read_text())["pid"]
        return found

    def create_pod(self, name: str, *command: str, **spec: Any) -> None:
        """Create a pod that runs the probe with *command*."""
        container = {"name": "probe", "image": self.image, "args": list(command), "imagePullPolicy": "Never"}
        container.update(spec.pop("container", {}))
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container], **spec},
        }
        self.kubectl("apply", "-f", "-", stdin=json.dumps(pod))

    def run_pod(self, name: str, *command: str, **spec: Any) -> dict[str, Any]:
        """Create a pod and return it once it is Ready, or has ended well."""
        self.create_pod(name, *command, **spec)

        def settled() -> bool:
            found = self.get("pod", name)["status"]
            assert found["phase"] != "Failed", self.kubectl("logs", name)
            ready = any(one["type"] == "Ready" and one["status"] == "True" for one in found.get("conditions", []))
            return ready or found["phase"] == "Succeeded"

        eventually(settled, f"pod {name}")
        return self.get("pod", name)


def command(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "embedded.cluster", *arguments)


@pytest.fixture(scope="session")
def probe(able: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Archive and reference of the image with the probe program; no test runs without it."""
    assert able is None
    directory = tmp_path_factory.mktemp("probe")
    program = directory / "probe"
    # glibc warns that a static program still loads what nsswitch.conf names; there is none in the image.
    subprocess.run(
        ("gcc", "-Os", "-static", "-Wall", "-o", str(program), str(_SOURCE)), check=True, capture_output=True
    )
    archive = directory / "probe.tar"
    return archive, oci.write_archive(oci.Image("probe", {"probe": program}, ("/probe",)), archive)


@pytest.fixture(scope="session")
def able() -> None:
    """Skip on machines that cannot run a cluster, and say why."""
    try:
        requirements.check()
        binaries.find_all()
    except (requirements.UnmetRequirementError, binaries.MissingToolError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cluster(probe: tuple[Path, str]) -> Iterator[Cluster]:
    """Two nodes, shared by all tests; a test must leave them healthy."""
    archive, reference = probe
    found = Cluster(NAME, reference)
    found.cli("delete")
    try:
        found.cli("start", "--nodes", "2")
        found.cli("load-image", str(archive))
        yield found
    finally:
        if not os.environ.get("KEEP_CLUSTER"):
            found.cli("delete")


@pytest.fixture
def other(probe: tuple[Path, str]) -> Iterator[Cluster]:
    """A second cluster for tests that end it; not started."""
    found = Cluster(OTHER, probe[1])
    found.cli("delete")
    yield found
    found.cli("delete")
