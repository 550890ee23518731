"""A live object cut to the shape of the inputs that made it: what nobody asked for is no drift."""

from typing import Any

from embedded.plugins.kubernetes.properties import Object


def pruned(live: Object, inputs: Object, before: Object | None = None) -> Object:
    """The members of ``live`` that ``inputs`` has, at every depth.

    With ``before``, the object as it was known, an empty input (false, 0, "", [], {}) that was not there then either is
    kept: the server had dropped it, so that nobody took it away since.
    """
    result = {}
    for key, given in inputs.items():
        if key in live:
            result[key] = _value(live[key], given, before.get(key) if before is not None else _NOT_ASKED)
        elif before is not None and not given and key not in before:
            result[key] = given
    return result


_NOT_ASKED = object()


def _value(live: Any, given: Any, before: Any) -> Any:
    if isinstance(live, dict) and isinstance(given, dict):
        if before is _NOT_ASKED:
            return pruned(live, given)
        return pruned(live, given, before if isinstance(before, dict) else {})
    if isinstance(live, list) and isinstance(given, list):
        return _items(live, given, before)
    return live


def _items(live: list[Any], given: list[Any], before: Any) -> list[Any]:
    """Elements that carry a name are found by it, others by their place.

    Somebody else's element in front of ours (an injected container) must not make every following one look changed.
    """
    known = before if isinstance(before, list) else []
    if given and _named(live) and _named(given):
        by_name = {item["name"]: item for item in live}
        known_by_name = {item["name"]: item for item in known} if _named(known) else {}
        return [
            _value(by_name[name], item, _NOT_ASKED if before is _NOT_ASKED else known_by_name.get(name))
            for item in given
            if (name := item["name"]) in by_name
        ]
    return [
        _value(item, wanted, _NOT_ASKED if before is _NOT_ASKED else known[index] if index < len(known) else None)
        for index, (item, wanted) in enumerate(zip(live, given, strict=False))
    ]


def _named(items: list[Any]) -> bool:
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
