"""Which pods share one sidecar configuration (design 7).

A group is named by what decides the configuration of a pod's sidecar: where the pod runs, as whom, who owns it, and
the part of the pod that the mesh reads. Labels that Kubernetes generates per pod or per revision are left out, so that
the replicas of a workload share a group.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mesh.api import names

GROUP_DIGITS: Final = 16
GENERATED_LABELS: Final = frozenset(
    {
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/job-name",
        "controller-revision-hash",
        "controller-uid",
        "job-name",
        "pod-template-generation",
        "pod-template-hash",
        "statefulset.kubernetes.io/pod-name",
        names.LABEL_STATUS,
        names.LABEL_SPIFFE_ID,
    }
)
FIXED_ANNOTATIONS: Final = (
    names.ANNOTATION_IGNORE_INCOMING_PORTS,
    names.ANNOTATION_IGNORE_OUTGOING_PORTS,
    names.ANNOTATION_MTLS_MODE,
    names.ANNOTATION_CLIENT_MAX_BODY_SIZE,
)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """The part of a pod that the mesh reads: labels that people write, declared ports, annotations fixed at injection."""

    labels: tuple[tuple[str, str], ...] = ()
    ports: tuple[tuple[int, str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()


def pod_facts(pod: Mapping[str, Any]) -> PodFacts:
    """Take the facts out of a pod (or pod template) as the API has it, in canonical order."""
    metadata = pod.get("metadata") or {}
    spec = pod.get("spec") or {}
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    ports = (
        (int(port["containerPort"]), str(port.get("protocol") or "TCP"), str(port.get("name") or ""))
        for container in containers
        if container.get("name") not in {names.SIDECAR, names.INIT}
        for port in container.get("ports") or []
    )
    return PodFacts(
        tuple(sorted((key, value) for key, value in labels.items() if _is_written_by_people(key))),
        tuple(sorted(ports)),
        tuple((key, annotations[key]) for key in FIXED_ANNOTATIONS if key in annotations),
    )


def sidecar_group(namespace: str, service_account: str, owner_kind: str, owner_name: str, facts: PodFacts) -> str:
    """Name the group of a pod: 16 hexadecimal digits. A pod without an owner has empty *owner_kind* and *owner_name*."""
    key = [namespace, service_account, owner_kind, owner_name, facts.labels, facts.ports, facts.annotations]
    text = json.dumps(key, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:GROUP_DIGITS]


def _is_written_by_people(label: str) -> bool:
    return label not in GENERATED_LABELS and not label.startswith(names.LABEL_PARENT_PREFIX)
