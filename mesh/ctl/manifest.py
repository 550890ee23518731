"""Manifests as text: YAML with many documents, JSON, Lists; read and written back in the same format.

``inject_manifest`` is the pure part of `meshctl inject`: the same code path as the webhook (mesh.admission.inject), laid
over the document that a person wrote.
"""

import dataclasses
import io
import json
import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from mesh.admission.inject import inject
from mesh.admission.owner import Owner
from mesh.admission.settings import InjectionSettings
from mesh.admission.shape import find_shape_problems
from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.ctl.graft import graft, plain, unshare

# Where the pod template of each kind is (contract 5.kinds); a Pod is its own template. Other API groups have kinds of
# these names, too, whose templates are elsewhere: they are documents like any other.
GROUPS: Final = {"", "v1", "apps", "batch", "extensions"}
TEMPLATE_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "Pod": (),
    **dict.fromkeys(
        ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Job"), ("spec", "template")
    ),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}

Document = MutableMapping[str, Any]
# A marker with nothing but a comment after it belongs to no document; what else stands there is the document's.
_MARKER = re.compile(r"^(---(?:[ \t]*(?:[ \t]#[^\n]*)?\r?(?:\n|\Z)|(?=[ \t])))", re.MULTILINE)
_FIRST_LIST = re.compile(r"^( *)[^ #\n-][^\n]*:[ ]*\n( *)- ", re.MULTILINE)


@dataclass(slots=True)
class Part:
    """One document: its text with the marker line before it, and its value. ``changed`` values are written anew."""

    marker: str
    text: str
    value: Any
    changed: bool = False


@dataclass(slots=True)
class Manifest:
    """The documents of one text and how to write them back; one that did not change keeps every byte."""

    parts: list[Part]
    is_json: bool

    def render(self) -> str:
        """Write all documents in the format that they came in."""
        return "".join(part.marker + (self._write(part) if part.changed else part.text) for part in self.parts)

    def _write(self, part: Part) -> str:
        if self.is_json:
            text = json.dumps(part.value, indent=2, ensure_ascii=False) + "\n"
        else:
            stream = io.StringIO()
            _yaml(_list_offset(part.text)).dump(part.value, stream)
            text = stream.getvalue()
            if part.marker and not part.marker.endswith("\n"):
                text = "\n" + text
        return text.replace("\n", "\r\n") if "\r\n" in part.text else text


@dataclass(slots=True)
class Outcome:
    """What was done, for standard error: ``injected`` and ``skipped`` as ``Kind/name`` (with a reason)."""

    injected: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def parse_manifest(text: str, place: str) -> Manifest:
    """Read *text*, which came from *place*. Raises InvalidInputError."""
    if text.lstrip().startswith("{"):
        try:
            return Manifest([Part("", text, json.loads(text))], is_json=True)
        except ValueError as error:
            raise InvalidInputError([Problem(place, str(error), "JSON or YAML documents")]) from error
    # A line that begins with three dashes is a marker wherever it stands (YAML 1.2, section 9.1.2).
    pieces = _MARKER.split(text)
    parts = [Part("", pieces[0], None)]
    parts += [Part(marker, body, None) for marker, body in zip(pieces[1::2], pieces[2::2], strict=True)]
    number, line = 0, 1
    problems: list[Problem] = []
    for part in parts:
        line += part.marker.count("\n")
        if not _is_blank(part.text):
            number += 1
            try:
                part.value = _parse_yaml(part.text, f"{place}, document {number}", line)
            except InvalidInputError as error:
                problems.extend(error.problems)
        line += part.text.count("\n")
    if problems:
        raise InvalidInputError(problems)
    return Manifest(parts, is_json=False)


def _is_blank(text: str) -> bool:
    return all(not line.strip() or line.lstrip().startswith(("#", "%")) for line in text.splitlines())


def _parse_yaml(text: str, place: str, first_line: int) -> Any:
    """Read one document that begins at *first_line* of the file."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _yaml(0).load(text.replace("\r\n", "\n"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{place}, line {first_line + mark.line}" if mark else place
        said = ", ".join(filter(None, (error.context, error.problem)))
        raise InvalidInputError([Problem(where, said, "a YAML document")]) from error
    except YAMLError as error:
        raise InvalidInputError([Problem(place, " ".join(str(error).split()), "a YAML document")]) from error


def inject_manifest(
    manifest: Manifest, settings: InjectionSettings, namespace: str, annotations: dict[str, str]
) -> Outcome:
    """Inject every workload of *manifest* in place; others are left as they are.

    *namespace* counts for documents that name none. *annotations* come from the command line and are written to each
    pod. Raises InvalidInputError with the problems of all workloads.
    """
    outcome = Outcome()
    problems: list[Problem] = []
    for part in manifest.parts:
        for document in _workloads(part.value):
            try:
                part.changed |= _inject_document(document, settings, namespace, annotations, outcome)
            except InvalidInputError as error:
                label = _label(document)
                problems.extend(dataclasses.replace(item, place=f"{label}: {item.place}") for item in error.problems)
    if problems:
        raise InvalidInputError(problems)
    return outcome


def _inject_document(
    document: Document,
    settings: InjectionSettings,
    default_namespace: str,
    annotations: dict[str, str],
    outcome: Outcome,
) -> bool:
    """Inject one workload in place; return whether it changed."""
    kind, label = str(document["kind"]), _label(document)
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, MutableMapping):
        raise InvalidInputError([Problem("metadata", quote(plain(metadata)), "an object")])
    namespace = str(metadata.get("namespace") or default_namespace)
    if namespace in {*names.SYSTEM_NAMESPACES, settings.mesh_namespace}:
        outcome.skipped.append(f"{label}: namespace {namespace} is never injected")
        return False
    pod = plain(_template(document, kind))
    if problems := tuple(find_shape_problems(pod)):
        raise InvalidInputError(problems)
    if ((pod.get("metadata") or {}).get("labels") or {}).get(names.LABEL_AUTO_INJECT) == names.AUTO_INJECT_DISABLED:
        outcome.skipped.append(f"{label}: label {names.LABEL_AUTO_INJECT} is {names.AUTO_INJECT_DISABLED}")
        return False
    owner = None if kind == "Pod" else Owner(kind, str(metadata.get("name", "")))
    injection = inject(_with_annotations(pod, annotations), namespace, settings, owner)
    outcome.warnings.extend(f"{label}: {warning}" for warning in injection.warnings)
    if not injection.changed:
        outcome.skipped.append(f"{label}: has its sidecar already")
        return False
    unshare(document)
    graft(_template(document, kind), injection.pod)
    outcome.injected.append(label)
    return True


def _label(document: Document) -> str:
    metadata = document.get("metadata")
    return f"{document['kind']}/{metadata.get('name', '') if isinstance(metadata, MutableMapping) else ''}"


def _with_annotations(pod: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    """Write the command line's annotations into *pod*; one that the pod sets differently is refused."""
    if not annotations:
        return pod
    metadata = pod.setdefault("metadata", {}) or {}
    given = metadata.get("annotations") or {}
    problems = [
        Problem(f"annotation {name}", f'"{given[name]}"', f'"{value}", as the command line says', "drop one of the two")
        for name, value in annotations.items()
        if given.get(name, value) != value
    ]
    if problems:
        raise InvalidInputError(problems)
    pod["metadata"] = {**metadata, "annotations": {**given, **annotations}}
    return pod


def _template(document: Document, kind: str) -> Document:
    part: Any = document
    for step in TEMPLATE_PATHS[kind]:
        part = part.get(step) if isinstance(part, MutableMapping) else None
    if not isinstance(part, MutableMapping) or not isinstance(part.get("spec"), MutableMapping):
        place = ".".join((*TEMPLATE_PATHS[kind], "spec"))
        raise InvalidInputError([Problem(place, "nothing", "a pod's specification")])
    return part


def _workloads(document: Any) -> Iterator[Document]:
    if not isinstance(document, MutableMapping):
        return
    if document.get("kind") == "List" and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _workloads(item)
    elif document.get("kind") in TEMPLATE_PATHS and str(document.get("apiVersion") or "").split("/")[0] in GROUPS:
        yield document


def _list_offset(text: str) -> int:
    """Return how far the first list of *text* is indented below its key, which people do by 0 or by 2."""
    found = _FIRST_LIST.search(text)
    return 2 if found and len(found[2]) > len(found[1]) else 0


def _yaml(list_offset: int) -> Any:
    from ruamel.yaml import YAML

    parser = YAML()
    parser.preserve_quotes = True
    parser.width = 4096
    parser.indent(mapping=2, sequence=2 + list_offset, offset=list_offset)
    return parser
