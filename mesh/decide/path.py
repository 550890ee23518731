"""The path that rules judge: a request's target as NGINX reads it into its variable ``uri`` (contract 7.path).

RFC 3986 dot segments are removed, percent-encoding is undone once, slashes in a row are one; what was encoded counts
like what was written, except that ``%25``, ``%23`` and ``%3F`` mean the characters themselves. A backslash is a
character like any other.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_ABSOLUTE: Final = re.compile(
    rb"[A-Za-z][A-Za-z0-9+.-]*://"
    rb"(?:\[[A-Za-z0-9:._~!$&'()*+,;=-]*\]|\.?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.?)"
    rb"(?::[0-9]*)?(?=[/?]|\Z)"
)
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_LITERAL_WHERE_ESCAPED: Final = frozenset(b"%#?")
_ENDS: Final = frozenset(b"?#")
_SLASH: Final = ord("/")


class BadTargetError(ValueError):
    """The target is malformed: NGINX answers 400 and nobody judges it."""


@lru_cache(maxsize=4096)
def normalised_path(target: bytes) -> bytes:
    """Return the path of a request's *target*, in origin-form or absolute-form. Raises BadTargetError.

    Bytes up to the space and 0x7f, ``%00``, half escapes and ``..`` above the root are malformed.
    """
    if any(byte <= 0x20 or byte == 0x7F for byte in target):
        raise BadTargetError("a control character or space")
    absolute = _ABSOLUTE.match(target)
    path = target[absolute.end() :] if absolute else target
    if absolute and not path.startswith(b"/"):
        path = b"/" + path
    if not path.startswith(b"/"):
        raise BadTargetError("neither a path nor an absolute URI")
    segments: list[bytes] = []
    *whole, last = _split(path)
    for segment in whole:
        _descend(segments, segment)
    if last in {b".", b".."}:
        _descend(segments, last)
        last = b""
    return b"/" + b"".join(segment + b"/" for segment in segments) + last


def _descend(segments: list[bytes], segment: bytes) -> None:
    if segment == b"..":
        if not segments:
            raise BadTargetError(".. above the root")
        segments.pop()
    elif segment not in {b"", b"."}:
        segments.append(segment)


def _split(path: bytes) -> list[bytes]:
    """The segments behind the first slash, decoded, up to the query or fragment."""
    segments = [bytearray()]
    for byte, is_literal in _decoded(path):
        if byte == _SLASH:
            segments.append(bytearray())
        elif byte in _ENDS and not is_literal:
            break
        else:
            segments[-1].append(byte)
    return [bytes(segment) for segment in segments[1:]]


def _decoded(path: bytes) -> Iterator[tuple[int, bool]]:
    place = 0
    while place < len(path):
        if path[place] != ord("%"):
            yield path[place], False
            place += 1
            continue
        escape = _ESCAPE.match(path, place)
        if escape is None:
            raise BadTargetError("% without two hexadecimal digits")
        byte = int(escape[1], 16)
        if byte == 0:
            raise BadTargetError("%00")
        yield byte, byte in _LITERAL_WHERE_ESCAPED
        place = escape.end()
