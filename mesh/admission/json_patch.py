"""The difference of two JSON values as a JSON Patch (RFC 6902), the way an admission webhook answers."""

from collections.abc import Mapping
from typing import Any


def difference(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> list[dict[str, Any]]:
    """Give the operations that turn *before* into *after*; a list that changed is replaced as a whole."""
    operations: list[dict[str, Any]] = [
        {"op": "remove", "path": _pointer(path, key)} for key in before if key not in after
    ]
    for key, value in after.items():
        place = _pointer(path, key)
        if key not in before:
            operations.append({"op": "add", "path": place, "value": value})
        elif isinstance(value, Mapping) and isinstance(before[key], Mapping):
            operations.extend(difference(before[key], value, place))
        elif value != before[key]:
            operations.append({"op": "replace", "path": place, "value": value})
    return operations


def _pointer(path: str, key: str) -> str:
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
