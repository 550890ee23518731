"""Plain TCP: a server that echoes, one that speaks first, and their caller."""

import argparse
import asyncio
import json
import time
from contextlib import suppress
from typing import Any

TIMEOUT_SECONDS = 10.0
_PIECE = 64 * 1024
_POLL_SECONDS = 0.05


class TcpServer:
    """Echoes bytes; *greeting* is sent before anything was read, empty for none."""

    def __init__(self, greeting: bytes = b"") -> None:
        self._greeting = greeting
        self._open: set[asyncio.StreamWriter] = set()
        self._ending = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        self._open.add(writer)
        try:
            writer.write(self._greeting)
            if self._ending:
                writer.write_eof()
            while piece := await reader.read(_PIECE):
                if not self._ending:
                    writer.write(piece)
                    await writer.drain()
        except ConnectionError as error:
            print(json.dumps({"event": "connection failed", "reason": str(error)}), flush=True)
        finally:
            self._open.discard(writer)
            writer.close()

    async def end(self, seconds: float) -> None:
        """Say goodbye by closing our half of every connection, later ones too; wait for the clients', at most *seconds*."""
        self._ending = True
        for writer in self._open:
            writer.write_eof()
        last = time.monotonic() + seconds
        while self._open and time.monotonic() < last:
            await asyncio.sleep(_POLL_SECONDS)


async def talk(address: str, text: bytes, listen_first: bool, timeout_seconds: float) -> dict[str, Any]:
    """Connect, hear the greeting if *listen_first*, send *text*, close our half, and report all that came back."""
    host, _, port = address.rpartition(":")
    got = b""
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                if listen_first:
                    got += await reader.readline()
                writer.write(text)
                writer.write_eof()
                got += await reader.read()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        return {"address": address, "received": got.decode("latin-1"), "error": f"{type(error).__name__}: {error}"}
    return {"address": address, "received": got.decode("latin-1"), "error": ""}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``talk`` to the command line."""
    parser = commands.add_parser("talk", help="exchange bytes over TCP and print one JSON list")
    parser.add_argument("address", nargs="+", metavar="HOST:PORT")
    parser.add_argument("--text", default="hello")
    parser.add_argument("--listen-first", action="store_true", help="wait for a line of the server before sending")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, help="seconds per connection")
    parser.set_defaults(run=_run)


async def _run(options: argparse.Namespace) -> int:
    told = [talk(item, options.text.encode(), options.listen_first, options.timeout) for item in options.address]
    answers = await asyncio.gather(*told)
    print(json.dumps(answers))
    return 0 if all(not answer["error"] for answer in answers) else 1
