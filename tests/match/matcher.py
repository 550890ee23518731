"""The module's matcher in this process: compiled from its sources, with the matches of a document."""

import ctypes
from collections.abc import Mapping
from pathlib import Path

from tests.drivers.library import Signatures, load, read

DRIVER = Path(__file__).parent / "driver.c"
FITS, FITS_NOT, GIVEN_UP = 0, -5, -1
_SIZE, _TEXT = ctypes.c_size_t, ctypes.c_char_p
_SIGNATURES: Signatures = {
    "match": (ctypes.c_ssize_t, [_SIZE, _TEXT, _SIZE, _TEXT, _TEXT]),
    "size": (_SIZE, [_SIZE]),
    "wrong": (_TEXT, [_SIZE]),
    "is_one": (_SIZE, [_SIZE, _SIZE]),
}


def compiled() -> ctypes.CDLL:
    """Give the library of one table of matches."""
    return load(DRIVER, _SIGNATURES)


class Matcher:
    """The matches of a document; one document at a time, as the library holds one."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def read(self, document: str) -> str:
        """Take a document; what is wrong with it, empty for nothing."""
        return read(self._library, document)

    def match(
        self, number: int, path: bytes = b"/", method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> int:
        """FITS, FITS_NOT or GIVEN_UP."""
        lines = "".join(f"{name}:{value}\n" for name, value in (headers or {}).items())
        result: int = self._library.driver_match(number, path, len(path), method.encode(), lines.encode())
        return result

    def wrong(self) -> list[str]:
        """What is told of patterns that cannot be searched."""
        found: list[str] = []
        while text := self._library.driver_wrong(len(found)):
            found.append(text.decode())
        return found

    def size(self, number: int) -> int:
        """Bytes that the path's pattern takes as it is compiled now."""
        result: int = self._library.driver_size(number)
        return result

    def is_one(self, number: int, other: int) -> bool:
        """Whether two matches share their path's pattern."""
        return bool(self._library.driver_is_one(number, other))
