"""The agent's side of NGINX's control socket (docs/reference/nginx-state.md, "The control socket")."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

APPLY_SECONDS = 10.0
ANSWER_BYTES = 64 << 20


class UnreachableError(Exception):
    """NGINX did not answer, or not as agreed; the text says how."""


class RefusedError(Exception):
    """NGINX refused what it was given; the text is its reason."""


@dataclass(frozen=True, slots=True)
class Status:
    """What NGINX has applied; empty or 0 for what it does not know yet.

    ``unsearchable`` has a line for each pattern of it that cannot be searched (at most 16): what it belongs to is not judged.
    """

    revision: str = ""
    ready: bool = False
    draining: bool = False
    svid_serial: str = ""
    svid_not_after: int = 0
    bundle_digest: str = ""
    mode: str = ""
    transparent: bool = False
    unsearchable: str = ""


async def status(socket: Path) -> Status:
    """Ask what is applied. Raises UnreachableError."""
    return parse_status(await _request(socket, "GET", "/status"))


async def apply(socket: Path) -> Status:
    """Make NGINX read what changed. Raises UnreachableError, or RefusedError and then the old state serves on."""
    return parse_status(await _request(socket, "POST", "/apply"))


async def drain(socket: Path) -> Status:
    """Make NGINX accept no more incoming connections. Raises UnreachableError."""
    return parse_status(await _request(socket, "POST", "/drain"))


def parse_status(body: bytes) -> Status:
    """Read a status document; fields that are null or missing stay empty. Raises UnreachableError."""
    try:
        document = json.loads(body)
    except ValueError as error:
        raise UnreachableError("a status that is no JSON") from error
    if not isinstance(document, dict):
        raise UnreachableError("a status that is no object")
    not_after = document.get("svid_not_after")
    return Status(
        revision=str(document.get("revision") or ""),
        ready=document.get("ready") is True,
        draining=document.get("draining") is True,
        svid_serial=str(document.get("svid_serial") or ""),
        svid_not_after=not_after if isinstance(not_after, int) else 0,
        bundle_digest=str(document.get("bundle_digest") or ""),
        mode=str(document.get("mode") or ""),
        transparent=document.get("transparent") is True,
        unsearchable=_lines(document.get("unsearchable")),
    )


def _lines(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else ""


async def _request(socket: Path, method: str, path: str) -> bytes:
    try:
        async with asyncio.timeout(APPLY_SECONDS):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                # HTTP/1.0: the answer comes in one piece and the connection ends after it.
                writer.write(f"{method} {path} HTTP/1.0\r\nHost: nginx-mesh\r\nContent-Length: 0\r\n\r\n".encode())
                answer = await _read_all(reader)
            finally:
                writer.close()
    except TimeoutError:
        raise UnreachableError(f"no answer to {method} {path} in {APPLY_SECONDS} s") from None
    except OSError as error:
        raise UnreachableError(f"{method} {path}: {error}") from error
    head, separator, body = answer.partition(b"\r\n\r\n")
    parts = head.split(b"\r\n", 1)[0].split()
    if not separator or len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise UnreachableError(f"{method} {path}: no HTTP answer")
    code = int(parts[1])
    if code == 422:
        raise RefusedError(body.decode("utf-8", "replace").strip())
    if code != 200:
        raise UnreachableError(f"{method} {path}: HTTP status {code}")
    return body


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    size = 0
    while piece := await reader.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES:
            raise UnreachableError(f"an answer of more than {ANSWER_BYTES} bytes")
    return b"".join(pieces)
