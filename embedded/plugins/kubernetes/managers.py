"""Field ownership (`metadata.managedFields`): taking over what earlier managers wrote, leaving alone what is ignored."""

import copy
from typing import Any

from embedded.plugins.kubernetes.cluster import Cluster
from embedded.plugins.kubernetes.connection import ApiError
from embedded.plugins.kubernetes.diff import parse_path
from embedded.plugins.kubernetes.properties import Object

# (prefix of the manager's name, operation); entries of subresources stay whose they are.
_OWN = (("pulumi-kubernetes", "Update"), ("pulumi-resource-kubernetes", "Update"))
_TAKEN = (("kubectl", "Apply"), ("kubectl", "Update"), ("before-first-apply", "Update"), *_OWN)
_ATTEMPTS = 3


def has_own_updates(live: Object) -> bool:
    """Whether a create of ours still owns fields that the object's own manager has not taken over."""
    return any(_matches(entry, _OWN) for entry in live["metadata"].get("managedFields") or [])


def _matches(entry: Object, known: tuple[tuple[str, str], ...]) -> bool:
    return not entry.get("subresource") and any(
        entry.get("operation") == operation and str(entry.get("manager", "")).startswith(prefix)
        for prefix, operation in known
    )


def merged(entries: list[Object], manager: str) -> list[Object] | None:
    """The entries with all that is taken over put under ``manager``; None when there is nothing to take."""
    own = next((entry for entry in entries if entry["manager"] == manager and entry["operation"] == "Apply"), None)
    taken = [entry for entry in entries if entry is not own and _matches(entry, _TAKEN)]
    if not taken:
        return None
    rest = [entry for entry in entries if entry is not own and entry not in taken]
    result = (
        copy.deepcopy(own) if own is not None else {**copy.deepcopy(taken[0]), "manager": manager, "operation": "Apply"}
    )
    for entry in taken:
        result["fieldsV1"] = _union(result.get("fieldsV1") or {}, entry.get("fieldsV1") or {})
    return [*rest, result]


def _union(left: Object, right: Object) -> Object:
    result = dict(left)
    for key, value in right.items():
        result[key] = _union(result[key], value) if key in result else value
    return result


def taken_over(live: Object, cluster: Cluster, manager: str) -> Object:
    """Give this object's manager the fields that its creation and kubectl wrote, so that they are no conflict."""
    for attempt in range(_ATTEMPTS):
        entries = merged(live["metadata"].get("managedFields") or [], manager)
        if entries is None:
            return live
        version = live["metadata"]["resourceVersion"]
        operations = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        ]
        try:
            return cluster.patch_json(live, operations)
        except ApiError as error:
            # Somebody wrote in between (409, or 422 for the failed test): look again.
            if error.status not in {409, 422} or attempt == _ATTEMPTS - 1:
                raise
            live = cluster.get(live)
    raise AssertionError("the last attempt returns or raises")


def without_ignored(inputs: Object, live: Object, ignored: list[str], manager: str) -> Object:
    """The inputs with ignored places as the cluster has them: left out when only others own them, else kept."""
    if not ignored:
        return inputs
    result = copy.deepcopy(inputs)
    owners: list[tuple[str, Object]] = [
        (str(entry.get("manager")), entry.get("fieldsV1") or {})
        for entry in live["metadata"].get("managedFields") or []
    ]
    for text in ignored:
        path = parse_path(text)
        if not all(isinstance(step, str) for step in path):
            continue  # an element of a list has no path of its own in managedFields
        names = [str(step) for step in path]
        holders = {name for name, fields in owners if _owns(fields, names)}
        if holders and manager not in holders:
            _remove(result, names)
        else:
            value = _at(live, names)
            if value is not None:
                _set(result, names, value)
    return result


def _owns(fields: Object, names: list[str]) -> bool:
    node: Any = fields
    for name in names:
        node = node.get(f"f:{name}") if isinstance(node, dict) else None
        if node is None:
            return False
    return True


def _at(node: Any, names: list[str]) -> Any:
    for name in names:
        node = node.get(name) if isinstance(node, dict) else None
    return node


def _remove(node: Any, names: list[str]) -> None:
    holder = _at(node, names[:-1])
    if isinstance(holder, dict):
        holder.pop(names[-1], None)


def _set(node: Object, names: list[str], value: Any) -> None:
    for name in names[:-1]:
        inner = node.get(name)
        if not isinstance(inner, dict):
            inner = node[name] = {}
        node = inner
    node[names[-1]] = value
