"""Judge the mesh's annotations on a Namespace or a Service before they count (contract 5.object-annotations).

Those of pods are judged when a pod is injected. An object that had a wrong one before stays changeable in everything else.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from mesh.admission.verdict import Verdict
from mesh.api import names
from mesh.api.errors import Problem
from mesh.model.namespace_annotations import read_egress_scope
from mesh.model.service_annotations import read_service_annotations
from mesh.model.unread import find_unread_annotations, find_unread_labels

_READERS: Final[dict[str, Callable[[Mapping[str, str]], tuple[Any, tuple[Problem, ...]]]]] = {
    "Namespace": read_egress_scope,
    "Service": read_service_annotations,
}
ANNOTATED_KINDS: Final = frozenset(_READERS)
_LABELLED: Final = frozenset({"Namespace"})


def judge_annotations(kind: str, manifest: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> Verdict:
    """Judge an object as it would become; *old* is as it is, None for a new one."""
    given, labels = _texts(manifest, "annotations"), _texts(manifest, "labels")
    if old is not None and (given, labels) == (_texts(old, "annotations"), _texts(old, "labels")):
        return Verdict()
    _, problems = _READERS[kind](given)
    unread = [*find_unread_annotations(kind, given), *(find_unread_labels(labels) if kind in _LABELLED else ())]
    return Verdict(problems, () if problems else tuple(unread))


def _texts(manifest: Mapping[str, Any] | None, field: str) -> Mapping[str, str]:
    """Those of ours: who changes another one is not told of what he found."""
    found = ((manifest or {}).get("metadata") or {}).get(field) or {}
    return {key: text for key, text in found.items() if key.lower().startswith(names.ANNOTATION_PREFIXES)}
