"""The few facts of an X.509 certificate that the mesh needs, read without a crypto library (RFC 5280, 4.1).

Nothing here verifies a signature: that is OpenSSL's work, in every handshake.
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from mesh.spiffe import der

_VERSION, _ISSUER_ID, _SUBJECT_ID, _EXTENSIONS = 0xA0, 0x81, 0x82, 0xA3
_DNS_NAME, _URI = 0x82, 0x86
_SUBJECT_ALT_NAME = bytes.fromhex("551d11")
_TIMES = {
    der.UTC_TIME: re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z"),
    der.GENERALIZED_TIME: re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z"),
}
PEM_WIDTH = 64


@dataclass(frozen=True, slots=True)
class Certificate:
    """``serial`` is lower-case hex without leading zeros, as NGINX and OpenSSL print it but for their upper case."""

    serial: str
    not_before: datetime
    not_after: datetime
    uris: tuple[str, ...]
    dns_names: tuple[str, ...]


def parse(data: bytes) -> Certificate:
    """Read one DER certificate. Raises der.DerError."""
    outer = der.Reader(data)
    parts = outer.enter(der.SEQUENCE)
    outer.finish()
    body = parts.enter(der.SEQUENCE)
    if body.peek() == _VERSION:
        body.read(_VERSION)
    serial = _serial(body.read(der.INTEGER))
    for _ in ("signature algorithm", "issuer"):
        body.read(der.SEQUENCE)
    validity = body.enter(der.SEQUENCE)
    not_before, not_after = _time(validity), _time(validity)
    validity.finish()
    for _ in ("subject", "public key"):
        body.read(der.SEQUENCE)
    for tag in (_ISSUER_ID, _SUBJECT_ID):
        if body.peek() == tag:
            body.read(tag)
    names = _alternative_names(body.enter(_EXTENSIONS)) if body.peek() == _EXTENSIONS else []
    body.finish()
    uris = tuple(name for tag, name in names if tag == _URI)
    return Certificate(serial, not_before, not_after, uris, tuple(name for tag, name in names if tag == _DNS_NAME))


def pem(label: str, data: bytes) -> bytes:
    """DER as a PEM block (RFC 7468)."""
    text = base64.b64encode(data)
    lines = [text[index : index + PEM_WIDTH] for index in range(0, len(text), PEM_WIDTH)]
    return b"\n".join([f"-----BEGIN {label}-----".encode(), *lines, f"-----END {label}-----".encode(), b""])


def _serial(content: bytes) -> str:
    if not content or content[0] & 0x80:
        raise der.DerError("a serial number that is empty or negative")
    return f"{int.from_bytes(content, 'big'):x}"


def _time(reader: der.Reader) -> datetime:
    tag, content = reader.read_any()
    match = _TIMES[tag].fullmatch(content) if tag in _TIMES else None
    if match is None:
        raise der.DerError(f"time with tag {tag:#x} that is not a UTC time in whole seconds")
    year, *rest = (int(part) for part in match.groups())
    if tag == der.UTC_TIME:
        year += 1900 if year >= 50 else 2000
    try:
        return datetime(year, *rest, tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError as error:
        raise der.DerError(f"time {content!r}: {error}") from error


def _alternative_names(wrapped: der.Reader) -> list[tuple[int, str]]:
    """Tag and text of the DNS and URI names of the subject; other kinds of names are left out."""
    extensions = wrapped.enter(der.SEQUENCE)
    wrapped.finish()
    found: bytes | None = None
    while not extensions.at_end:
        extension = extensions.enter(der.SEQUENCE)
        identifier = extension.read(der.OBJECT_IDENTIFIER)
        if extension.peek() == der.BOOLEAN:
            extension.read(der.BOOLEAN)
        value = extension.read(der.OCTET_STRING)
        extension.finish()
        if identifier == _SUBJECT_ALT_NAME:
            if found is not None:
                raise der.DerError("two subjectAltName extensions")
            found = value
    if found is None:
        return []
    outer = der.Reader(found)
    general_names, names = outer.enter(der.SEQUENCE), []
    outer.finish()
    while not general_names.at_end:
        tag, content = general_names.read_any()
        if tag in {_DNS_NAME, _URI}:
            names.append((tag, _ascii(content)))
    return names


def _ascii(content: bytes) -> str:
    if not content.isascii() or any(byte < 0x20 or byte == 0x7F for byte in content):
        raise der.DerError("a name that is not printable ASCII")
    return content.decode("ascii")
