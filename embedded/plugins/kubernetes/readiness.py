"""Is an object ready? Decided from what the API server shows of it; reads the cluster only for its companions
(pods, endpoint slices, storage classes).

A verdict is None when the object is ready, a sentence saying what is missing while waiting makes sense, and `Failed`
when it does not.
"""

from collections.abc import Callable
from typing import Any

from embedded.plugins.kubernetes.cluster import Cluster
from embedded.plugins.kubernetes.connection import ApiError
from embedded.plugins.kubernetes.normalise import group_of
from embedded.plugins.kubernetes.properties import Object

Check = Callable[[Object, Cluster], str | None]


class Failed(Exception):
    """The object will not become ready by waiting."""


def missing(live: Object, cluster: Cluster) -> str | None:
    """What the object still lacks; None when it is ready, or when its kind has nothing to wait for."""
    check = _CHECKS.get((group_of(live["apiVersion"]), live["kind"]))
    return check(live, cluster) if check else None


def is_awaited_on_read(live: Object) -> bool:
    """Whether a refresh reports this kind when it is not ready, as the official provider does."""
    return live["kind"] in {"Deployment", "StatefulSet", "DaemonSet", "Job", "Pod", "Service", "Ingress"} and (
        (group_of(live["apiVersion"]), live["kind"]) in _CHECKS
    )


def _status(live: Object) -> Object:
    status = live.get("status")
    return status if isinstance(status, dict) else {}


def conditions(live: Object) -> dict[str, Object]:
    """The status conditions by type."""
    return {entry["type"]: entry for entry in _status(live).get("conditions") or []}


def _is_true(live: Object, condition: str) -> bool:
    return bool(conditions(live).get(condition, {}).get("status") == "True")


def _unobserved(live: Object) -> str | None:
    generation = live["metadata"].get("generation", 0)
    if _status(live).get("observedGeneration", 0) < generation:
        return f"no controller has looked at generation {generation} yet"
    return None


def _deployment(live: Object, _cluster: Cluster) -> str | None:
    stale = _unobserved(live)
    if stale or live["spec"].get("paused"):
        return stale
    status, wanted = _status(live), live["spec"].get("replicas", 1)
    progressing = conditions(live).get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        raise Failed(progressing.get("message", "the progress deadline is exceeded"))
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    total = status.get("replicas", 0)
    if (updated, available, total) == (wanted, wanted, wanted):
        return None
    return f"{updated} of {wanted} pods have the new revision, {available} are available, {total - updated} old ones are left"


def _stateful_set(live: Object, _cluster: Cluster) -> str | None:
    stale = _unobserved(live)
    if stale:
        return stale
    status, spec = _status(live), live["spec"]
    wanted, ready, total = spec.get("replicas", 1), status.get("readyReplicas", 0), status.get("replicas", 0)
    strategy = spec.get("updateStrategy") or {}
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    if (ready, total) != (wanted, wanted):
        return f"{ready} of {wanted} pods are ready"
    updated = status.get("updatedReplicas", 0)
    if strategy.get("type") == "OnDelete" or wanted == 0:
        return None
    if partition:
        expected = max(0, wanted - partition)
        return None if updated >= expected else f"{updated} of {expected} pods have the new revision"
    if status.get("currentRevision") != status.get("updateRevision"):
        return f"{updated} of {wanted} pods have the new revision"
    return None


def _daemon_set(live: Object, _cluster: Cluster) -> str | None:
    stale = _unobserved(live)
    if stale:
        return stale
    status = _status(live)
    wanted = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if updated < wanted or available < wanted:
        return f"{updated} of {wanted} pods have the new revision, {available} are available"
    return None


def _job(live: Object, _cluster: Cluster) -> str | None:
    failed = conditions(live).get("Failed", {})
    if failed.get("status") == "True":
        raise Failed(failed.get("message") or "the job failed")
    if _is_true(live, "Complete") or live["spec"].get("suspend"):
        return None
    return f"{_status(live).get('succeeded', 0)} of {live['spec'].get('completions', 1)} completions"


def _pod(live: Object, _cluster: Cluster) -> str | None:
    phase = _status(live).get("phase")
    if phase == "Failed":
        raise Failed(_status(live).get("message") or "the pod failed")
    if phase == "Succeeded" or _is_true(live, "Ready"):
        return None
    return f"the pod is {phase or 'not scheduled'} and not ready"


def _replication_controller(live: Object, _cluster: Cluster) -> str | None:
    wanted, available = live["spec"].get("replicas", 1), _status(live).get("availableReplicas", 0)
    return None if available == wanted else f"{available} of {wanted} pods are available"


def _service(live: Object, cluster: Cluster) -> str | None:
    spec, metadata = live["spec"], live["metadata"]
    kind = spec.get("type", "ClusterIP")
    if kind == "LoadBalancer" and not (_status(live).get("loadBalancer") or {}).get("ingress"):
        return "no load balancer address is allocated yet"
    if kind == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return None
    slices = cluster.listed(
        "discovery.k8s.io/v1", "EndpointSlice", metadata["namespace"], f"kubernetes.io/service-name={metadata['name']}"
    )
    if not slices:
        return "its endpoints are not computed yet"
    waiting = [address for entry in slices for address in _unready(entry)]
    # A Service that selects no pod at all is ready, as with the official provider: its pods may come later.
    return f"{len(waiting)} of its endpoints are not ready" if waiting else None


def _unready(endpoint_slice: Object) -> list[Any]:
    return [
        endpoint
        for endpoint in endpoint_slice.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is False
        and not (endpoint.get("conditions") or {}).get("terminating")
    ]


def _ingress(live: Object, _cluster: Cluster) -> str | None:
    if not (_status(live).get("loadBalancer") or {}).get("ingress"):
        return "no ingress controller has given it an address yet"
    return None


def _claim(live: Object, cluster: Cluster) -> str | None:
    phase = _status(live).get("phase")
    if phase == "Bound":
        return None
    if phase == "Lost":
        raise Failed("the claim's volume is lost")
    name = live["spec"].get("storageClassName")
    if name:
        try:
            item = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
            if cluster.get(item).get("volumeBindingMode") == "WaitForFirstConsumer" and phase == "Pending":
                return None
        except ApiError as error:
            return f"storage class {name}: {error.message}"
    return f"the claim is {phase or 'not seen yet'}"


def _volume(live: Object, _cluster: Cluster) -> str | None:
    phase = _status(live).get("phase")
    return None if phase in {"Available", "Bound"} else f"the volume is {phase or 'not seen yet'}"


def _quota(live: Object, _cluster: Cluster) -> str | None:
    return None if _status(live).get("hard") == live["spec"].get("hard") else "the quota is not in force yet"


def _secret(live: Object, _cluster: Cluster) -> str | None:
    if live.get("type") == "kubernetes.io/service-account-token" and not live.get("data"):
        return "the token is not issued yet"
    return None


def _definition(live: Object, _cluster: Cluster) -> str | None:
    names = conditions(live).get("NamesAccepted", {})
    if names.get("status") == "False" and names.get("reason") not in {None, "NotAccepted"}:
        raise Failed(names.get("message", "the names are not accepted"))
    return None if _is_true(live, "Established") else "the definition is not established yet"


_CHECKS: dict[tuple[str, str], Check] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "ReplicationController"): _replication_controller,
    ("", "Service"): _service,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "ResourceQuota"): _quota,
    ("", "Secret"): _secret,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
