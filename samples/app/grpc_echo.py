"""A gRPC echo service and its caller. Messages are plain bytes, so that no schema has to be compiled.

``Report`` answers one JSON report of the call as it arrived, ``Repeat`` sends the message as often as it says,
``Count`` counts what was sent, ``Echo`` sends back each message as it comes.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeAlias

import grpc

SERVICE = "mesh.sample.Echo"
HEALTH = "grpc.health.v1.Health"
SERVING = b"\x08\x01"  # HealthCheckResponse with field 1, status, set to SERVING
TIMEOUT_SECONDS = 10.0
GRACE_SECONDS = 25.0

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"


class EchoService:
    """Serves gRPC on several ports. *name* and *pod* go into reports."""

    def __init__(self, name: str, pod: str) -> None:
        self._name = name
        self._pod = pod

    async def start(self, ports: Iterable[int]) -> grpc.aio.Server:
        """Serve on *ports* until the returned server is stopped."""
        server = grpc.aio.server()
        handlers = {
            "Report": grpc.unary_unary_rpc_method_handler(self._report),
            "Repeat": grpc.unary_stream_rpc_method_handler(self._repeat),
            "Count": grpc.stream_unary_rpc_method_handler(self._count),
            "Echo": grpc.stream_stream_rpc_method_handler(self._echo),
        }
        health = {"Check": grpc.unary_unary_rpc_method_handler(self._check)}
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(SERVICE, handlers),
                grpc.method_handlers_generic_handler(HEALTH, health),
            )
        )
        for port in ports:
            server.add_insecure_port(f"[::]:{port}")
        await server.start()
        return server

    async def _report(self, message: bytes, context: Context) -> bytes:
        metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        context.set_trailing_metadata((("x-sample-pod", self._pod),))
        report = {"server": self._name, "pod": self._pod, "metadata": metadata, "body_bytes": len(message)}
        return json.dumps(report).encode()

    async def _check(self, _message: bytes, _context: Context) -> bytes:
        return SERVING

    async def _repeat(self, message: bytes, _context: Context) -> AsyncIterator[bytes]:
        for _ in range(int(message)):
            yield message

    async def _count(self, messages: AsyncIterator[bytes], _context: Context) -> bytes:
        return str(sum([1 async for _ in messages])).encode()

    async def _echo(self, messages: AsyncIterator[bytes], _context: Context) -> AsyncIterator[bytes]:
        async for message in messages:
            yield message


async def call(
    address: str, method: str, messages: list[bytes], metadata: list[tuple[str, str]], timeout_seconds: float
) -> dict[str, Any]:
    """Make one call on a connection of its own; a failed one is an answer, too, with status and details."""
    options = {"metadata": metadata, "timeout": timeout_seconds}
    async with grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        path = f"/{SERVICE}/{method}"
        try:
            answers = await _exchange(channel, path, method, messages, options)
        except grpc.aio.AioRpcError as error:
            return {"address": address, "status": error.code().name, "details": error.details(), "answers": []}
    return {"address": address, "status": "OK", "details": "", "answers": [_shown(answer) for answer in answers]}


async def _exchange(
    channel: grpc.aio.Channel, path: str, method: str, messages: list[bytes], options: dict[str, Any]
) -> list[bytes]:
    if method == "Report":
        return [await channel.unary_unary(path)(messages[0], **options)]
    if method == "Repeat":
        return [answer async for answer in channel.unary_stream(path)(messages[0], **options)]
    if method == "Count":
        return [await channel.stream_unary(path)(iter(messages), **options)]
    # Each message is sent when the one before it has come back: nothing on the way may hold one.
    stream = channel.stream_stream(path)(**options)
    answers = []
    for message in messages:
        await stream.write(message)
        answers.append(await stream.read())
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    return answers


def _shown(answer: bytes) -> Any:
    return json.loads(answer) if answer.startswith(b"{") else answer.decode("latin-1")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``grpc`` to the command line."""
    parser = commands.add_parser("grpc", help="make gRPC calls and print one JSON list")
    parser.add_argument("address", nargs="+", metavar="HOST:PORT")
    parser.add_argument("--method", choices=("Report", "Repeat", "Count", "Echo"), default="Report")
    parser.add_argument("--message", action="append", help="may be repeated for Count and Echo")
    parser.add_argument("--metadata", action="append", default=[], metavar="NAME:VALUE")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, help="seconds per call: the gRPC deadline")
    parser.set_defaults(run=_run)


async def _run(options: argparse.Namespace) -> int:
    messages = [message.encode() for message in options.message or ["hello"]]
    metadata = [(name, value.strip()) for name, _, value in (item.partition(":") for item in options.metadata)]
    calls = (call(address, options.method, messages, metadata, options.timeout) for address in options.address)
    answers = await asyncio.gather(*calls)
    print(json.dumps(answers))
    return 0 if all(answer["status"] == "OK" for answer in answers) else 1
