"""Readiness of Deployments, StatefulSets and DaemonSets, and why their pods are not ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mesh.ctl.cluster import NotFoundError, Reader, core, grouped, selected

_PLURALS: Final = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


@dataclass(frozen=True, slots=True)
class Workload:
    """What a workload wants and has; ``selector`` finds its pods."""

    kind: str
    namespace: str
    name: str
    desired: int
    ready: int
    selector: Mapping[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether at least one pod is wanted and all of them serve."""
        return 0 < self.desired <= self.ready

    @property
    def reference(self) -> str:
        """As kubectl takes it."""
        return f"{self.kind.lower()}/{self.name}"


def find(reader: Reader, namespace: str, name: str, kinds: tuple[str, ...]) -> Workload | None:
    """Return the workload *name* of the first of *kinds* that exists, None when there is none."""
    for kind in kinds:
        try:
            found = reader.get(grouped("apps/v1", _PLURALS[kind], namespace, name))
        except NotFoundError:
            continue
        return parse(kind, found)
    return None


def parse(kind: str, found: Mapping[str, Any]) -> Workload:
    """Read a workload as the API has it."""
    metadata, spec, status = found["metadata"], found["spec"], found.get("status") or {}
    if kind == "DaemonSet":
        desired, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    else:
        desired, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    return Workload(kind, metadata["namespace"], metadata["name"], int(desired), int(ready), labels)


def explain(reader: Reader, workload: Workload) -> str:
    """Say why *workload* is not ready, from its pods; the number of ready ones when no pod tells more."""
    counted = f"{workload.ready} of {workload.desired} pods are ready"
    if workload.desired == 0:
        return f"{workload.reference} is scaled to 0"
    pods = reader.get(selected(core("pods", workload.namespace), workload.selector)).get("items") or []
    reasons = sorted({reason for pod in pods for reason in pod_problems(pod)})
    return "; ".join([counted, *reasons[:3]])


def pod_problems(pod: Mapping[str, Any]) -> list[str]:
    """Return what keeps *pod* from being ready, one text per container or condition."""
    status = pod.get("status") or {}
    name = pod["metadata"]["name"]
    problems = []
    for row in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (row.get("state") or {}).get("waiting") or {}
        ended = (row.get("lastState") or {}).get("terminated") or {}
        # ContainerCreating and PodInitializing only wait for what another row tells.
        if waiting and waiting.get("reason") not in {"ContainerCreating", "PodInitializing"}:
            detail = str(waiting.get("message") or ended.get("message") or "").strip().replace("\n", " ")
            problems.append(f"{name}/{row['name']}: {waiting.get('reason')}" + (f" ({detail[:160]})" if detail else ""))
    problems.extend(
        f"{name}: not scheduled, {condition.get('message', '')}"
        for condition in status.get("conditions") or []
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False"
    )
    return problems
