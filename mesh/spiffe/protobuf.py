"""The protobuf wire format, as far as small fixed messages need it (protobuf.dev, "Encoding").

A message is read as its fields in order; the caller picks the numbers that it knows and skips the rest, as the format
asks. Writing takes length-delimited and varint fields.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10


class WireError(ValueError):
    """The bytes are not a protobuf message."""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) in order: an int for varints, bytes for everything else.

    Raises WireError where the bytes end early, a number is too long, or a group or unknown wire type occurs.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise WireError("field number 0")
        value: int | bytes
        if kind == VARINT:
            value, position = _read_varint(message, position)
        elif kind in {BYTES, FIXED64, FIXED32}:
            if kind == BYTES:
                size, position = _read_varint(message, position)
            else:
                size = 8 if kind == FIXED64 else 4
            if position + size > len(message):
                raise WireError(f"field {number}: {size} bytes announced, {len(message) - position} left")
            value, position = message[position : position + size], position + size
        else:
            raise WireError(f"field {number}: wire type {kind}")
        yield number, value


def bytes_field(number: int, value: bytes) -> bytes:
    """One length-delimited field: text in UTF-8, bytes, or an embedded message."""
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def varint_field(number: int, value: int) -> bytes:
    """One unsigned number."""
    return varint(number << 3 | VARINT) + varint(value)


def varint(value: int) -> bytes:
    """*value* (0 to 2**64 - 1) in groups of seven bits, lowest first."""
    if not 0 <= value < 1 << 64:
        raise WireError(f"varint: got {value}, takes 0 to 2**64 - 1")
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(MAX_VARINT_BYTES):
        if position + index >= len(message):
            raise WireError("the message ends inside a number")
        byte = message[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >= 1 << 64:
                raise WireError("a number of more than 64 bits")
            return value, position + index + 1
    raise WireError("a number of more than 10 bytes")
