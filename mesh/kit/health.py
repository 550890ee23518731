"""A tiny HTTP server for probes: GET /live and GET /ready, 200 or 503 with the reasons as JSON (contract 5.ready)."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Self

Check = Callable[[], str]
"""Returns what is missing, in one phrase; empty when all is well."""

REQUEST_SECONDS = 5.0
REQUEST_BYTES = 8192
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HealthServer:
    """Serves the checks of one process on *port* of all addresses (port 0: any free one, see ``port``).

    ``ready`` checks decide /ready, ``live`` checks /live. The body is ``{"ok": ..., "failing": {name: reason}}``.
    Every request is closed after its answer; a client that sends nothing is dropped after REQUEST_SECONDS.
    """

    def __init__(
        self, port: int, ready: Mapping[str, Check], live: Mapping[str, Check] | None = None, host: str | None = None
    ) -> None:
        self._checks: dict[str, Mapping[str, Check]] = {"/ready": ready, "/live": live or {}}
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=REQUEST_BYTES)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()

    def answer(self, method: str, path: str) -> tuple[int, dict[str, object]]:
        """Status and body for one request; pure but for the checks."""
        checks = self._checks.get(path.partition("?")[0])
        if checks is None:
            return 404, {"ok": False, "failing": {"path": "takes /live and /ready"}}
        if method not in {"GET", "HEAD"}:
            return 405, {"ok": False, "failing": {"method": "takes GET and HEAD"}}
        failing = {name: reason for name, check in checks.items() if (reason := check())}
        return (503 if failing else 200), {"ok": not failing, "failing": failing}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
                status, body = self.answer(method, rest.partition(" ")[0])
                payload = json.dumps(body).encode()
                writer.write(_head(status, len(payload)) + (b"" if method == "HEAD" else payload))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # A probe that goes away or sends rubbish learns nothing and costs nothing.
        finally:
            writer.close()


def _head(status: int, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()
