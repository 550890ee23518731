"""The one function of the provider that the SDK needs for YAML text: split it into objects."""

import yaml

from embedded.plugins.kubernetes import scope
from embedded.plugins.kubernetes.cluster import Cluster
from embedded.plugins.kubernetes.properties import Object, revealed


def decode(arguments: Object, cluster: Cluster) -> Object:
    """The objects of a YAML text, lists taken apart; ValueError when it is no YAML.

    ``defaultNamespace`` is given to the objects that live in a namespace and name none.
    """
    given = revealed(arguments)
    namespace = given.get("defaultNamespace", "")
    try:
        documents = list(yaml.safe_load_all(given.get("text", "")))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    found: list[Object] = []
    for document in documents:
        if not document:
            continue
        if not isinstance(document, dict):
            raise ValueError(f"got {type(document).__name__}, takes documents that are objects")  # noqa: TRY004
        is_list = str(document.get("kind", "")).endswith("List") and "items" in document
        found.extend(document["items"] if is_list else [document])
    for item in found:
        metadata = item.setdefault("metadata", {})
        if namespace and not metadata.get("namespace") and scope.is_namespaced(cluster, item):
            metadata["namespace"] = namespace
    return {"result": found}
