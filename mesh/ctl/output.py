"""The three ways to print a document: for people, as JSON, as YAML."""

import json
from collections.abc import Callable
from typing import Any, Final

import click

OUTPUT: Final = click.Choice(["table", "json", "yaml"])


def rendered(document: dict[str, Any], output: str, as_text: Callable[[dict[str, Any]], str]) -> str:
    """Give *document* as *output* (one of OUTPUT) wants it."""
    if output == "json":
        return json.dumps(document, indent=2)
    if output == "yaml":
        import yaml

        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip("\n")
    return as_text(document)
