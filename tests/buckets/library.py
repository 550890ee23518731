"""The module's rate limits in this process: compiled from its sources, with the limits of a document and the test's own clock."""

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.nginx import source

DRIVER = Path(__file__).parent / "driver.c"
LET_IN, REFUSED, NO_ROOM = 0, -3, -5


@dataclass(frozen=True)
class Taken:
    """What became of a request: by which limit, LET_IN after so long, REFUSED for so long yet, or NO_ROOM."""

    limit: int
    result: int
    wait_ms: int


def compiled(nginx: Path, directory: Path) -> ctypes.CDLL:
    """Compile the limits with nginx's own core into *directory*, and load them."""
    library = directory / "buckets.so"
    sources = [DRIVER, *source.parts(nginx)]
    options = ["-shared", "-fPIC", "-O2", *source.options(nginx), "-Wl,-z,defs", "-o", str(library)]
    subprocess.run(["cc", *options, *map(str, sources)], check=True, timeout=120)
    loaded = ctypes.CDLL(str(library))
    loaded.driver_open.argtypes, loaded.driver_open.restype = [ctypes.c_char_p], ctypes.c_char_p
    loaded.driver_take.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
    loaded.driver_take.restype = ctypes.c_ssize_t
    loaded.driver_missed.restype = ctypes.c_size_t
    return loaded


class Limits:
    """The limits of a document; one document at a time, as the library holds one. Buckets outlive it."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def read(self, document: str) -> str:
        """Take a document; what is wrong with it, empty for nothing."""
        error: bytes = self._library.driver_open(document.encode())
        return error.decode()

    def take(self, pod: str, port: int, now_ms: int) -> Taken | None:
        """Let a request of *pod* in, empty for one that is not known; None: no limit holds."""
        result, wait = ctypes.c_ssize_t(), ctypes.c_size_t()
        limit = self._library.driver_take(pod.encode(), port, now_ms, ctypes.byref(result), ctypes.byref(wait))
        return None if limit < 0 else Taken(limit, result.value, wait.value)

    def missed(self) -> int:
        """Requests that passed because there was no room for their bucket, since the library was loaded."""
        return int(self._library.driver_missed())
