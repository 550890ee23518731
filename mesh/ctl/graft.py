"""Bring a parsed manifest to a new value and keep what a person wrote: order, comments, quoting.

The injecting webhook works on plain values. Here its result is laid over the parsed document, touching only what
differs, so that the output of `meshctl inject` reads like its input with additions.
"""

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, Final

# Aliases may make a document so many times larger; as large any may become.
_GROWTH: Final = 10
_ALWAYS_FINE: Final = 10_000


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Format:
    """What a format makes of values: ``read`` says what a parsed scalar is, ``write`` how a new value is put down."""

    read: Callable[[Any], Any] = _same
    write: Callable[[Any], Any] = _same


def plain(value: Any, style: Format) -> Any:
    """Copy *value* into dictionaries, lists and scalars without any trace of the parser."""
    if isinstance(value, Mapping):
        return {str(key): plain(item, style) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, style) for item in value]
    return style.read(value)


class TooLargeError(Exception):
    """A document that is small as it is written, and too large when every alias in it is written out."""


def unshare(document: Any) -> None:
    """Give every place of *document* a value of its own: what an alias shares would else change in all its places.

    Raises TooLargeError for a document that grows beyond measure by it, and RecursionError for one that contains itself.
    """
    written: dict[int, Any] = {}
    _collect(document, written)
    _unshare(document, set(), max(_GROWTH * len(written), _ALWAYS_FINE))


def _children(part: Any) -> list[tuple[Any, Any]]:
    pairs = list(part.items()) if isinstance(part, MutableMapping) else list(enumerate(part))
    return [(key, child) for key, child in pairs if isinstance(child, (MutableMapping, MutableSequence))]


def _collect(part: Any, found: dict[int, Any]) -> None:
    found[id(part)] = part
    for _, child in _children(part):
        if id(child) not in found:
            _collect(child, found)


def _unshare(part: Any, seen: set[int], most: int) -> None:
    seen.add(id(part))
    if len(seen) > most:
        raise TooLargeError
    for key, child in _children(part):
        own = copy.deepcopy(child) if id(child) in seen else child
        if own is not child:
            part[key] = own
        _unshare(own, seen, most)


def graft(target: MutableMapping[str, Any], value: Mapping[str, Any], style: Format) -> None:
    """Make *target* equal to *value* in place."""
    for key in [key for key in target if key not in value]:
        del target[key]
    for key, item in value.items():
        present = target.get(key)
        if isinstance(present, MutableMapping) and isinstance(item, Mapping):
            graft(present, item, style)
        elif isinstance(present, MutableSequence) and isinstance(item, list) and _named(present) and _named(item):
            _graft_rows(present, item, style)
        elif key not in target or plain(present, style) != item:
            target[key] = style.write(item)


def _graft_rows(target: MutableSequence[Any], rows: list[Any], style: Format) -> None:
    """Make the list *target* equal to *rows*, whose items are told apart by name; known items keep their text."""
    wanted = {row["name"] for row in rows}
    for index in reversed(range(len(target))):
        if target[index]["name"] not in wanted:
            del target[index]
    for index, row in enumerate(rows):
        place = next((at for at in range(index, len(target)) if target[at]["name"] == row["name"]), None)
        if place is None:
            target.insert(index, style.write(row))
            continue
        if place != index:
            target.insert(index, target.pop(place))
        graft(target[index], row, style)


def _named(rows: Sequence[Any]) -> bool:
    found = [row.get("name") if isinstance(row, Mapping) else None for row in rows]
    return all(isinstance(name, str) for name in found) and len(set(found)) == len(found)
