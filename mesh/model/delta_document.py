"""The JSON form of what changed between two configurations of a group (design 7). What did not change is absent.

Rows stand as in whole documents, with tables of their own: positions of one document mean nothing in another.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mesh.model import sidecar_document
from mesh.model.document_fields import LARGE, read_list, read_number, read_object, read_row, read_rows
from mesh.model.edits import Edit, Row, apply_edits, edits_between
from mesh.model.sidecar_config import Endpoint, ServicePort, SidecarConfig
from mesh.model.sidecar_document import ReadTables, Tables

EndpointEdits = dict[int, list[Edit[Endpoint]]]


def render_own(before: SidecarConfig, after: SidecarConfig) -> dict[str, Any]:
    """Give the change of what belongs to the group alone: fields with their new values, null for those that went."""
    old, new = sidecar_document.render_own(before), sidecar_document.render_own(after)
    changed = {key: new.get(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    return {"own": changed} if changed else {}


def render_scope(before: SidecarConfig, after: SidecarConfig) -> dict[str, Any]:
    """Give the change of services and pods; the same for all groups that share both scopes.

    A Service of which endpoints alone changed keeps its place, and only they are written.
    """
    endpoints = _endpoint_edits(before.services, after.services)
    services = edits_between(_with_endpoints(before.services, endpoints), after.services)
    pods = edits_between(before.pods, after.pods)
    tables = Tables.of(_rows_of(services), _rows_of(pods), _rows_of(edit for row in endpoints.values() for edit in row))
    fields = {
        "endpoints": [
            [number, _render(edits, lambda row: sidecar_document.render_endpoint(row, tables))]
            for number, edits in endpoints.items()
        ],
        "services": _render(services, lambda row: sidecar_document.render_service(row, tables)),
        "pods": _render(pods, lambda row: sidecar_document.render_pod(row, tables)),
    }
    return {key: value for key, value in (fields | tables.render()).items() if value}


def apply(base: SidecarConfig, document: object) -> SidecarConfig:
    """Make the change to *base*. Raises InvalidInputError for a document that is none or does not fit it."""
    root = read_object("delta", document)
    tables = ReadTables.of(root)
    endpoints = {}
    for row in read_rows("endpoints", root):
        number, edits, *_ = read_row("endpoints", row, 2)
        place = read_number("endpoints", number, 0, len(base.services) - 1)
        endpoints[place] = _parse(edits, lambda item: sidecar_document.parse_endpoint(item, tables))
    services = _parse(root.get("services", []), lambda item: sidecar_document.parse_service(item, tables))
    pods = _parse(root.get("pods", []), lambda item: sidecar_document.parse_pod(item, tables))
    return replace(
        _apply_own(base, read_object("own", root.get("own", {}))),
        services=apply_edits("services", _with_endpoints(base.services, endpoints), services),
        pods=apply_edits("pods", base.pods, pods),
    )


def _apply_own(base: SidecarConfig, changed: Mapping[str, Any]) -> SidecarConfig:
    if not changed:
        return base
    fields = sidecar_document.render_own(base) | dict(changed)
    return sidecar_document.parse_own({key: value for key, value in fields.items() if value is not None})


def _endpoint_edits(before: Sequence[ServicePort], after: Sequence[ServicePort]) -> EndpointEdits:
    found = {}
    numbers = {_bare(service): number for number, service in enumerate(before)}
    for service in after:
        number = numbers.get(_bare(service))
        if number is not None and (edits := edits_between(before[number].endpoints, service.endpoints)):
            found[number] = edits
    return dict(sorted(found.items()))


def _bare(service: ServicePort) -> ServicePort:
    return replace(service, endpoints=())


def _with_endpoints(services: Sequence[ServicePort], edits: EndpointEdits) -> list[ServicePort]:
    return [
        replace(service, endpoints=apply_edits("endpoints", service.endpoints, edits[number]))
        if number in edits
        else service
        for number, service in enumerate(services)
    ]


def _rows_of(edits: Iterable[Edit[Row]]) -> list[Row]:
    return [row for edit in edits for row in edit.rows]


def _render(edits: Iterable[Edit[Row]], render: Callable[[Row], Any]) -> list[Any]:
    return [[edit.at, edit.removed, [render(row) for row in edit.rows]] for edit in edits]


def _parse(value: object, parse: Callable[[object], Row]) -> list[Edit[Row]]:
    edits = []
    for row in read_list("edits", value):
        at, removed, rows, *_ = read_row("edits", row, 3)
        place, count = read_number("edits", at, 0, LARGE), read_number("edits", removed, 0, LARGE)
        edits.append(Edit(place, count, tuple(parse(item) for item in read_list("edits", rows))))
    return edits
