"""The module's balancer in this process: compiled from its sources, with peers of a document and a clock of its own."""

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.nginx import source
from tests.nginx.documents import Document, To

DRIVER = Path(__file__).parent / "driver.c"


def compiled(nginx: Path, directory: Path) -> ctypes.CDLL:
    """Compile the balancer with nginx's own core into *directory*, and load it."""
    library = directory / "balancer.so"
    sources = [DRIVER, *source.parts(nginx)]
    options = ["-shared", "-fPIC", "-O2", *source.options(nginx), "-Wl,-z,defs", "-o", str(library)]
    subprocess.run(["cc", *options, *map(str, sources)], check=True, timeout=120)
    loaded = ctypes.CDLL(str(library))
    loaded.driver_open.restype = ctypes.c_char_p
    for call, count in (("clock", 1), ("active", 2), ("measured", 3), ("fail", 1), ("begin", 1), ("end", 3)):
        getattr(loaded, f"driver_{call}").argtypes = [ctypes.c_size_t] * count
        getattr(loaded, f"driver_{call}").restype = None
    return loaded


class Balancer:
    """An upstream of *count* endpoints balanced by *method*; one at a time, as the library holds one."""

    def __init__(self, library: ctypes.CDLL, method: str, count: int, seed: int) -> None:
        self._library = library
        self.count = count
        to = [To(f"10.{number >> 8}.{number & 255}.1", 8080) for number in range(count)]
        document = Document(mode="off").service("shop/server", "10.250.0.1", 80, to, lb=method).render()
        error = library.driver_open(document.encode(), ctypes.c_uint(seed))
        assert error == b"", error

    def forward(self, milliseconds: int) -> None:
        """Let time pass."""
        self._library.driver_clock(milliseconds)

    def load(self, requests: Sequence[int]) -> None:
        """Requests in flight at each endpoint, begun now."""
        for number, active in enumerate(requests):
            self._library.driver_active(number, active)

    def measured(self, number: int, header: int, last_byte: int) -> None:
        """What a request took, in ms."""
        self._library.driver_measured(number, header, last_byte)

    def fail(self, number: int) -> None:
        """An attempt failed."""
        self._library.driver_fail(number)

    def begin(self, number: int) -> None:
        """A request goes to the endpoint."""
        self._library.driver_begin(number)

    def end(self, number: int, header: int, last_byte: int) -> None:
        """A request ends that took so long, in ms."""
        self._library.driver_end(number, header, last_byte)

    def picks(self, count: int = 1, usable: Sequence[int] | None = None) -> list[int]:
        """The endpoints of the next picks; *usable* (all) are those that the request may be sent to; -1: none."""
        allowed = range(self.count) if usable is None else usable
        mask = bytes(number in allowed for number in range(self.count))
        picked = (ctypes.c_ssize_t * count)()
        self._library.driver_picks(mask, picked, ctypes.c_size_t(count))
        return list(picked)
