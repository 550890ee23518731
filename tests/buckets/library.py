"""The module's rate limits in this process: compiled from its sources, with the limits of a document and the test's own clock."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

from tests.drivers.library import Signatures, load, read

DRIVER = Path(__file__).parent / "driver.c"
LET_IN, REFUSED, NO_ROOM = 0, -3, -5
_SIZE = ctypes.c_size_t
_SIGNATURES: Signatures = {
    "take": (ctypes.c_ssize_t, [ctypes.c_char_p, _SIZE, _SIZE, ctypes.c_void_p, ctypes.c_void_p]),
    "missed": (_SIZE, []),
}


@dataclass(frozen=True)
class Taken:
    """What became of a request: by which limit, LET_IN after so long, REFUSED for so long yet, or NO_ROOM."""

    limit: int
    result: int
    wait_ms: int


def compiled() -> ctypes.CDLL:
    """Give the library of one table of limits."""
    return load(DRIVER, _SIGNATURES)


class Limits:
    """The limits of a document; one document at a time, as the library holds one. Buckets outlive it."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def read(self, document: str) -> str:
        """Take a document; what is wrong with it, empty for nothing."""
        return read(self._library, document)

    def take(self, pod: str, port: int, now_ms: int) -> Taken | None:
        """Let a request of *pod* in, empty for one that is not known; None: no limit holds."""
        result, wait = ctypes.c_ssize_t(), ctypes.c_size_t()
        limit = self._library.driver_take(pod.encode(), port, now_ms, ctypes.byref(result), ctypes.byref(wait))
        return None if limit < 0 else Taken(limit, result.value, wait.value)

    def missed(self) -> int:
        """Requests that passed because there was no room for their bucket, since the library was loaded."""
        return int(self._library.driver_missed())
