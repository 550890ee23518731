"""Long streams, for tests that do something to their other end meanwhile: did each begin, and how did it end?

A TCP stream goes on until the server ends it in order, and the next one begins. A gRPC stream goes on for a while, and
must then end with status OK. Whatever else happens to one is a failure, with its reason; nothing is tried again.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import grpc

ANSWER_SECONDS = 10.0


@dataclass(slots=True)
class Record:
    """What happened to the streams of one kind: ``messages`` came back, ``ended`` by the other side in order."""

    streams: int = 0
    messages: int = 0
    ended: int = 0
    failures: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return the JSON report."""
        return {"streams": self.streams, "messages": self.messages, "ended": self.ended, "failures": self.failures}


async def hold_tcp(address: str, every: float, stop: asyncio.Event) -> Record:
    """Send a line each *every* seconds on one connection after the other until told to stop; the server echoes them."""
    record = Record()
    host, _, port = address.rpartition(":")
    while not stop.is_set():
        record.streams += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(host, int(port))
            try:
                record.ended += await _echo_lines(reader, writer, every, stop, record)
            finally:
                writer.close()
        except (OSError, TimeoutError, ValueError) as error:
            record.failures.append(f"message {record.messages}: {type(error).__name__}: {error}")
        await _pause(every, stop)
    return record


async def _echo_lines(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, every: float, stop: asyncio.Event, record: Record
) -> bool:
    """Return whether the server ended the stream. Raises OSError, TimeoutError, ValueError for a line cut short."""
    while not stop.is_set():
        line = f"{record.messages}\n".encode()
        async with asyncio.timeout(ANSWER_SECONDS):
            writer.write(line)
            await writer.drain()
            answer = await reader.readline()
        if not answer:
            return True
        if answer != line:
            raise ValueError(f"sent {line!r}, got {answer!r}")
        record.messages += 1
        await _pause(every, stop)
    return False


async def hold_grpc(address: str, every: float, seconds: float, stop: asyncio.Event) -> Record:
    """Exchange a message each *every* seconds on streams of *seconds*, one after the other, until told to stop."""
    import grpc  # slow to import, and needed here only

    from samples.app.grpc_echo import SERVICE

    record = Record()
    async with grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.stream_stream(f"/{SERVICE}/Echo")
        while not stop.is_set():
            record.streams += 1
            try:
                await _echo_messages(call(timeout=seconds + ANSWER_SECONDS), every, seconds, stop, record)
            except grpc.aio.AioRpcError as error:
                record.failures.append(f"message {record.messages}: {error.code().name}: {error.details()}")
                await _pause(every, stop)
            except asyncio.InvalidStateError as error:  # it ended between two messages
                record.failures.append(f"message {record.messages}: {error}")
    return record


async def _echo_messages(
    stream: "grpc.aio.StreamStreamCall[bytes, bytes]",
    every: float,
    seconds: float,
    stop: asyncio.Event,
    record: Record,
) -> None:
    """Raises AioRpcError."""
    import grpc

    last = time.monotonic() + seconds
    while time.monotonic() < last and not stop.is_set():
        message = str(record.messages).encode()
        await stream.write(message)
        answer = await stream.read()
        if answer != message:
            record.failures.append(f"sent {message!r}, got {answer!r}")
            return
        record.messages += 1
        await _pause(every, stop)
    await stream.done_writing()
    if await stream.read() is not grpc.aio.EOF:
        record.failures.append("more came back than was sent")


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``hold`` to the command line."""
    parser = commands.add_parser("hold", help="keep streams open until standard input ends, and print one JSON report")
    parser.add_argument("--tcp", required=True, metavar="HOST:PORT")
    parser.add_argument("--grpc", required=True, metavar="HOST:PORT")
    parser.add_argument("--every", type=float, default=0.1, help="seconds between messages")
    parser.add_argument("--grpc-seconds", type=float, default=3.0, help="length of one gRPC stream")
    parser.set_defaults(run=_run)


async def _run(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, _read_to_end, stop)
    print(json.dumps({"event": "started"}), file=sys.stderr, flush=True)
    tcp, calls = await asyncio.gather(
        hold_tcp(options.tcp, options.every, stop), hold_grpc(options.grpc, options.every, options.grpc_seconds, stop)
    )
    print(json.dumps({"tcp": tcp.summary(), "grpc": calls.summary()}), flush=True)
    return 1 if tcp.failures or calls.failures else 0


def _read_to_end(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin)
        stop.set()
