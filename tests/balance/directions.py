"""The module's splits and circuits in this process: compiled from its sources, with a document and a clock of its own."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

from tests.drivers.library import Signatures, load, read
from tests.nginx.documents import Document, Match, To

DRIVER = Path(__file__).parent / "split_driver.c"
PORT = 80
REFUSED = -1
_SIZE, _TEXT = ctypes.c_size_t, ctypes.c_char_p
_SIGNATURES: Signatures = {
    "calls": (None, [_TEXT, _SIZE, _TEXT, ctypes.c_void_p, _SIZE]),
    "failed": (None, []),
    "errors": (_SIZE, [_SIZE]),
    "closes": (_SIZE, [_SIZE]),
}


def compiled() -> ctypes.CDLL:
    """Give the library of one table."""
    return load(DRIVER, _SIGNATURES)


class Services:
    """A document in the making: Services by letters, each with as many endpoints as said, at an address of its own."""

    def __init__(self, **endpoints: int) -> None:
        self.document = Document(mode="off")
        self.numbers = {name: number for number, name in enumerate(endpoints)}
        for number, (name, count) in enumerate(endpoints.items()):
            to = [To(f"10.{number}.0.{host + 1}", 8080) for host in range(count)]
            self.document.service(f"shop/{name}", self.address(name), PORT, to)

    def address(self, name: str) -> str:
        """The cluster IP of a Service."""
        return f"10.250.0.{self.numbers[name] + 1}"

    def split(self, root: str, shares: dict[str, int], some: bool = False) -> "Services":
        """A split of *root*, of those requests that fit it or of all."""
        numbered = [(self.numbers[name], weight) for name, weight in shares.items()]
        self.document.split(self.numbers[root], f"shop/split-{root}", numbered, [Match("^/some")] if some else [])
        return self

    def breaker(self, guarded: str, errors: int, milliseconds: int, fallback: str = "") -> "Services":
        """A circuit of *guarded*."""
        to = self.numbers[fallback] if fallback else None
        self.document.breaker([self.numbers[guarded]], f"shop/breaker-{guarded}", errors, milliseconds, to)
        return self


class Directions:
    """Calls of Services of the document that is applied; one at a time, as the library holds one."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        # What another test left behind is forgotten: circuits outlive documents.
        self.forward(1 << 41)

    def apply(self, services: Services, seed: int = 1) -> None:
        """Take over a document; circuits stay."""
        self._services = services
        self._library.driver_seed(seed)
        assert read(self._library, services.document.render()) == ""

    def forward(self, milliseconds: int) -> None:
        """Let time pass."""
        self._library.driver_clock(milliseconds)

    def answers(self, address: str, port: int, count: int, fits: Sequence[bool] | None = ()) -> list[int]:
        """Who answers calls of an address, by number, -1 for nobody; *fits*: of each split, None where nothing can fit."""
        mask = None if fits is None else bytes([*fits, *[False] * 100])
        result = (ctypes.c_ssize_t * count)()
        self._library.driver_calls(address.encode(), port, mask, result, count)
        return list(result)

    def calls(self, name: str, count: int, fits: Sequence[bool] | None = ()) -> list[str]:
        """The Services that answer calls of the Service *name*; "" for nobody."""
        names = {number: name for name, number in self._services.numbers.items()} | {REFUSED: ""}
        return [names[number] for number in self.answers(self._services.address(name), PORT, count, fits)]

    def call(self, name: str) -> str:
        """One call."""
        return self.calls(name, 1)[0]

    def fail(self, name: str, times: int = 1) -> None:
        """Calls that fail."""
        for _ in range(times):
            self.call(name)
            self._library.driver_failed()

    def failed(self) -> None:
        """The latest call fails."""
        self._library.driver_failed()

    def errors(self, breaker: int = 0) -> int:
        """Errors within the window."""
        return int(self._library.driver_errors(breaker))

    def closes(self, breaker: int = 0) -> int:
        """In so many ms; 0: it is closed."""
        return int(self._library.driver_closes(breaker))
