"""The object as the cluster has it now, for refresh, import and `.get`."""

from dataclasses import dataclass

from embedded.plugins.kubernetes import pods, readiness, state
from embedded.plugins.kubernetes.cluster import Cluster, NoSuchKind
from embedded.plugins.kubernetes.connection import ApiError
from embedded.plugins.kubernetes.normalise import normalised
from embedded.plugins.kubernetes.properties import Object
from embedded.plugins.kubernetes.prune import pruned

_NO_INPUT_MEMBERS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "selfLink")
_NO_INPUT_ANNOTATIONS = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")


@dataclass(frozen=True, slots=True)
class Found:
    """A live object, the inputs that it stands for now, and why it is not ready (empty when it is)."""

    live: Object
    inputs: Object
    troubles: tuple[str, ...] = ()


def read(token: str, identity: str, old_inputs: Object, old_live: Object, cluster: Cluster) -> Found | None:
    """The object, or None when the server says that it, or its kind, is not there.

    Raises Unreachable when there is no answer: an object that cannot be seen is not gone.
    """
    inputs = normalised(old_inputs)
    known = inputs if "kind" in inputs else old_live
    api_version, kind = (known["apiVersion"], known["kind"]) if "kind" in known else kind_of_token(token)
    namespace, name = state.parse_identity(identity)
    item: Object = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
    try:
        live = cluster.get(item)
    except NoSuchKind:
        return None
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    if "kind" not in inputs:
        return Found(live, inputs_from(live))
    return Found(live, pruned(live, inputs, old_live), tuple(_troubles(live, inputs, cluster)))


def kind_of_token(token: str) -> tuple[str, str]:
    """(apiVersion, kind) of a type token such as `kubernetes:apps/v1:Deployment`."""
    _, module, kind = token.split(":")
    return module.removeprefix("core/"), kind


def inputs_from(live: Object) -> Object:
    """Inputs that would make this object: all but what only the server writes."""
    inputs = {key: value for key, value in live.items() if key != "status"}
    metadata = {key: value for key, value in live["metadata"].items() if key not in _NO_INPUT_MEMBERS}
    annotations = {
        key: value
        for key, value in (metadata.pop("annotations", None) or {}).items()
        if key not in _NO_INPUT_ANNOTATIONS
    }
    if annotations:
        metadata["annotations"] = annotations
    return {**inputs, "metadata": metadata}


def _troubles(live: Object, inputs: Object, cluster: Cluster) -> list[str]:
    if not readiness.is_awaited_on_read(live) or state.annotation(inputs, "pulumi.com/skipAwait") == "true":
        return []
    if state.annotation(inputs, "pulumi.com/waitFor"):
        return []  # the program says itself what ready means
    try:
        why = readiness.missing(live, cluster)
    except readiness.Failed as failure:
        why = str(failure)
    return [why, *pods.reasons(live, cluster)] if why else []
