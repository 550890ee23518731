"""The module's balancer in this process: compiled from its sources, with peers of a document and a clock of its own."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

from tests.drivers.library import Signatures, load, read
from tests.nginx.documents import Document, To

DRIVER = Path(__file__).parent / "driver.c"
_SIZE, _TEXT = ctypes.c_size_t, ctypes.c_char_p
_SIGNATURES: Signatures = {
    "active": (None, [_SIZE, _SIZE]),
    "measured": (None, [_SIZE, _SIZE, _SIZE]),
    "fail": (None, [_SIZE]),
    "warm": (None, [_SIZE, _SIZE]),
    "begin": (None, [_SIZE]),
    "end": (None, [_SIZE, _SIZE, _SIZE]),
    "picks": (None, [_TEXT, ctypes.c_void_p, _SIZE]),
}


def compiled() -> ctypes.CDLL:
    """Give the library of one balancer."""
    return load(DRIVER, _SIGNATURES)


class Balancer:
    """An upstream of *count* endpoints balanced by *method*; one at a time, as the library holds one."""

    def __init__(self, library: ctypes.CDLL, method: str, count: int, seed: int) -> None:
        self._library = library
        self.count = count
        to = [To(f"10.{number >> 8}.{number & 255}.1", 8080) for number in range(count)]
        document = Document(mode="off").service("shop/server", "10.250.0.1", 80, to, lb=method).render()
        library.driver_seed(seed)
        library.driver_forget()
        assert read(library, document) == ""

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

    def warm(self, number: int, within: int) -> None:
        """First connections to the endpoint are made, for so many ms at most; 0: they are there."""
        self._library.driver_warm(number, within)

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
        self._library.driver_picks(mask, picked, count)
        return list(picked)
