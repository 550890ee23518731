"""A SPIFFE Workload API server on the gRPC library, so that our client is tested against another implementation.

It behaves as SPIRE's agent does: PermissionDenied while there is no entry, one answer at once, one after each
rotation, and InvalidArgument without the security header.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import grpc
import grpc.aio
from spiffe._proto import workload_pb2

from tests.fakes.authority import Issued

SERVICE = "SpiffeWorkloadAPI"


class WorkloadApi:
    """Serves ``identity`` (none: PermissionDenied) at *socket*; use as an async context manager."""

    def __init__(self, socket: Path, identity: Issued | None = None) -> None:
        self.socket = socket
        self.calls = 0
        self._identity = identity
        self._raw: bytes | None = None
        self._drop = False
        self._changed = asyncio.Condition()
        self._version = 0
        self._server: Any = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; a socket file left over is replaced, as after an agent's restart."""
        self.socket.unlink(missing_ok=True)
        self._server = grpc.aio.server()
        handler = grpc.unary_stream_rpc_method_handler(
            self._fetch,
            request_deserializer=workload_pb2.X509SVIDRequest.FromString,
            response_serializer=bytes,
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"FetchX509SVID": handler}),)
        )
        self._server.add_insecure_port(f"unix:{self.socket}")
        await self._server.start()

    async def stop(self) -> None:
        """Hang up on everybody."""
        await self._server.stop(0)
        self.socket.unlink(missing_ok=True)

    async def rotate(self, identity: Issued | None) -> None:
        """Send *identity* to every watcher; None ends their streams with PermissionDenied."""
        await self._change(identity, raw=None, drop=False)

    async def send_raw(self, message: bytes) -> None:
        """Send bytes that need not be an answer at all."""
        await self._change(self._identity, raw=message, drop=False)

    async def drop_streams(self) -> None:
        """End every stream with status UNAVAILABLE; new ones are served."""
        await self._change(self._identity, raw=None, drop=True)
        self._drop = False

    async def _change(self, identity: Issued | None, *, raw: bytes | None, drop: bool) -> None:
        async with self._changed:
            self._identity, self._raw, self._drop = identity, raw, drop
            self._version += 1
            self._changed.notify_all()

    async def _fetch(self, _request: object, context: Any) -> AsyncIterator[bytes]:
        self.calls += 1
        if ("workload.spiffe.io", "true") not in tuple(tuple(item) for item in context.invocation_metadata()):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing from request")
        while True:
            version = self._version
            if self._identity is None:
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no identity issued")
            else:
                yield answer(self._identity) if self._raw is None else self._raw
            async with self._changed:
                await self._changed.wait_for(lambda seen=version: self._version != seen)  # type: ignore[misc]
                if self._drop:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "the agent is shutting down")


def answer(*identities: Issued) -> bytes:
    """An X509SVIDResponse made by the protobuf library."""
    response = workload_pb2.X509SVIDResponse(
        svids=[
            workload_pb2.X509SVID(
                spiffe_id=item.spiffe_id, x509_svid=item.chain, x509_svid_key=item.key, bundle=item.bundle
            )
            for item in identities
        ]
    )
    return bytes(response.SerializeToString())
