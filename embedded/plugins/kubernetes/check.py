"""The program's inputs made ready for the engine: named, placed, normalised; or the reasons why they cannot be."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from embedded.plugins.kubernetes import scope, state, wait_for
from embedded.plugins.kubernetes.cluster import Cluster
from embedded.plugins.kubernetes.normalise import normalised
from embedded.plugins.kubernetes.properties import Object, Unknown, marked

AUTONAMED = "pulumi.com/autonamed"


class CannotName(Exception):
    """The resource has no name and must not get one."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How a resource without a name gets one; ``proposed`` is the engine's own idea, empty when it has none."""

    resource: str
    seed: bytes = b""
    mode: Literal["propose", "enforce", "disable"] = "propose"
    proposed: str = ""

    def name(self) -> str:
        if self.mode == "disable":
            raise CannotName("autonaming is disabled: metadata.name is required")
        if self.proposed:
            return self.proposed
        digest = hashlib.sha256(self.seed).hexdigest() if self.seed else secrets.token_hex(4)
        return f"{self.resource}-{digest[:8]}"


def refused(token: str) -> str:
    """Why a resource type cannot be had here; empty when it can."""
    module, _, kind = token.removeprefix("kubernetes:").partition(":")
    place = f"the stand-in provider does not support {token}"
    if module.startswith(("helm.sh", "kustomize", "yaml")):
        return f"{place}: declare the objects themselves"
    if kind.endswith("Patch"):
        return f"{place}: declare the whole object, or let another field manager own the rest"
    if kind.endswith("List"):
        return f"{place}: declare its items"
    return ""


def checked(news: Object, olds: Object, naming: Naming, cluster: Cluster) -> Object:
    """The inputs that the state will keep, secrets marked as they came."""
    inputs, old = state.inputs_of(news), state.inputs_of(olds)
    metadata = inputs.get("metadata")
    if not isinstance(metadata, Unknown):
        metadata = inputs["metadata"] = dict(metadata) if isinstance(metadata, dict) else {}
        if not metadata.get("name"):
            metadata["name"] = _kept_name(old) or naming.name()
            annotations = metadata.get("annotations")
            if not isinstance(annotations, Unknown):
                metadata["annotations"] = {**(annotations or {}), AUTONAMED: "true"}
        if not metadata.get("namespace") and scope.is_namespaced(cluster, inputs):
            metadata["namespace"] = cluster.default_namespace
    # After naming: normalising copies, and drops what only the server writes.
    result: Object = marked(normalised(inputs), state.dashed(news))
    return result


def problems(token: str, news: Object) -> list[tuple[str, str]]:
    """(property, why) for inputs that can never become an object; empty property for the resource as a whole."""
    why = refused(token)
    if why:
        return [("", why)]
    inputs = state.inputs_of(news)
    found = [
        (name, f"{name}: got {_shown(inputs.get(name))}, takes a text")
        for name in ("apiVersion", "kind")
        if not isinstance(inputs.get(name), (str, Unknown)) or not inputs[name]
    ]
    metadata = inputs.get("metadata")
    if isinstance(metadata, dict) and metadata.get("generateName"):
        found.append(("metadata.generateName", "metadata.generateName is not supported with server-side apply"))
    annotated = state.annotation(inputs, "pulumi.com/waitFor")
    if annotated:
        try:
            wait_for.parse(annotated)
        except ValueError as error:
            found.append(("metadata.annotations", str(error)))
    return found


def is_autonamed(inputs: Object) -> bool:
    return state.annotation(inputs, AUTONAMED) == "true"


def _kept_name(old: Object) -> str:
    if not is_autonamed(old):
        return ""
    name = old["metadata"].get("name")
    return name if isinstance(name, str) else ""


def _shown(value: Any) -> str:
    return "nothing" if value is None else f'"{value}"'
