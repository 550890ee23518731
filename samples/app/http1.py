"""As much of HTTP/1.1 (RFC 9112) as both sides of the sample need: heads, bodies by length or in chunks."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

LIMIT_HEAD_BYTES = 64 * 1024
LIMIT_BODY_BYTES = 256 * 1024 * 1024


class ProtocolError(Exception):
    """The peer sent something that is no HTTP/1.1 message, or ended in the middle of one."""


@dataclass(frozen=True, slots=True)
class Head:
    """Start line and fields of a message; field names keep their spelling."""

    start: str
    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return the last value of field *name*, empty when it is absent."""
        return next((value for key, value in reversed(self.fields) if key.lower() == name.lower()), "")

    @property
    def closes(self) -> bool:
        """Whether the sender ends the connection after this message."""
        return "close" in self.get("connection").lower() or "HTTP/1.0" in self.start


@dataclass(frozen=True, slots=True)
class Address:
    """Where a URL leads: ``host`` and ``port`` to connect to, ``authority`` for the Host field, ``target`` to ask for."""

    host: str
    port: int
    authority: str
    target: str


def parse_url(url: str) -> Address:
    """Read an http URL. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url}: takes http://host[:port]/path")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.hostname, parts.port or 80, parts.netloc, target)


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read a start line and fields; None when the peer closed before the first byte. Raises ProtocolError."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise ProtocolError(f"connection ended within a message head of {len(error.partial)} bytes") from error
    except asyncio.LimitOverrunError as error:
        raise ProtocolError("message head is too long") from error
    start, *lines = raw[:-4].decode("latin-1").split("\r\n")
    fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Head(start, fields)


async def read_body(reader: asyncio.StreamReader, head: Head, *, until_close: bool) -> bytes:
    """Read the body that *head* announces; *until_close* says what no announcement means. Raises ProtocolError."""
    try:
        if "chunked" in head.get("transfer-encoding").lower():
            return await _read_chunks(reader)
        length = head.get("content-length")
        if length:
            if not length.isdigit() or int(length) > LIMIT_BODY_BYTES:
                raise ProtocolError(f"content-length {length}")
            return await reader.readexactly(int(length))
        return await reader.read(LIMIT_BODY_BYTES) if until_close else b""
    except asyncio.IncompleteReadError as error:
        raise ProtocolError(f"connection ended within a body, after {len(error.partial)} bytes of a part") from error


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size_line = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        try:
            size = int(size_line, 16)
        except ValueError as error:
            raise ProtocolError(f"chunk size {size_line!r}") from error
        if len(body) + size > LIMIT_BODY_BYTES:
            raise ProtocolError("body is too long")
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":  # trailer fields
                pass
            return bytes(body)
        body += await reader.readexactly(size)
        await reader.readexactly(2)


def render_head(start: str, fields: list[tuple[str, str]]) -> bytes:
    """Render a start line and fields, up to and with the empty line."""
    return "\r\n".join([start, *(f"{name}: {value}" for name, value in fields), "", ""]).encode("latin-1")
