"""One request, many requests, requests for ever: the calling side of the sample."""

import argparse
import asyncio
import json
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from samples.app import http1

TIMEOUT_SECONDS = 10.0
_CALLS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request brought: ``status`` 0 means none, and ``error`` says why."""

    url: str
    status: int
    body: bytes
    milliseconds: float
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the answer for a JSON report; a JSON body is shown as such, another by its length."""
        shown: dict[str, Any] = {"url": self.url, "status": self.status, "milliseconds": round(self.milliseconds, 2)}
        if self.error:
            return {**shown, "error": self.error}
        try:
            return {**shown, "body": json.loads(self.body)}
        except ValueError:
            return {**shown, "body_bytes": len(self.body), "text": self.body[:200].decode("latin-1")}


class Connection:
    """One keep-alive connection to *address*."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ended = False

    @property
    def usable(self) -> bool:
        """Whether neither side has closed it, as far as is known here."""
        broken = self._reader.at_eof() or self._reader.exception() is not None
        return not (self._ended or broken or self._writer.is_closing())

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Connect. Raises OSError."""
        reader, writer = await asyncio.open_connection(host, port, limit=http1.LIMIT_HEAD_BYTES)
        return cls(reader, writer)

    async def request(
        self, method: str, address: http1.Address, fields: list[tuple[str, str]], body: bytes
    ) -> tuple[int, bytes]:
        """Send one request and return status and body. Raises OSError, ProtocolError; the connection is then closed."""
        length = [("Content-Length", str(len(body)))] if body else []
        start = f"{method} {address.target} HTTP/1.1"
        try:
            self._writer.write(http1.render_head(start, [("Host", address.authority), *length, *fields]) + body)
            await self._writer.drain()
            head = await http1.read_head(self._reader)
            if head is None:
                raise http1.ProtocolError("connection closed without an answer")
            content = b"" if method == "HEAD" else await http1.read_body(self._reader, head, until_close=head.closes)
        except BaseException:
            self.close()
            raise
        if head.closes:
            self.close()
        return int(head.start.split(" ")[1]), content

    def close(self) -> None:
        """End the connection at once; it is not used again."""
        self._ended = True
        self._writer.transport.abort()


async def fetch(
    url: str,
    method: str = "GET",
    fields: list[tuple[str, str]] | None = None,
    body: bytes = b"",
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """Make one request on a connection of its own; every failure is an Answer with a reason."""
    begin = time.monotonic()
    try:
        address = http1.parse_url(url)
        async with asyncio.timeout(timeout_seconds):
            connection = await Connection.open(address.host, address.port)
            try:
                status, content = await connection.request(
                    method, address, [*(fields or []), ("Connection", "close")], body
                )
            finally:
                connection.close()
    except TimeoutError:
        return Answer(url, 0, b"", (time.monotonic() - begin) * 1000, f"no answer within {timeout_seconds} s")
    except (OSError, http1.ProtocolError, ValueError) as error:
        return Answer(url, 0, b"", (time.monotonic() - begin) * 1000, f"{type(error).__name__}: {error}")
    return Answer(url, status, content, (time.monotonic() - begin) * 1000)


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``call`` and ``client`` to the command line."""
    call = commands.add_parser("call", help="request each URL and print one JSON list")
    call.add_argument("url", nargs="+")
    call.add_argument("--method", default="GET")
    call.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    call.add_argument("--body", default="", help="text of the request's body")
    call.add_argument("--body-bytes", type=int, default=0, help="send that many bytes in place of a text")
    call.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, help="seconds per request")
    call.add_argument("--at-once", type=int, default=_CALLS_AT_ONCE, help="requests in flight at most")
    call.add_argument("--times", type=int, default=1, help="request each URL that often")
    call.set_defaults(run=_call)
    client = commands.add_parser("client", help="request a URL again and again until SIGTERM")
    client.add_argument("url")
    client.add_argument("--every", type=float, default=5.0, help="seconds between requests")
    client.set_defaults(run=_client)


async def _call(options: argparse.Namespace) -> int:
    fields = [(name, value.strip()) for name, _, value in (item.partition(":") for item in options.header)]
    body = options.body.encode() or b"x" * options.body_bytes
    room = asyncio.Semaphore(options.at_once)

    async def one(url: str) -> Answer:
        async with room:
            return await fetch(url, options.method, fields, body, options.timeout)

    answers = await asyncio.gather(*(one(url) for url in options.url * options.times))
    print(json.dumps([answer.as_dict() for answer in answers]))
    return 0 if all(answer.status for answer in answers) else 1


async def _client(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        answer = (await fetch(options.url)).as_dict()
        print(json.dumps({key: answer.get(key) for key in ("url", "status", "milliseconds", "error")}), flush=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), options.every)
    return 0
