"""`make bench-propagation`: the time from a change of an EndpointSlice to the last sidecar that routes by it.

Needs root on the machine that runs the cluster's nodes, and a namespace with injected pods. A Service of its own gets and
loses one endpoint, again and again; nothing calls it, so that nothing fails when the benchmark is stopped.
"""

import argparse
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.controlplane.endpoints import Propagation, quantile
from embedded.tools import paths
from mesh.api import names
from samples.kubectl import Kubectl, KubectlError

PORT = 8080
SETTLE_SECONDS = 30.0
POLL_SECONDS = 0.01


class TooSlowError(RuntimeError):
    """A change did not reach every sidecar in time."""


def sidecars(pods: list[dict[str, Any]]) -> dict[str, int]:
    """Return a process id of every sidecar that runs, by its pod's name."""
    wanted = {}
    for pod in pods:
        rows = [*pod["status"].get("initContainerStatuses", []), *pod["status"].get("containerStatuses", [])]
        for row in rows:
            if row["name"] == names.SIDECAR and row["ready"]:
                wanted[row["containerID"].rpartition("/")[2]] = pod["metadata"]["name"]
    found: dict[str, int] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                group = (place / "cgroup").read_text()
            except OSError:  # it ended while we looked
                continue
            name = next((pod for identifier, pod in wanted.items() if identifier in group), "")
            if name:
                found.setdefault(name, int(place.name))
    return found


def endpoint_slice(namespace: str, service: str, pods: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the slice that makes *pods* the ready endpoints of *service*."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": service,
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "benchmark"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "protocol": "TCP", "port": PORT}],
        "endpoints": [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod["metadata"]["name"]},
            }
            for pod in pods
        ],
    }


def run(kubectl: Kubectl, namespace: str, count: int) -> list[float]:
    """Make *count* changes and return the seconds that each took. Raises KubectlError, TooSlowError."""
    everywhere = kubectl.get("pods", "--all-namespaces")["items"]
    pods = [pod for pod in everywhere if pod["metadata"]["namespace"] == namespace and sidecars([pod])]
    if len(pods) < 2:
        raise KubectlError(f"namespace {namespace} has {len(pods)} injected pods, needs 2")
    watched = sidecars(everywhere)
    service = f"propagation-{secrets.token_hex(3)}"
    metadata = {"name": service, "namespace": namespace}
    port = {"name": "http", "port": PORT}
    kubectl.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [port]}})
    try:
        with Propagation(kubectl, namespace, service, watched) as changes:
            for number in range(count):
                kubectl.apply(endpoint_slice(namespace, service, pods[: 1 + number % 2]))
                _settle(changes, number + 1)
            return [change.last_seconds for change in changes.changes]
    finally:
        for kind in ("endpointslice", "service"):
            kubectl.run("-n", namespace, "delete", kind, service, "--ignore-not-found", "--wait=false")


def _settle(changes: Propagation, count: int) -> None:
    end = time.monotonic() + SETTLE_SECONDS
    while len(changes.changes) < count or not changes.settled:
        if time.monotonic() > end:
            raise TooSlowError(f"change {count} did not reach every sidecar within {SETTLE_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def main() -> int:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.controlplane.propagation", description=__doc__)
    parser.add_argument("--cluster", default="dev", help="an embedded cluster")
    parser.add_argument("--namespace", default="mesh-sample", help="where the Service is made")
    parser.add_argument("--changes", type=int, default=100)
    options = parser.parse_args()
    kubectl = Kubectl(paths.state_root(options.cluster) / "kubeconfig")
    try:
        seconds = run(kubectl, options.namespace, options.changes)
        count = len(sidecars(kubectl.get("pods", "--all-namespaces")["items"]))
    except (KubectlError, TooSlowError) as error:
        print(f"propagation: {error}", file=sys.stderr)
        return 1
    shown = {
        name: round(quantile(seconds, share) * 1000) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }
    print(json.dumps({"changes": len(seconds), "sidecars": count, "milliseconds": shown}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
