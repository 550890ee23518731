"""The module's matcher in this process: compiled from its sources, with the matches of a document."""

import ctypes
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.nginx import source

DRIVER = Path(__file__).parent / "driver.c"
FITS, FITS_NOT, GIVEN_UP = 0, -5, -1


def compiled(nginx: Path, directory: Path) -> ctypes.CDLL:
    """Compile the matcher with nginx's own core into *directory*, and load it."""
    library = directory / "matcher.so"
    sources = [DRIVER, *source.parts(nginx)]
    options = ["-shared", "-fPIC", "-O2", *source.options(nginx), "-Wl,-z,defs", "-o", str(library)]
    subprocess.run(["cc", *options, *map(str, sources)], check=True, timeout=120)
    loaded = ctypes.CDLL(str(library))
    text, number, size = ctypes.c_char_p, ctypes.c_ssize_t, ctypes.c_size_t
    signatures = {
        "open": (text, [text]),
        "match": (number, [size, text, size, text, text]),
        "size": (size, [size]),
        "is_one": (size, [size, size]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(loaded, f"driver_{name}")
        function.restype, function.argtypes = result, arguments
    return loaded


class Matcher:
    """The matches of a document; one document at a time, as the library holds one."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def read(self, document: str) -> str:
        """Take a document; what is wrong with it, empty for nothing."""
        error: bytes = self._library.driver_open(document.encode())
        return error.decode()

    def match(
        self, number: int, path: bytes = b"/", method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> int:
        """FITS, FITS_NOT or GIVEN_UP."""
        lines = "".join(f"{name}:{value}\n" for name, value in (headers or {}).items())
        result: int = self._library.driver_match(number, path, len(path), method.encode(), lines.encode())
        return result

    def size(self, number: int) -> int:
        """Bytes that the path's pattern takes as it is compiled now."""
        result: int = self._library.driver_size(number)
        return result

    def is_one(self, number: int, other: int) -> bool:
        """Whether two matches share their path's pattern."""
        return bool(self._library.driver_is_one(number, other))
