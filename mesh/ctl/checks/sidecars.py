"""The data plane: who has a sidecar and should, who serves, and whether all run the newest configuration."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from mesh.admission.gateway import is_gateway
from mesh.api import names
from mesh.ctl.checks import workloads
from mesh.ctl.checks.controller import status
from mesh.ctl.checks.finding import Category, Finding
from mesh.ctl.cluster import ClusterError, Reader, core

_CATEGORY = Category("sidecars")
_SHOWN = 5


def findings(reader: Reader, namespace: str, now: datetime) -> Iterator[Finding]:
    """Check every pod of the mesh."""
    pods = [pod for pod in reader.get(core("pods")).get("items") or [] if _is_alive(pod)]
    labelled = {
        item["metadata"]["name"]
        for item in reader.get(core("namespaces")).get("items") or []
        if (item["metadata"].get("labels") or {}).get(names.LABEL_AUTO_INJECT) == names.AUTO_INJECT_ENABLED
    }
    injected = [pod for pod in pods if sidecar_status(pod) is not None]
    yield _missing(pods, labelled, namespace)
    yield _ready(injected)
    if injected:
        yield from _reports(reader, namespace, {_name(pod) for pod in injected if _serves(pod)}, now)


def left_behind(reader: Reader) -> Iterator[Finding]:
    """Name the pods that still have a sidecar of a mesh that was removed."""
    injected = [pod for pod in reader.get(core("pods")).get("items") or [] if _is_alive(pod) and _is_injected(pod)]
    subject = "no pod has the sidecar of a mesh that was removed"
    if not injected:
        yield _CATEGORY.ok(subject)
        return
    namespaces = sorted({pod["metadata"]["namespace"] for pod in injected})
    repair = "; ".join(f"kubectl -n {name} rollout restart deployment,statefulset,daemonset" for name in namespaces)
    cause = (
        f"{len(injected)} pod(s) go on with it, transparent, until they are made anew: {_some(map(_name, injected))}"
    )
    yield _CATEGORY.warning(subject, cause, repair)


def _is_injected(pod: Mapping[str, Any]) -> bool:
    return sidecar_status(pod) is not None


def sidecar_status(pod: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the container status of the pod's sidecar, empty while the kubelet has not written it, None without one."""
    spec, state = pod.get("spec") or {}, pod.get("status") or {}
    declared = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    if all(container.get("name") != names.SIDECAR for container in declared):
        return None
    rows = [*(state.get("initContainerStatuses") or []), *(state.get("containerStatuses") or [])]
    return next((row for row in rows if row.get("name") == names.SIDECAR), {})


def _serves(pod: Mapping[str, Any]) -> bool:
    return bool((sidecar_status(pod) or {}).get("ready"))


def _is_alive(pod: Mapping[str, Any]) -> bool:
    ended = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    return not ended and not pod["metadata"].get("deletionTimestamp")


def _name(pod: Mapping[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _should_be_injected(pod: Mapping[str, Any], labelled: set[str], mesh_namespace: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    namespace = pod["metadata"]["namespace"]
    if namespace in {*names.SYSTEM_NAMESPACES, mesh_namespace} or is_gateway(labels):
        return False
    own = labels.get(names.LABEL_AUTO_INJECT)
    return bool(own == names.AUTO_INJECT_ENABLED or (namespace in labelled and own != names.AUTO_INJECT_DISABLED))


def _missing(pods: Iterable[dict[str, Any]], labelled: set[str], mesh_namespace: str) -> Finding:
    subject = "every pod that asks for a sidecar has one"
    bare = [pod for pod in pods if sidecar_status(pod) is None and _should_be_injected(pod, labelled, mesh_namespace)]
    if not bare:
        return _CATEGORY.ok(subject)
    namespaces = sorted({pod["metadata"]["namespace"] for pod in bare})
    repair = "; ".join(f"kubectl -n {name} rollout restart deployment,statefulset,daemonset" for name in namespaces)
    cause = f"created before the mesh or its label: {_some(_name(pod) for pod in bare)}"
    return _CATEGORY.failure(subject, cause, repair)


def _ready(injected: list[dict[str, Any]]) -> Finding:
    waiting = [pod for pod in injected if not _serves(pod)]
    if not waiting:
        return _CATEGORY.ok(f"{len(injected)} sidecar(s) are ready")
    reasons = [reason for pod in waiting for reason in workloads.pod_problems(pod)]
    first = waiting[0]["metadata"]
    cause = f"not ready: {_some(map(_name, waiting))}" + (f"; {_some(reasons)}" if reasons else "")
    repair = f"kubectl -n {first['namespace']} logs {first['name']} -c {names.SIDECAR} --tail=50"
    return _CATEGORY.failure(f"{len(injected)} sidecar(s) are ready", cause, repair)


def _reports(reader: Reader, namespace: str, serving: set[str], now: datetime) -> Iterator[Finding]:
    logs = f"kubectl -n {namespace} logs deployment/{names.CONTROLLER} --tail=50"
    try:
        reports = {row["pod"]: row for row in status(reader, namespace).get("sidecars") or []}
    except ClusterError as error:
        yield _CATEGORY.failure("sidecars report to the controller", str(error), logs)
        return
    silent = sorted(pod for pod in serving if reports.get(pod, {}).get("state", "silent") == "silent")
    if silent:
        cause = f"no report from {_some(silent)}; they keep their last configuration"
        yield _CATEGORY.failure("sidecars report to the controller", cause, _sidecar_logs(silent[0]))
    else:
        yield _CATEGORY.ok(f"{len(serving)} sidecar(s) report to the controller")
    present = [reports[pod] for pod in sorted(serving & set(reports))]
    yield _revisions(present)
    yield _certificates(present, now)


def _revisions(reports: list[dict[str, Any]]) -> Finding:
    subject = "sidecars run the newest configuration"
    refused = [f"{row['pod']}: {row['refused']}" for row in reports if row["state"] == "refused"]
    if refused:
        return _CATEGORY.failure(subject, f"refused by {_some(refused)}", _sidecar_logs(refused[0].partition(":")[0]))
    behind = [row["pod"] for row in reports if row["state"] == "stale"]
    if behind:
        return _CATEGORY.warning(subject, f"on their way: {_some(behind)}", "meshctl check --wait 30s")
    return _CATEGORY.ok(subject)


def _certificates(reports: list[dict[str, Any]], now: datetime) -> Finding:
    subject = "certificates of sidecars are valid"
    expired = [row["pod"] for row in reports if 0 < float(row.get("svid_not_after") or 0) <= now.timestamp()]
    if expired:
        return _CATEGORY.failure(subject, f"expired: {_some(expired)}", _sidecar_logs(expired[0]))
    return _CATEGORY.ok(subject)


def _sidecar_logs(pod: str) -> str:
    namespace, _, name = pod.partition("/")
    return f"kubectl -n {namespace} logs {name} -c {names.SIDECAR} --tail=50"


def _some(items: Iterable[str]) -> str:
    listed = list(items)
    rest = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
