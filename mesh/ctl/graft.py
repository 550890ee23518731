"""Bring a parsed manifest to a new value and keep what a person wrote: order, comments, quoting.

The injecting webhook works on plain values. Here its result is laid over the parsed document, touching only what
differs, so that the output of `meshctl inject` reads like its input with additions.
"""

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any


def plain(value: Any) -> Any:
    """Copy *value* into dictionaries, lists and scalars without any trace of the parser."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def unshare(document: Any) -> None:
    """Give every place of *document* a value of its own: what an alias shares would else change in all its places."""
    _unshare(document, set())


def _unshare(part: Any, seen: set[int]) -> None:
    seen.add(id(part))
    pairs = list(part.items()) if isinstance(part, MutableMapping) else list(enumerate(part))
    for key, child in pairs:
        if not isinstance(child, (MutableMapping, MutableSequence)):
            continue
        own = copy.deepcopy(child) if id(child) in seen else child
        if own is not child:
            part[key] = own
        _unshare(own, seen)


def graft(target: MutableMapping[str, Any], value: Mapping[str, Any]) -> None:
    """Make *target* equal to *value* in place."""
    for key in [key for key in target if key not in value]:
        del target[key]
    for key, item in value.items():
        present = target.get(key)
        if isinstance(present, MutableMapping) and isinstance(item, Mapping):
            graft(present, item)
        elif isinstance(present, MutableSequence) and isinstance(item, list) and _named(present) and _named(item):
            _graft_rows(present, item)
        elif present != item or key not in target:
            target[key] = item


def _graft_rows(target: MutableSequence[Any], rows: list[Any]) -> None:
    """Make the list *target* equal to *rows*, whose items are told apart by name; known items keep their text."""
    wanted = {row["name"] for row in rows}
    for index in reversed(range(len(target))):
        if target[index]["name"] not in wanted:
            del target[index]
    for index, row in enumerate(rows):
        place = next((at for at in range(index, len(target)) if target[at]["name"] == row["name"]), None)
        if place is None:
            target.insert(index, row)
            continue
        if place != index:
            target.insert(index, target.pop(place))
        graft(target[index], row)


def _named(rows: Sequence[Any]) -> bool:
    found = [row.get("name") if isinstance(row, Mapping) else None for row in rows]
    return all(isinstance(name, str) for name in found) and len(set(found)) == len(found)
