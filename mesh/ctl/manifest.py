"""Manifests as text: YAML with many documents, JSON, Lists; read and written back in the same format.

``inject_manifest`` is the pure part of `meshctl inject`: the same code path as the webhook (mesh.admission.inject), laid
over the document that a person wrote.
"""

import dataclasses
import io
import json
import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from mesh.admission.inject import inject
from mesh.admission.owner import Owner
from mesh.admission.settings import InjectionSettings
from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.ctl.graft import Format, TooLargeError, graft, plain, unshare

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
    is_json: bool = False
    changed: bool = False

    @property
    def format(self) -> Format:
        """What its format makes of values."""
        if self.is_json:
            return Format()
        from mesh.ctl import yaml_scalars

        return Format(yaml_scalars.read, yaml_scalars.write)

    def render(self) -> str:
        """Write it in the format that it came in."""
        return self.marker + (self._write() if self.changed else self.text)

    def _write(self) -> str:
        if self.is_json:
            text = json.dumps(self.value, indent=2, ensure_ascii=False) + "\n"
        else:
            stream = io.StringIO()
            _yaml(_list_offset(self.text)).dump(self.value, stream)
            text = stream.getvalue()
        if self.marker and not self.marker.endswith("\n"):
            text = "\n" + text
        return text.replace("\n", "\r\n") if "\r\n" in self.text else text


@dataclass(slots=True)
class Manifest:
    """The documents of one text and how to write them back; one that did not change keeps every byte."""

    parts: list[Part]

    def render(self) -> str:
        """Write all documents, each in its own format."""
        return "".join(part.render() for part in self.parts)


@dataclass(slots=True)
class Outcome:
    """What was done, for standard error: ``injected`` and ``skipped`` as ``Kind/name`` (with a reason)."""

    injected: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def parse_manifest(text: str, place: str) -> Manifest:
    """Read *text*, which came from *place*. Raises InvalidInputError."""
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
            where = f"{place}, document {number}"
            try:
                part.is_json, part.value = _parse(part.text, where, line)
            except InvalidInputError as error:
                problems.extend(error.problems)
            except RecursionError:
                problems.append(_endless(where))
        line += part.text.count("\n")
    if problems:
        raise InvalidInputError(problems)
    return Manifest(parts)


def _parse(text: str, place: str, first_line: int) -> tuple[bool, Any]:
    """Say whether one document is JSON, and read it. What begins with a brace and is no JSON may still be YAML."""
    if not text.lstrip().startswith("{"):
        return False, _parse_yaml(text, place, first_line)
    try:
        return True, json.loads(text)
    except ValueError as error:
        try:
            return False, _parse_yaml(text, place, first_line)
        except InvalidInputError:
            raise InvalidInputError([Problem(place, str(error), "a JSON or YAML document")]) from error


def _endless(place: str) -> Problem:
    return Problem(place, "values within values, too many or without end", "a document that Kubernetes can read")


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
        try:
            if any(_workloads(part.value)):
                unshare(part.value)
            found = list(_workloads(part.value))
        except (RecursionError, TooLargeError):
            problems.append(_endless(str(part.value.get("kind"))))
            continue
        for document in found:
            label = _label(document)
            try:
                part.changed |= _inject_document(document, part.format, settings, namespace, annotations, outcome)
            except InvalidInputError as error:
                problems.extend(dataclasses.replace(item, place=f"{label}: {item.place}") for item in error.problems)
            except RecursionError:
                problems.append(_endless(label))
    if problems:
        raise InvalidInputError(problems)
    return outcome


def _inject_document(
    document: Document,
    style: Format,
    settings: InjectionSettings,
    default_namespace: str,
    annotations: dict[str, str],
    outcome: Outcome,
) -> bool:
    """Inject one workload in place; return whether it changed."""
    kind, label = str(document["kind"]), _label(document)
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, MutableMapping):
        raise InvalidInputError([Problem("metadata", quote(plain(metadata, style)), "an object")])
    namespace = str(metadata.get("namespace") or default_namespace)
    if namespace in {*names.SYSTEM_NAMESPACES, settings.mesh_namespace}:
        outcome.skipped.append(f"{label}: namespace {namespace} is never injected")
        return False
    pod = plain(_template(document, kind), style)
    if _is_opted_out(pod):
        outcome.skipped.append(f"{label}: label {names.LABEL_AUTO_INJECT} is {names.AUTO_INJECT_DISABLED}")
        return False
    owner = None if kind == "Pod" else Owner(kind, str(metadata.get("name") or ""))
    injection = inject(_with_annotations(pod, annotations), namespace, settings, owner)
    outcome.warnings.extend(f"{label}: {warning}" for warning in injection.warnings)
    if not injection.changed:
        outcome.skipped.append(f"{label}: " + ("unfit" if injection.warnings else "has its sidecar already"))
        return False
    graft(_template(document, kind), injection.pod, style)
    outcome.injected.append(label)
    return True


def _label(document: Document) -> str:
    metadata = document.get("metadata")
    if not isinstance(metadata, MutableMapping):
        metadata = {}
    generated = f"{metadata['generateName']}*" if metadata.get("generateName") else ""
    return f"{document['kind']}/{metadata.get('name') or generated}"


def _is_opted_out(pod: Mapping[str, Any]) -> bool:
    metadata = pod.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return isinstance(labels, Mapping) and labels.get(names.LABEL_AUTO_INJECT) == names.AUTO_INJECT_DISABLED


def _with_annotations(pod: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    """Write the command line's annotations into *pod*; one that the pod sets differently is refused."""
    metadata = pod.get("metadata") or {}
    given = (metadata.get("annotations") or {}) if isinstance(metadata, Mapping) else None
    if not annotations or not isinstance(given, Mapping):
        return pod
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
    """The workloads of a document, also those of lists in lists (``List``, ``DeploymentList`` ...)."""
    if not isinstance(document, MutableMapping):
        return
    kind = str(document.get("kind"))
    if kind.endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _workloads(item)
    elif kind in TEMPLATE_PATHS and str(document.get("apiVersion") or "").split("/")[0] in GROUPS:
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
    parser.brace_single_entry_mapping_in_flow_sequence = True
    parser.indent(mapping=2, sequence=2 + list_offset, offset=list_offset)
    return parser
