"""Plays the workload controllers and the kubelet on an API server without nodes: everything becomes ready at once.

`Workloads.hold` names what must stay unready, for tests of failed rollouts.
"""

import threading
from typing import Any

from tests.apiserver import ApiError, ApiServer

_KINDS = {
    "/apis/apps/v1/deployments": "deployments",
    "/apis/apps/v1/statefulsets": "statefulsets",
    "/apis/apps/v1/daemonsets": "daemonsets",
    "/apis/batch/v1/jobs": "jobs",
    "/api/v1/pods": "pods",
    "/api/v1/persistentvolumeclaims": "persistentvolumeclaims",
    "/api/v1/persistentvolumes": "persistentvolumes",
    "/apis/networking.k8s.io/v1/ingresses": "ingresses",
    "/api/v1/replicationcontrollers": "replicationcontrollers",
}


class Workloads:
    """Writes the status of every workload until stopped. Names and namespaces in ``hold`` are left alone."""

    def __init__(self, server: ApiServer) -> None:
        self.hold: set[str] = set()
        self._server = server
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._follow, args=(path,), daemon=True) for path in _KINDS]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End with the server: a watch notices it when the server closes it."""
        self._done.set()

    def release(self, name: str) -> None:
        """Let what was held become ready."""
        self.hold.discard(name)
        for path in _KINDS:
            for item in self._server.request("GET", path)["items"]:
                self._play(path, item)

    def _follow(self, path: str) -> None:
        while not self._done.is_set():
            try:
                found = self._server.request("GET", path)
                for item in found["items"]:
                    self._play(path, item)
                for event in self._server.watch(path, found["metadata"]["resourceVersion"]):
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        self._play(path, event["object"])
            except (ApiError, OSError, ValueError):
                self._done.wait(0.2)  # the server is away in a test of outages

    def _play(self, path: str, item: Any) -> None:
        metadata = item["metadata"]
        held = metadata["name"] in self.hold or metadata.get("namespace") in self.hold
        if held or "deletionTimestamp" in metadata:
            return
        plural = _KINDS[path]
        status = _ready(plural, item)
        if any(item.get("status", {}).get(key) != value for key, value in status.items()):
            prefix, _, _ = path.rpartition("/")
            scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
            place = f"{prefix}{scope}/{plural}/{metadata['name']}"
            try:
                self._server.merge(place, {"status": status}, "workloads", subresource="status")
            except ApiError:
                return  # gone, or changed: the next event tells


def _ready(plural: str, item: Any) -> dict[str, Any]:
    spec, generation = item["spec"], item["metadata"].get("generation", 1)
    count = spec.get("replicas", 1)
    time = item["metadata"]["creationTimestamp"]
    if plural == "deployments":
        return {"observedGeneration": generation, "replicas": count, "updatedReplicas": count} | dict.fromkeys(
            ("readyReplicas", "availableReplicas"), count
        )
    if plural == "statefulsets":
        revision = f"r{generation}"
        return {
            "observedGeneration": generation,
            **dict.fromkeys(("replicas", "readyReplicas", "currentReplicas", "updatedReplicas"), count),
            "currentRevision": revision,
            "updateRevision": revision,
        }
    if plural == "daemonsets":
        counts = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady")
        return {
            "observedGeneration": generation,
            **dict.fromkeys((*counts, "numberAvailable"), 1),
            "numberMisscheduled": 0,
        }
    if plural == "jobs":
        done = {"status": "True", "reason": "CompletionsReached", "lastProbeTime": time, "lastTransitionTime": time}
        return {
            "conditions": [{"type": "SuccessCriteriaMet", **done}, {"type": "Complete", **done}],
            "startTime": time,
            "completionTime": time,
            "succeeded": spec.get("completions", 1),
        }
    if plural == "pods":
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": time}
        return {"phase": "Running", "conditions": [ready]}
    if plural == "ingresses":
        return {"loadBalancer": {"ingress": [{"ip": "198.18.0.1"}]}}
    if plural == "replicationcontrollers":
        return {
            "observedGeneration": generation,
            **dict.fromkeys(("replicas", "readyReplicas", "availableReplicas"), count),
        }
    return {"phase": "Available" if plural == "persistentvolumes" else "Bound"}
