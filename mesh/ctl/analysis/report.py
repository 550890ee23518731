"""Results of `meshctl analyze` as a table, as JSON or YAML, and as SARIF 2.1.0 for code scanning (contract 10.analyze)."""

import json
from collections.abc import Sequence
from typing import Any, Final

from mesh.api.version import VERSION
from mesh.ctl.analysis.codes import CODES
from mesh.ctl.analysis.result import Result

SCHEMA: Final = "nginx-mesh/analyze/v1"
_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def as_document(results: Sequence[Result]) -> dict[str, Any]:
    """The schema that scripts read; fields are only ever added to it."""
    rows = [
        {
            "code": row.code.number,
            "reason": row.code.reason,
            "level": row.code.level.value,
            "kind": row.kind,
            "namespace": row.namespace,
            "name": row.name,
            "message": row.message,
            "source": row.place.source,
            "line": row.place.line,
            "page": row.code.page,
        }
        for row in results
    ]
    return {"schema": SCHEMA, "findings": rows}


def as_sarif(results: Sequence[Result]) -> dict[str, Any]:
    """One run with every code as a rule."""
    numbers = [code.number for code in CODES]
    rules = [
        {
            "id": code.number,
            "name": code.reason,
            "shortDescription": {"text": code.title},
            "help": {"text": f"{code.title}: {code.page}"},
            "defaultConfiguration": {"level": code.level.value},
        }
        for code in CODES
    ]
    found = [
        {
            "ruleId": row.code.number,
            "ruleIndex": numbers.index(row.code.number),
            "level": row.code.level.value,
            "message": {"text": f"{row.subject}: {row.message}"},
            "locations": [_location(row)],
        }
        for row in results
    ]
    driver = {"name": "meshctl", "version": VERSION, "rules": rules}
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": found}]}


def _location(row: Result) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"name": row.name, "fullyQualifiedName": row.subject, "kind": "object"}]
    }
    if row.place.line:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": row.place.source},
            "region": {"startLine": row.place.line},
        }
    return location


def as_table(results: Sequence[Result], objects: int) -> str:
    """Two lines for each finding, for people."""
    lines = []
    for row in results:
        where = f"{row.place.source}:{row.place.line}: " if row.place.line else ""
        lines += [f"{where}{row.code.level} {row.code.number} {row.subject}", f"    {row.message} ({row.code.page})"]
    errors = sum(row.code.level == "error" for row in results)
    summary = f"{objects} objects: {errors} errors, {len(results) - errors} warnings"
    return "\n".join([*lines, summary])


def render(results: Sequence[Result], objects: int, output: str) -> str:
    """The results in the form that ``-o`` asks for."""
    if output == "table":
        return as_table(results, objects)
    if output == "yaml":
        import yaml

        return str(yaml.safe_dump(as_document(results), sort_keys=False)).rstrip()
    return json.dumps(as_sarif(results) if output == "sarif" else as_document(results), indent=2, ensure_ascii=False)
