"""A strict reader of the DER that X.509 needs (ITU-T X.690): definite minimal lengths, tags below 31, no trailing bytes."""

BOOLEAN, INTEGER, OCTET_STRING, OBJECT_IDENTIFIER = 0x01, 0x02, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE = 0x17, 0x18, 0x30
MAX_LENGTH_BYTES = 4


class DerError(ValueError):
    """The bytes are not DER, or not the structure that was expected."""


class Reader:
    """Reads the elements of *data* one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def at_end(self) -> bool:
        """Whether every byte has been read."""
        return self._position == len(self._data)

    def peek(self) -> int:
        """Tag of the next element; -1 at the end."""
        return -1 if self.at_end else self._data[self._position]

    def read(self, tag: int) -> bytes:
        """Content of the next element, which must carry *tag*."""
        if self.peek() != tag:
            raise DerError(f"tag {self.peek():#x} where {tag:#x} belongs, at byte {self._position}")
        return self.read_any()[1]

    def enter(self, tag: int) -> "Reader":
        """Reader of the next element's content, which must carry *tag*."""
        return Reader(self.read(tag))

    def read_any(self) -> tuple[int, bytes]:
        """Tag and content of the next element."""
        tag, start, end = self._header()
        self._position = end
        return tag, self._data[start:end]

    def read_whole(self) -> bytes:
        """The next element with its header, untouched."""
        begin = self._position
        self._position = self._header()[2]
        return self._data[begin : self._position]

    def finish(self) -> None:
        """Raise DerError when something is left."""
        if not self.at_end:
            raise DerError(f"{len(self._data) - self._position} bytes after the end")

    def _header(self) -> tuple[int, int, int]:
        """Tag, start and end of the next element's content."""
        data, position = self._data, self._position
        if position + 2 > len(data):
            raise DerError(f"an element ends early, at byte {position}")
        tag, length = data[position], data[position + 1]
        start = position + 2
        if tag & 0x1F == 0x1F:
            raise DerError(f"a tag above 30, at byte {position}")
        if length >= 0x80:
            count = length & 0x7F
            if not 1 <= count <= MAX_LENGTH_BYTES or start + count > len(data):
                raise DerError(f"length of {count} bytes, at byte {position}")
            length = int.from_bytes(data[start : start + count], "big")
            if length < 0x80 or length >> 8 * (count - 1) == 0:
                raise DerError(f"a length that is not minimal, at byte {position}")
            start += count
        if start + length > len(data):
            raise DerError(f"{length} bytes announced, {len(data) - start} left, at byte {position}")
        return tag, start, start + length


def split(data: bytes) -> list[bytes]:
    """The elements of a plain concatenation, such as the certificates of a chain (SPIFFE Workload API, 5.2.1)."""
    reader, elements = Reader(data), []
    while not reader.at_end:
        elements.append(reader.read_whole())
    return elements
