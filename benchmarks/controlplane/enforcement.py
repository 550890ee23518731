"""`make bench-enforcement`: the time from a policy at the API server to the last of many real sidecars that enforces it.

A Deployment of injected pods is made in a namespace of its own. A TrafficTarget that allows somebody else comes and goes;
each pod is asked, in plaintext, until its sidecar refuses, and until it lets in again. The clock starts when the API server
tells its watchers of the change, and stops when the last sidecar acted on it.
"""

import argparse
import contextlib
import http.client
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.controlplane.endpoints import quantile
from embedded.tools import paths
from images.build import build
from mesh.api import names
from samples.kubectl import Kubectl, KubectlError

PORT = 8080
READY_SECONDS = 300.0
SETTLE_SECONDS = 30.0
ALLOWED, REFUSED = 200, 403
TARGET = "nobody-calls"


class TooSlowError(RuntimeError):
    """A change did not reach every sidecar in time."""


class Events:
    """When the API server told of the TrafficTarget, by what happened to it."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self._told: dict[str, float] = {}
        self._new = threading.Condition()

    def follow(self) -> None:
        """Read the watch until it ends."""
        for line in self._lines:
            at = time.monotonic()
            with self._new:
                self._told.setdefault(json.loads(line)["type"], at)
                self._new.notify_all()

    def take(self, kind: str) -> float:
        """Wait for an event of *kind* and forget it. Raises TooSlowError."""
        with self._new:
            if not self._new.wait_for(lambda: kind in self._told, SETTLE_SECONDS):
                raise TooSlowError(f"the API server told of no {kind} within {SETTLE_SECONDS:.0f} s")
            return self._told.pop(kind)


def objects(namespace: str, image: str, replicas: int) -> list[dict[str, Any]]:
    """The pods that are asked."""
    labels = {"app": "many"}
    container = {
        "name": "app",
        "image": image,
        "args": ["server", "--port", str(PORT)],
        "ports": [{"containerPort": PORT, "name": "http"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": PORT}, "periodSeconds": 1, "timeoutSeconds": 3},
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
    }
    pod = {"serviceAccountName": "many", "automountServiceAccountToken": False, "containers": [container]}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    metadata = {"name": "many", "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
    ]


def target(namespace: str) -> dict[str, Any]:
    """A policy that lets in somebody who never calls."""
    account = {"kind": "ServiceAccount", "namespace": namespace}
    return {
        "apiVersion": f"{names.GROUP_ACCESS}/v1alpha2",
        "kind": "TrafficTarget",
        "metadata": {"name": TARGET, "namespace": namespace},
        "spec": {"destination": account | {"name": "many"}, "sources": [account | {"name": "somebody-else"}]},
    }


def status_at(address: str) -> int:
    """Ask a pod in plaintext; 0 when it does not answer."""
    connection = http.client.HTTPConnection(address, PORT, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def seconds_until_all(addresses: list[str], status: int, begin: float) -> float:
    """Ask every pod until each has answered *status*. Raises TooSlowError."""
    waiting = list(addresses)
    while waiting:
        waiting = [address for address in waiting if status_at(address) != status]
        if time.monotonic() - begin > SETTLE_SECONDS:
            raise TooSlowError(f"{len(waiting)} sidecars did not answer {status} within {SETTLE_SECONDS:.0f} s")
    return time.monotonic() - begin


@contextlib.contextmanager
def watched(kubectl: Kubectl, namespace: str) -> Iterator[Events]:
    """Follow the namespace's TrafficTargets."""
    path = f"/apis/{names.GROUP_ACCESS}/v1alpha2/namespaces/{namespace}/traffictargets?watch=1"
    with subprocess.Popen(kubectl.command("get", "--raw", path), stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        events = Events(watch.stdout)
        thread = threading.Thread(target=events.follow)
        thread.start()
        try:
            yield events
        finally:
            watch.kill()
            thread.join(10)


def run(kubectl: Kubectl, replicas: int, changes: int) -> list[float]:
    """Make the pods, change the policy *changes* times; the seconds that each took. Raises KubectlError, TooSlowError."""
    namespace = f"bench-enforcement-{secrets.token_hex(3)}"
    [sample] = build(("mesh-sample",))
    labels = {names.LABEL_AUTO_INJECT: names.AUTO_INJECT_ENABLED}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    try:
        kubectl.apply(*objects(namespace, sample.reference, replicas))
        kubectl.rollout(namespace, "deployment/many", READY_SECONDS)
        pods = kubectl.get("pods", "-n", namespace)["items"]
        addresses = [pod["status"]["podIP"] for pod in pods]
        seconds_until_all(addresses, ALLOWED, time.monotonic())
        found = []
        with watched(kubectl, namespace) as events:
            for number in range(changes):
                if number % 2 == 0:
                    kubectl.apply(target(namespace))
                    found.append(seconds_until_all(addresses, REFUSED, events.take("ADDED")))
                else:
                    kubectl.run("-n", namespace, "delete", "traffictarget", TARGET, "--wait=false")
                    found.append(seconds_until_all(addresses, ALLOWED, events.take("DELETED")))
        return found
    finally:
        kubectl.run("delete", "namespace", namespace, "--wait=false")


def main() -> int:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.controlplane.enforcement", description=__doc__)
    parser.add_argument("--cluster", default="dev", help="an embedded cluster with the mesh and the sample")
    parser.add_argument("--sidecars", type=int, default=20)
    parser.add_argument("--changes", type=int, default=100)
    options = parser.parse_args()
    try:
        seconds = run(Kubectl(paths.state_root(options.cluster) / "kubeconfig"), options.sidecars, options.changes)
    except (KubectlError, TooSlowError) as error:
        print(f"enforcement: {error}", file=sys.stderr)
        return 1
    quantiles = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    shown = {name: round(quantile(seconds, share) * 1000) for name, share in quantiles.items()}
    print(json.dumps({"changes": len(seconds), "sidecars": options.sidecars, "milliseconds": shown}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
