"""Property values on the wire and in hand: Struct messages to Python values and back, with secrets and unknowns kept.

A secret travels as an object with a signature, an unknown value (preview only) as one of seven sentinel texts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

Object = dict[str, Any]

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_SENTINELS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that the engine encrypts in the state and never prints."""

    value: Any


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only the update itself will tell."""

    sentinel: str = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


UNKNOWN = Unknown()


def from_struct(struct: struct_pb2.Struct) -> Object:
    """The members of a Struct as Python values."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return Unknown(text) if text in _SENTINELS else text
    if kind == "number_value":
        number = value.number_value
        # Every number of a Struct is a double; Kubernetes refuses 80.0 for a port.
        return int(number) if math.isfinite(number) and number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        members = from_struct(value.struct_value)
        if members.get(_SIGNATURE) == _SECRET:
            inner = members.get("value")
            return inner if isinstance(inner, Unknown) else Secret(inner)
        return members
    return None


def to_struct(members: Mapping[str, Any]) -> struct_pb2.Struct:
    """Python values as a Struct."""
    struct = struct_pb2.Struct()
    for key, value in members.items():
        _fill(struct.fields[key], value)
    return struct


def _fill(target: struct_pb2.Value, value: Any) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Unknown):
        target.string_value = value.sentinel
    elif isinstance(value, Secret):
        _fill(target, {_SIGNATURE: _SECRET, "value": value.value})
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _fill(target.struct_value.fields[key], item)
    elif isinstance(value, list):
        target.list_value.SetInParent()
        for item in value:
            _fill(target.list_value.values.add(), item)
    else:
        raise TypeError(f"no property value: {type(value).__name__}")


def revealed(value: Any) -> Any:
    """A copy without secret marks and without members that are null, which mean "not given"."""
    if isinstance(value, Secret):
        return revealed(value.value)
    if isinstance(value, dict):
        return {key: revealed(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [revealed(item) for item in value]
    return value


def has_unknown(value: Any) -> bool:
    """Whether anything in it is not known yet."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return False


def has_secret(value: Any) -> bool:
    """Whether anything in it is marked secret."""
    if isinstance(value, Secret):
        return True
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return False


def secret_texts(value: Any, *, inside: bool = False) -> set[str]:
    """Every text that a secret holds, for keeping it out of messages."""
    if isinstance(value, Secret):
        return secret_texts(value.value, inside=True)
    if isinstance(value, dict):
        return set().union(*(secret_texts(item, inside=inside) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(secret_texts(item, inside=inside) for item in value))
    return {value} if inside and isinstance(value, str) and value else set()


def marked(outputs: Any, inputs: Any) -> Any:
    """The outputs with the secret marks of the inputs.

    As the official provider does it: objects are followed member by member; where the input holds a secret in anything
    else (an array, a text), the whole output value becomes secret. The data of a Secret is secret whoever made it.
    """
    if not isinstance(outputs, dict):
        return outputs
    result = dict(outputs)
    if result.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if key in result and not isinstance(result[key], Secret):
                result[key] = Secret(result[key])
        # The official provider stops here; a secret annotation of a Secret would then be stored in clear.
    if not isinstance(inputs, dict):
        return result
    for key, given in inputs.items():
        value = result.get(key)
        if key not in result or isinstance(value, Secret):
            continue
        if isinstance(value, dict) and isinstance(given, dict):
            result[key] = marked(value, given)
        elif has_secret(given):
            result[key] = Secret(value)
    return result
