"""Why the pods of a workload do not run, in the kubelet's and the scheduler's words."""

from embedded.plugins.kubernetes.cluster import Cluster, NoSuchKind
from embedded.plugins.kubernetes.connection import ApiError, Unreachable
from embedded.plugins.kubernetes.properties import Object

_MOST = 5
"""More pods than these say nothing new."""


def reasons(live: Object, cluster: Cluster) -> list[str]:
    """One line per trouble of the object's pods; empty for kinds without pods."""
    if live["kind"] == "Pod":
        return _of_pod(live)
    selector = live.get("spec", {}).get("selector")
    if live["kind"] not in {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"} or not isinstance(
        selector, dict
    ):
        return []
    labels = selector.get("matchLabels") or {}
    if not labels:
        return []
    query = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    try:
        pods = cluster.listed("v1", "Pod", live["metadata"]["namespace"], query)
    except (ApiError, Unreachable, NoSuchKind) as error:
        return [f"its pods could not be listed: {error}"]
    found: list[str] = []
    for pod in pods:
        found.extend(line for line in _of_pod(pod) if line not in found)
    return found[:_MOST]


def _of_pod(pod: Object) -> list[str]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    found: list[str] = []
    for entry in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = entry.get("state") or {}
        trouble = state.get("waiting") or state.get("terminated") or {}
        reason = trouble.get("reason")
        if reason and reason not in {"PodInitializing", "ContainerCreating", "Completed"}:
            found.append(_line(name, f"container {entry['name']}", reason, trouble.get("message")))
        elif "running" in state and not entry.get("ready", True) and not found:
            found.append(_line(name, f"container {entry['name']}", "not ready", ""))
    found.extend(
        _line(name, "not scheduled", condition.get("reason"), condition.get("message"))
        for condition in status.get("conditions") or []
        if condition["type"] == "PodScheduled" and condition["status"] != "True"
    )
    return found


def _line(pod: str, place: str, reason: str | None, message: str | None) -> str:
    parts = [f"pod {pod}", place, *(part for part in (reason, message) if part)]
    return ": ".join(parts)
