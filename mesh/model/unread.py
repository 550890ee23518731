"""Annotations and labels that look like the mesh's and that nobody reads where they are (contract 5.unread).

A slip of the pen in a key changes nothing, silently; so it is told. It refuses nothing: a later version may read it.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

from mesh.api import names
from mesh.api.errors import quote

READ: Final[Mapping[str, frozenset[str]]] = {
    "Pod": frozenset(
        {
            names.ANNOTATION_STATUS,
            names.ANNOTATION_VERSION,
            names.ANNOTATION_GROUP,
            names.ANNOTATION_NATIVE_SIDECAR,
            names.ANNOTATION_IGNORE_INCOMING_PORTS,
            names.ANNOTATION_IGNORE_OUTGOING_PORTS,
            names.ANNOTATION_MTLS_MODE,
            names.ANNOTATION_CLIENT_MAX_BODY_SIZE,
            names.ANNOTATION_DEFAULT_EGRESS_ALLOWED,
        }
    ),
    "Service": frozenset(
        {
            names.ANNOTATION_LB_METHOD,
            names.ANNOTATION_REQUEST_TIMEOUT,
            names.ANNOTATION_RETRIES,
            names.ANNOTATION_RETRY_NON_IDEMPOTENT,
        }
    ),
    "Namespace": frozenset({names.ANNOTATION_EGRESS_SCOPE}),
}
_LABELS: Final = frozenset({names.LABEL_AUTO_INJECT, names.LABEL_STATUS})
_AUTO_INJECT: Final = (names.AUTO_INJECT_ENABLED, names.AUTO_INJECT_DISABLED)
_ALIKE: Final = 0.8


def find_unread_annotations(kind: str, annotations: Mapping[str, str]) -> Iterator[str]:
    """Say which annotations of an object of *kind* (Pod, Service, Namespace) nobody reads, and what was meant perhaps."""
    for key in annotations:
        if _is_like_ours(key) and key not in READ[kind]:
            yield f"annotation {key}: {_why(key, kind)}"


def find_unread_labels(labels: Mapping[str, str]) -> Iterator[str]:
    """The same of a pod's or namespace's labels, and of the one whose value says nothing."""
    for key, value in labels.items():
        if _is_like_ours(key) and key not in _LABELS:
            is_annotation = key in READ["Pod"]
            yield f"label {key}: " + ("is an annotation, and no label" if is_annotation else _guess(key, _LABELS))
        elif key == names.LABEL_AUTO_INJECT and value not in _AUTO_INJECT:
            yield f"label {key}: got {quote(value)}, takes {', '.join(_AUTO_INJECT)}; it counts as absent"


def _is_like_ours(key: str) -> bool:
    return key.lower().startswith(names.ANNOTATION_PREFIXES)


def _why(key: str, kind: str) -> str:
    if key in _LABELS:
        return "is a label, and no annotation"
    elsewhere = next((other for other, read in READ.items() if key in read), "")
    return f"is read on a {elsewhere}, not on a {kind}" if elsewhere else _guess(key, READ[kind])


def _guess(key: str, known: frozenset[str]) -> str:
    alike = difflib.get_close_matches(key.lower(), sorted(known), 1, _ALIKE)
    return "nobody reads it" + (f"; did you mean {alike[0]}?" if alike else "")
