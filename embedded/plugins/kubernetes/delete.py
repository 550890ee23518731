"""Remove one object and wait until it is gone."""

from embedded.plugins.kubernetes.cluster import Cluster, NoSuchKind
from embedded.plugins.kubernetes.connection import ApiError
from embedded.plugins.kubernetes.properties import Object
from embedded.plugins.kubernetes.state import annotation
from embedded.plugins.kubernetes.waiting import Patience, until_gone

_UNWATCHED = {"Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"}
"""Kinds whose deletion is not waited for under pulumi.com/skipAwait, as with the official provider."""


def propagation(inputs: Object) -> str:
    """What becomes of the objects that this one owns: deleted first, unless annotated otherwise."""
    policies = {"orphan": "Orphan", "background": "Background"}
    return policies.get(annotation(inputs, "pulumi.com/deletionPropagationPolicy").lower(), "Foreground")


def delete(item: Object, inputs: Object, cluster: Cluster, patience: Patience) -> None:
    """Delete and wait. An object, or a kind, that is not there is deleted already."""
    try:
        cluster.delete(item, propagation(inputs))
    except NoSuchKind:
        return
    except ApiError as error:
        if error.status == 404:
            return
        raise
    if annotation(inputs, "pulumi.com/skipAwait") == "true" and item["kind"] in _UNWATCHED:
        return
    until_gone(item, inputs, cluster, patience)
    if item["kind"] == "CustomResourceDefinition":
        cluster.forget_kinds()
