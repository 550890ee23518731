"""What the stack's state keeps of one object: the live object, and beside it the inputs that made it, the first
apiVersion and the field manager, under the official provider's names.

Schema members such as `x-kubernetes-int-or-string` have underscores in the SDK and in the state, dashes on the wire.
"""

import hashlib
import secrets
from typing import Any

from embedded.plugins.kubernetes.properties import Object, Secret, marked, revealed

INPUTS = "__inputs"
INITIAL_API_VERSION = "__initialApiVersion"
FIELD_MANAGER = "__fieldManager"

CREATION_MANAGER = "pulumi-kubernetes"
"""Field manager of the POST that makes an object; the first update hands its fields to the object's own manager."""

_DASHED = {
    name.replace("-", "_"): name
    for name in (
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    )
}
_UNDERSCORED = {dashed: underscored for underscored, dashed in _DASHED.items()}


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if isinstance(value, Secret):
        return Secret(_renamed(value.value, names))
    return value


def dashed(value: Any) -> Any:
    """As the API server spells it."""
    return _renamed(value, _DASHED)


def underscored(value: Any) -> Any:
    """As the SDKs spell it."""
    return _renamed(value, _UNDERSCORED)


def inputs_of(properties: Object) -> Object:
    """Plain inputs as the API server spells them, from properties as the engine sends them."""
    result: Object = dashed(revealed(properties))
    return result


def saved(live: Object, inputs: Object, given: Object, initial_api_version: str, manager: str) -> Object:
    """The state of one object.

    ``inputs`` are plain; ``given`` are the same as the engine sent them and say what is secret.
    """
    given = underscored(given)
    result: Object = marked(underscored(live), given)
    kept: Object = marked(underscored(inputs), given)
    texts = given.get("stringData")
    if isinstance(texts, Secret) or (isinstance(texts, dict) and result.get("kind") == "Secret"):
        for holder in (result, kept):
            if "data" in holder and not isinstance(holder["data"], Secret):
                holder["data"] = Secret(holder["data"])
    result[INPUTS] = kept
    result[INITIAL_API_VERSION] = initial_api_version
    result[FIELD_MANAGER] = manager
    return result


def split(properties: Object) -> tuple[Object, Object]:
    """(old inputs, live object) of a saved state, both plain."""
    live = inputs_of(properties)
    inputs = live.pop(INPUTS, {})
    return inputs if isinstance(inputs, dict) else {}, live


def initial_api_version(properties: Object, inputs: Object) -> str:
    """The apiVersion that the object was made with."""
    kept = properties.get(INITIAL_API_VERSION)
    return kept if isinstance(kept, str) else str(inputs.get("apiVersion", ""))


def field_manager(properties: Object, inputs: Object, seed: str = "") -> str:
    """The object's own field manager: annotated, else the one in its state, else a new one.

    A new one is random unless a ``seed`` is given: an upsert that is repeated after an interruption must meet the fields
    of its first attempt as its own.
    """
    named = annotation(inputs, "pulumi.com/patchFieldManager")
    if named:
        return named
    kept = properties.get(FIELD_MANAGER)
    if isinstance(kept, str):
        return kept
    digits = hashlib.sha256(seed.encode()).hexdigest()[:8] if seed else secrets.token_hex(4)
    return f"{CREATION_MANAGER}-{digits}"


def annotation(inputs: Object, name: str) -> str:
    """An annotation's value, empty when there is none."""
    metadata = inputs.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    value = annotations.get(name) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else ""


def identity(live: Object) -> str:
    """The Pulumi id of an object: `namespace/name`, or `name` where there are no namespaces."""
    metadata = live.get("metadata", {})
    namespace, name = metadata.get("namespace"), metadata["name"]
    return f"{namespace}/{name}" if namespace else str(name)


def parse_identity(text: str) -> tuple[str, str]:
    """(namespace, name) of a Pulumi id."""
    namespace, _, name = text.rpartition("/")
    return namespace, name
