"""Render what is known of the settings: docs/reference/stack-settings.md and the ``config`` section of Pulumi.yaml.

`python -m stacks.reference` writes both again; a test fails when they are out of step with the declarations.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mesh.api import schema
from stacks.settings import Settings

_ROOT = Path(__file__).resolve().parent.parent
PROGRAM = _ROOT / "Pulumi.yaml"
DOCUMENT = _ROOT / "docs" / "reference" / "stack-settings.md"

_HEAD = """# Stack settings

Every setting of a stack, with its default and what it takes. Made by `python -m stacks.reference` from
`stacks/settings.py`. Set one with `pulumi config set KEY VALUE`; a member of a structure with
`pulumi config set --path mtls.mode strict`; credentials with `--secret`. All settings are checked together before
anything is changed; an unknown key is refused.

| key | default | takes | what it is |
|---|---|---|---|
"""


def document() -> str:
    """The reference page."""
    rows = (f"| `{key}` | {default} | {takes} | {text} |\n" for key, default, takes, text in _rows(Settings, ""))
    return _HEAD + "".join(rows)


def _rows(declaration: type, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for one in schema.members(declaration):
        key = prefix + one.name
        if schema.is_declaration(one.type):
            yield from _rows(one.type, key + ".")
            continue
        default = "" if one.required or one.default in {None, "", ()} else f"`{_plain(one.default)}`"
        yield key, default, schema.takes_of(one.type, one.rule).replace("|", "\\|"), one.rule.description


def program_config() -> dict[str, dict[str, Any]]:
    """The ``config`` section of Pulumi.yaml. Every key has a default: Pulumi refuses a stack that lacks another."""
    found = {}
    for one in schema.members(Settings):
        found[one.name] = {
            "type": _pulumi_type(one.type),
            "description": one.rule.description,
            "default": _pulumi_default(one),
        }
    return found


def _pulumi_type(type_: Any) -> str:
    if schema.is_declaration(type_) or not isinstance(type_, type):
        return "object"
    return {bool: "boolean", int: "integer"}.get(type_, "string")


def _pulumi_default(one: schema.Member) -> Any:
    return {} if _pulumi_type(one.type) == "object" else _plain(one.default)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def program_text() -> str:
    """Pulumi.yaml with its ``config`` section made anew; the rest stays as it is."""
    document_: dict[str, Any] = yaml.safe_load(PROGRAM.read_text())
    document_["config"] = program_config()
    return yaml.safe_dump(document_, sort_keys=False, width=120)


def main() -> None:
    """Write both files."""
    PROGRAM.write_text(program_text())
    DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
    DOCUMENT.write_text(document())


if __name__ == "__main__":
    main()
