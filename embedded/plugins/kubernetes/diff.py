"""What changes between the object that the state knows and the inputs that the program gives now."""

from dataclasses import dataclass
from typing import Any, Literal

from embedded.plugins.kubernetes.properties import Object, Unknown

Step = str | int
Path = tuple[Step, ...]
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One changed place; ``value`` is what the program wants there, None when it is to go."""

    path: Path
    kind: Literal["add", "delete", "update"]
    value: Any = None


def changes(live: Object, new: Object, old_inputs: Object) -> list[Change]:
    """All changes, parents before children, in the order of the inputs.

    ``live`` is the known object pruned to the shape of ``old_inputs``. An empty value (false, 0, "", [], {}) that the
    program gave before and the server did not keep is no change.
    """
    found: list[Change] = []
    _walk((), live, new, old_inputs, found)
    return found


def _walk(path: Path, live: Any, new: Any, old: Any, found: list[Change]) -> None:
    if isinstance(live, dict) and isinstance(new, dict):
        known = old if isinstance(old, dict) else {}
        for key in [*new, *(key for key in live if key not in new)]:
            _compare((*path, key), live.get(key, _MISSING), new.get(key, _MISSING), known.get(key, _MISSING), found)
    elif isinstance(live, list) and isinstance(new, list):
        known_items = old if isinstance(old, list) else []
        for index in range(max(len(live), len(new))):
            _compare((*path, index), _at(live, index), _at(new, index), _at(known_items, index), found)
    elif not same(live, new):
        found.append(Change(path, "update", new))


def _compare(path: Path, live: Any, new: Any, old: Any, found: list[Change]) -> None:
    if new is _MISSING:
        found.append(Change(path, "delete"))
    elif live is _MISSING:
        if not (_is_empty(new) and old is not _MISSING and same(old, new)):
            found.append(Change(path, "add", new))
    else:
        _walk(path, live, new, old, found)


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else _MISSING


def _is_empty(value: Any) -> bool:
    return not value and not isinstance(value, Unknown)


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: 1 is 1.0, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def text_of(path: Path) -> str:
    """A property path as the engine writes it: `spec.ports[0].port`, `metadata.labels["a.b/c"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif any(character in step for character in '."[]'):
            escaped = step.replace('"', '\\"')
            text += f'["{escaped}"]'
        else:
            text += f".{step}" if text else step
    return text


def parse_path(text: str) -> Path:
    """The steps of a property path; the star of a wildcard stays a text."""
    steps: list[Step] = []
    rest = text
    while rest:
        if rest.startswith('["'):
            end = rest.find('"]')
            steps.append(rest[2:end].replace('\\"', '"'))
            rest = rest[end + 2 :]
        elif rest.startswith("["):
            end = rest.find("]")
            inner = rest[1:end]
            steps.append(int(inner) if inner.isdigit() else inner)
            rest = rest[end + 1 :]
        else:
            rest = rest.removeprefix(".")
            end = min((place for place in (rest.find("."), rest.find("[")) if place >= 0), default=len(rest))
            steps.append(rest[:end])
            rest = rest[end:]
        if steps[-1] == "" or (rest and rest[0] not in ".["):
            raise ValueError(f'property path "{text}": takes names, ["quoted names"] and [indexes]')
    return tuple(steps)


def contains(outer: Path, inner: Path) -> bool:
    """Whether ``inner`` lies at or below ``outer``; a star in ``outer`` stands for any one step."""
    return len(outer) <= len(inner) and all(step in ("*", other) for step, other in zip(outer, inner, strict=False))
