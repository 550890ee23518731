"""The module's judgement in this process: compiled from its sources, over documents as the agent writes them."""

import ctypes
from pathlib import Path

from mesh.decide.request import OURS, Request
from mesh.model.sidecar_config import SidecarConfig
from mesh.sidecar import nginx_state
from tests.drivers.library import Signatures, load, read

DRIVER = Path(__file__).parent / "driver.c"
HEADERS_MAX = 32
# Longer than any circuit of the tests remembers.
PAUSE_MS = 60_000


class _Header(ctypes.Structure):
    _fields_ = [  # type: ignore[mutable-override]
        ("name", ctypes.c_char_p),
        ("value", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
    ]


class _Request(ctypes.Structure):
    _fields_ = [  # type: ignore[mutable-override]
        ("method", ctypes.c_char_p),
        ("path", ctypes.c_char_p),
        ("path_length", ctypes.c_size_t),
        ("headers", _Header * HEADERS_MAX),
        ("header_count", ctypes.c_size_t),
    ]


_SIGNATURES: Signatures = {
    "access": (ctypes.c_char_p, [ctypes.POINTER(_Request), ctypes.c_char_p, ctypes.c_uint]),
    "direct": (ctypes.c_char_p, [ctypes.POINTER(_Request), ctypes.c_long]),
    "open_circuit": (None, [ctypes.c_char_p]),
}


def compiled() -> ctypes.CDLL:
    """Give the library of one judge, who draws what a test says."""
    return load(DRIVER, _SIGNATURES, "-Drandom=driver_random")


class Judge:
    """A sidecar that does what a configuration says; one at a time, as the library holds one."""

    def __init__(self, library: ctypes.CDLL, config: SidecarConfig) -> None:
        self._library = library
        library.driver_clock(PAUSE_MS)
        library.driver_forget()
        assert read(library, nginx_state.render(config, "1.1")) == ""

    def access(self, request: Request) -> str:
        """The id of the reason why *request* does not come in, empty when it does."""
        answer: bytes = self._library.driver_access(
            ctypes.byref(_wire(request)), request.identity.encode(), request.port
        )
        return answer.decode()

    def open_circuit(self, policy: str) -> None:
        """Let the circuit of a CircuitBreaker open."""
        self._library.driver_open_circuit(policy.encode())

    def direct(self, request: Request, die: int) -> str:
        """Who answers a call of the first Service, ``!policy`` for an open circuit; then the circuits that it passed."""
        answer: bytes = self._library.driver_direct(ctypes.byref(_wire(request)), die)
        return answer.decode()


def _wire(request: Request) -> _Request:
    """As NGINX has it: a path that is normalised, no headers that the mesh alone may say; none of it for TCP."""
    if not request.is_http:
        return _Request()
    said = [(name.lower().encode(), value) for name, value in request.headers if name.lower() not in OURS]
    headers = (_Header * HEADERS_MAX)(*(_Header(name, value, len(value)) for name, value in said))
    return _Request(request.method.encode(), request.path, len(request.path), headers, len(said))
