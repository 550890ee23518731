"""The echo server. A request's query says how it is answered, so that a test needs no second program.

``delay_ms=N`` waits first; ``status=N`` answers so; ``size=N`` sends N bytes in place of the report; ``chunks=N`` and
``interval_ms=N`` stream them in pieces; ``echo=1`` returns the request's body; ``close=1`` ends the connection after
the answer, ``reset=1`` before it. Without any, the answer is a JSON report of the request as it arrived.
"""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from samples.app import http1
from samples.app.client import fetch
from samples.app.tcp import TcpServer

if TYPE_CHECKING:
    import grpc

MAX_DELAY_SECONDS = 600.0
IDLE_SECONDS = 2.0
LINGER_SECONDS = 5.0
GRACE_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Ports:
    """What is served where: HTTP, a TCP echo, a TCP echo that speaks first, gRPC."""

    http: list[int]
    tcp: list[int]
    greet: list[int]
    grpc: list[int]


class EchoServer:
    """Serves HTTP, TCP and gRPC on several ports, until it is told to end and has become idle.

    ``calls`` maps a path to a URL that is fetched when the path is asked for; the report carries what came back.
    With ``at_once`` it takes nothing more when it is told to end, as many servers do: it closes its ports and idle
    connections, and finishes the requests that it has.
    """

    def __init__(self, name: str, calls: dict[str, str], *, at_once: bool = False) -> None:
        self._name = name
        self._calls = calls
        self._at_once = at_once
        self._idle: set[asyncio.StreamWriter] = set()
        self._pod = os.environ.get("HOSTNAME", "")
        self._in_flight = 0
        self._last_active = time.monotonic()
        self._draining = False

    async def run(self, ports: "Ports", stop: asyncio.Event) -> None:
        """Serve until *stop* is set, then until idle: a client that still routes here is not refused."""
        limit = http1.LIMIT_HEAD_BYTES
        servers = [await asyncio.start_server(self._serve, None, port, limit=limit) for port in ports.http]
        echo, greeter = TcpServer(), TcpServer(f"{self._name} speaks first\n".encode())
        servers += [await asyncio.start_server(echo.serve, None, port) for port in ports.tcp]
        servers += [await asyncio.start_server(greeter.serve, None, port) for port in ports.greet]
        grpc_server = await self._start_grpc(ports.grpc)
        print(json.dumps({"event": "serving", "name": self._name, "ports": asdict(ports)}), flush=True)
        await stop.wait()
        self._draining = True
        if not self._at_once:
            await self._become_idle()
        for server in servers:
            server.close()
        for writer in self._idle:
            writer.close()
        if grpc_server:
            await grpc_server.stop(GRACE_SECONDS)
        await asyncio.gather(echo.end(LINGER_SECONDS), greeter.end(LINGER_SECONDS), self._finish())

    async def _start_grpc(self, ports: list[int]) -> "grpc.aio.Server | None":
        if not ports:
            return None
        # Imported only where it is served: the library takes 20 MB, and most pods of the sample speak HTTP.
        from samples.app.grpc_echo import EchoService

        return await EchoService(self._name, self._pod).start(ports)

    async def _become_idle(self) -> None:
        begin = time.monotonic()
        while (elapsed := time.monotonic() - begin) < GRACE_SECONDS:
            quiet = self._in_flight == 0 and time.monotonic() - self._last_active >= IDLE_SECONDS
            if quiet and elapsed >= LINGER_SECONDS:
                return
            await asyncio.sleep(0.1)

    async def _finish(self) -> None:
        """Wait for the requests that are in hand, for as long as it may take."""
        last = time.monotonic() + GRACE_SECONDS
        while self._in_flight and time.monotonic() < last:
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        local_port = writer.get_extra_info("sockname")[1]
        try:
            while (head := await self._next_head(reader, writer)) is not None:
                self._in_flight += 1
                try:
                    body = await http1.read_body(reader, head, until_close=False)
                    keep = await self._answer(head, body, writer, local_port)
                finally:
                    self._in_flight -= 1
                    self._last_active = time.monotonic()
                if not keep:
                    break
        except (http1.ProtocolError, ConnectionError) as error:
            print(json.dumps({"event": "connection failed", "reason": str(error)}), flush=True)
        finally:
            writer.close()

    async def _next_head(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> http1.Head | None:
        self._idle.add(writer)
        try:
            return await http1.read_head(reader)
        finally:
            self._idle.discard(writer)

    async def _answer(self, head: http1.Head, body: bytes, writer: asyncio.StreamWriter, port: int) -> bool:
        """Answer one request; return whether the connection goes on."""
        method, target, _ = head.start.split(" ", 2)
        query = {key: values[-1] for key, values in parse_qs(urlsplit(target).query).items()}
        await asyncio.sleep(min(int(query.get("delay_ms", 0)) / 1000, MAX_DELAY_SECONDS))
        if query.get("reset") == "1":
            writer.transport.abort()
            return False
        keep = not (head.closes or query.get("close") == "1" or self._draining)
        status = HTTPStatus(int(query.get("status", 200)))
        content, kind = await self._content(method, target, query, head, body, port)
        fields = [("Content-Type", kind), ("X-Sample-Server", self._name), ("X-Sample-Pod", self._pod)]
        fields += [] if keep else [("Connection", "close")]
        start = f"HTTP/1.1 {status.value} {status.phrase}"
        if "chunks" in query:
            writer.write(http1.render_head(start, [*fields, ("Transfer-Encoding", "chunked")]))
            await _stream(writer, content, int(query["chunks"]), int(query.get("interval_ms", 0)) / 1000)
        else:
            writer.write(http1.render_head(start, [*fields, ("Content-Length", str(len(content)))]))
            writer.write(b"" if method == "HEAD" else content)
        await writer.drain()
        return keep

    async def _content(
        self, method: str, target: str, query: dict[str, str], head: http1.Head, body: bytes, port: int
    ) -> tuple[bytes, str]:
        if query.get("echo") == "1":
            return body, head.get("content-type") or "application/octet-stream"
        if "size" in query:
            return _pattern(int(query["size"])), "application/octet-stream"
        report: dict[str, Any] = {
            "server": self._name,
            "pod": self._pod,
            "port": port,
            "method": method,
            "target": target,
            "headers": dict(head.fields),
            "body_bytes": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        called = self._calls.get(urlsplit(target).path)
        if called:
            separator = "&" if urlsplit(called).query else "?"
            answer = await fetch(called + (f"{separator}{urlsplit(target).query}" if query else ""))
            report["called"] = answer.as_dict()
        return json.dumps(report).encode(), "application/json"


def _pattern(size: int) -> bytes:
    line = b"0123456789abcdef" * 4
    return (line * (size // len(line) + 1))[: min(size, http1.LIMIT_BODY_BYTES)]


async def _stream(writer: asyncio.StreamWriter, content: bytes, chunks: int, interval_seconds: float) -> None:
    size = max(1, -(-len(content) // max(1, chunks)))
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
        await asyncio.sleep(interval_seconds)
    writer.write(b"0\r\n\r\n")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``server`` to the command line."""
    parser = commands.add_parser("server", help="serve until SIGTERM and idle")
    parser.add_argument("--name", default=os.environ.get("HOSTNAME", "server"), help="name in answers")
    parser.add_argument("--port", action="append", type=int, default=[], help="serve HTTP there; may be repeated")
    parser.add_argument("--tcp-port", action="append", type=int, default=[], help="echo bytes there; may be repeated")
    parser.add_argument("--greet-port", action="append", type=int, default=[], help="greet, then echo bytes there")
    parser.add_argument("--grpc-port", action="append", type=int, default=[], help="serve gRPC there; may be repeated")
    parser.add_argument(
        "--call", action="append", default=[], metavar="PATH=URL", help="fetch URL when PATH is asked for"
    )
    parser.add_argument("--at-once", action="store_true", help="take nothing more from SIGTERM on")
    parser.set_defaults(run=_run)


async def _run(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    calls = dict(item.split("=", 1) for item in options.call)
    ports = Ports(options.port, options.tcp_port, options.greet_port, options.grpc_port)
    await EchoServer(options.name, calls, at_once=options.at_once).run(ports, stop)
    return 0
