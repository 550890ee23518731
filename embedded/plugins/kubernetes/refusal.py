"""Errors as the engine wants them: plain refusals, and objects that were written and are not ready."""

from collections.abc import Iterable
from typing import NoReturn

import grpc
from google.protobuf import any_pb2
from pulumi.runtime.proto import provider_pb2, status_pb2

from embedded.plugins.kubernetes.properties import Object, secret_texts, to_struct

_SHORTEST_SECRET = 3


def without_secrets(text: str, given: Iterable[Object]) -> str:
    """The text with every secret of the inputs blotted out: the API server likes to quote what it refuses."""
    for properties in given:
        for secret in sorted(secret_texts(properties), key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "[secret]")
    return text


def refuse(context: grpc.ServicerContext, text: str) -> NoReturn:
    """End the call with an error."""
    context.abort(grpc.StatusCode.UNKNOWN, text)
    raise AssertionError("abort raises")


def unsupported(context: grpc.ServicerContext, what: str) -> NoReturn:
    """End the call: this is something that only the official provider does."""
    context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in provider does not support {what}")
    raise AssertionError("abort raises")


def not_ready(
    context: grpc.ServicerContext, identity: str, properties: Object, inputs: Object, reasons: list[str]
) -> NoReturn:
    """End the call so that the engine keeps the object in its state, with the reasons, and repairs it next time."""
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=identity, properties=to_struct(properties), inputs=to_struct(inputs), reasons=reasons
        )
    )
    message = f"{identity} was written and is not ready: {reasons[0]}"
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")
