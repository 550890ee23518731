"""Inputs in the one spelling that the API server gives back, so that a second way to write a value is no change.

Covers what the official provider's typed round trip does to the kinds of Kubernetes itself: quantities, the data of
Secrets, fields that only the server writes. A custom resource is left as it was given.
"""

import base64
import binascii
import copy
from typing import Any

from embedded.plugins.kubernetes import quantities
from embedded.plugins.kubernetes.properties import Object, has_unknown

_SERVER_WRITTEN = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)

# Paths of quantities; "*" stands for every member or element.
_RESOURCES = (("limits", "*"), ("requests", "*"))
_CONTAINER = (
    *(("resources", *path) for path in _RESOURCES),
    ("env", "*", "valueFrom", "resourceFieldRef", "divisor"),
)
_CLAIM = tuple(("spec", "resources", *path) for path in _RESOURCES)
_DOWNWARD = ("downwardAPI", "items", "*", "resourceFieldRef", "divisor")
_POD = (
    *((group, "*", *path) for group in ("containers", "initContainers", "ephemeralContainers") for path in _CONTAINER),
    *(("resources", *path) for path in _RESOURCES),
    ("overhead", "*"),
    ("volumes", "*", "emptyDir", "sizeLimit"),
    ("volumes", "*", *_DOWNWARD),
    ("volumes", "*", "projected", "sources", "*", *_DOWNWARD),
    *(("volumes", "*", "ephemeral", "volumeClaimTemplate", *path) for path in _CLAIM),
)
_TEMPLATE = tuple(("spec", "template", "spec", *path) for path in _POD)
_METRIC = tuple(
    ("spec", "metrics", "*", source, "target", member)
    for source in ("resource", "containerResource", "pods", "object", "external")
    for member in ("averageValue", "value")
)
_PATHS: dict[tuple[str, str], tuple[tuple[str, ...], ...]] = {
    ("", "Pod"): tuple(("spec", *path) for path in _POD),
    ("", "PodTemplate"): tuple(("template", "spec", *path) for path in _POD),
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("apps", "StatefulSet"): (*_TEMPLATE, *(("spec", "volumeClaimTemplates", "*", *path) for path in _CLAIM)),
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): tuple(("spec", "jobTemplate", "spec", "template", "spec", *path) for path in _POD),
    ("", "PersistentVolumeClaim"): _CLAIM,
    ("", "PersistentVolume"): (("spec", "capacity", "*"),),
    ("", "ResourceQuota"): (("spec", "hard", "*"),),
    ("", "LimitRange"): tuple(
        ("spec", "limits", "*", bound, "*")
        for bound in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): _METRIC,
    ("node.k8s.io", "RuntimeClass"): (("overhead", "podFixed", "*"),),
    ("storage.k8s.io", "CSIStorageCapacity"): (("capacity",), ("maximumVolumeSize",)),
}


def group_of(api_version: str) -> str:
    """The API group of an apiVersion; empty for the core."""
    group, separator, _ = api_version.partition("/")
    return group if separator else ""


def normalised(inputs: Object) -> Object:
    """A normalised copy of the plain inputs of one object."""
    result = copy.deepcopy(inputs)
    api_version, kind = result.get("apiVersion"), result.get("kind")
    if isinstance(api_version, str) and isinstance(kind, str) and not has_unknown(result):
        for path in _PATHS.get((group_of(api_version), kind), ()):
            _rewrite(result, path)
        if (api_version, kind) == ("v1", "Secret"):
            _encode_secret(result)
        if kind == "CustomResourceDefinition":
            _trim_definition(result)
    metadata = result.get("metadata")
    if isinstance(metadata, dict):
        for field in _SERVER_WRITTEN:
            metadata.pop(field, None)
    return result


def _rewrite(node: Any, path: tuple[str, ...]) -> None:
    head, *rest = path
    if isinstance(node, list):
        for index, item in enumerate(node):
            if rest:
                _rewrite(item, tuple(rest))
            else:
                node[index] = _quantity(item)
        return
    if not isinstance(node, dict):
        return
    for key in list(node) if head == "*" else [head]:
        if key in node:
            if rest:
                _rewrite(node[key], tuple(rest))
            else:
                node[key] = _quantity(node[key])


def _quantity(value: Any) -> Any:
    if isinstance(value, str):
        return quantities.canonical(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return quantities.canonical(str(value))
    return value


def _encode_secret(secret: Object) -> None:
    texts = secret.get("stringData")
    data = secret.get("data")
    if isinstance(texts, dict) and texts:
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
        secret["data"] = {**(data if isinstance(data, dict) else {}), **encoded}
        del secret["stringData"]
    elif isinstance(data, dict):
        secret["data"] = {key: _without_whitespace(text) for key, text in data.items()}


def _without_whitespace(text: Any) -> Any:
    """Line breaks inside base64 do not survive the server's decoding and encoding."""
    if not isinstance(text, str):
        return text
    try:
        return base64.b64encode(base64.b64decode("".join(text.split()), validate=True)).decode()
    except binascii.Error:
        return text  # the server refuses it, and says so better


def _trim_definition(definition: Object) -> None:
    spec = definition.get("spec")
    if isinstance(spec, dict) and spec.get("preserveUnknownFields") is False:
        del spec["preserveUnknownFields"]
    definition.pop("status", None)
