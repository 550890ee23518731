"""Changes of the provider's own configuration: only another cluster replaces what stands in the old one."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from embedded.plugins.kubernetes.connection import read_kubeconfig
from embedded.plugins.kubernetes.properties import Object, Unknown, revealed

_WHERE = ("kubeconfig", "context", "cluster")


def difference(old: Object, new: Object) -> tuple[list[str], list[str]]:
    """(changed options, those of them that replace every resource)."""
    before, after = revealed(old), revealed(new)
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key) and key != "version")
    if not changed:
        return [], []
    identified = "clusterIdentifier" in before and "clusterIdentifier" in after
    if identified:
        return changed, ["clusterIdentifier"] if "clusterIdentifier" in changed else []
    unknown = [key for key in _WHERE if isinstance(after.get(key), Unknown)]
    if unknown:
        return changed, unknown
    one, other = _active_cluster(before), _active_cluster(after)
    if one is None or other is None or one == other:
        return changed, []
    return changed, [key for key in _WHERE if key in changed]


def _active_cluster(given: Object) -> Object | None:
    """The cluster entry that a configuration talks to; None when that cannot be said."""
    kubeconfig = given.get("kubeconfig", "")
    text = json.dumps(kubeconfig) if isinstance(kubeconfig, dict) else str(kubeconfig)
    if not text:
        return None
    try:
        document = read_kubeconfig(text)
    except (OSError, TypeError, yaml.YAMLError):
        return None
    if document is None:
        return None
    name = given.get("context") or document.get("current-context")
    context = next((entry["context"] for entry in document.get("contexts") or [] if entry["name"] == name), None)
    if context is None:
        return None
    wanted = given.get("cluster") or context.get("cluster")
    return next((entry["cluster"] for entry in document.get("clusters") or [] if entry["name"] == wanted), None)


def of_variables(variables: Mapping[str, str]) -> Object:
    """Options from an engine that sends them as `kubernetes:config:name` texts only."""
    result: dict[str, Any] = {key.rpartition(":")[2]: value for key, value in variables.items()}
    return result
