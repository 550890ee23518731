"""Who owns a pod: the workload that people know, found without asking the cluster (contract 5.labels)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SCHEDULED_JOB = re.compile(r"(.+)-[0-9]{8,}")


@dataclass(frozen=True, slots=True)
class Owner:
    """A workload: its kind as Kubernetes spells it, and its name; both empty for a pod on its own."""

    kind: str = ""
    name: str = ""

    @property
    def family(self) -> "Owner":
        """The owner as it counts for the sidecar group: the Jobs of one CronJob are one family.

        A CronJob appends the scheduled minute to its Jobs' names. A Job whose name looks alike is merely grouped
        with its own kind, which is harmless: a group's name holds everything that decides its configuration.
        """
        match = _SCHEDULED_JOB.fullmatch(self.name) if self.kind == "Job" else None
        return Owner("CronJob", match.group(1)) if match else self


def pod_owner(metadata: Mapping[str, Any]) -> Owner:
    """Find the owner in a pod's metadata; a Deployment is told from the name and hash of its ReplicaSet."""
    references = metadata.get("ownerReferences") or []
    reference = next((item for item in references if item.get("controller")), None)
    if reference is None:
        return Owner()
    kind, name = str(reference["kind"]), str(reference["name"])
    suffix = "-" + str((metadata.get("labels") or {}).get("pod-template-hash", ""))
    if kind == "ReplicaSet" and len(suffix) > 1 and name.endswith(suffix):
        return Owner("Deployment", name.removesuffix(suffix))
    return Owner(kind, name)
