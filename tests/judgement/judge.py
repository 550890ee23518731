"""The module's judgement in this process: compiled from its sources, over documents as the agent writes them."""

import ctypes
import subprocess
from pathlib import Path

from mesh.decide.request import OURS, Request
from mesh.model.sidecar_config import SidecarConfig
from mesh.sidecar import nginx_state
from tests.nginx import source

DRIVER = Path(__file__).parent / "driver.c"
HEADERS_MAX = 32


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


def compiled(nginx: Path, directory: Path) -> ctypes.CDLL:
    """Compile the judgement with nginx's own core into *directory*, and load it."""
    library = directory / "judge.so"
    sources = [DRIVER, *source.parts(nginx)]
    options = [
        "-shared",
        "-fPIC",
        "-O2",
        "-Drandom=driver_random",
        *source.options(nginx),
        "-Wl,-z,defs",
        "-o",
        str(library),
    ]
    subprocess.run(["cc", *options, *map(str, sources)], check=True, timeout=120)
    loaded = ctypes.CDLL(str(library))
    loaded.driver_open.argtypes = [ctypes.c_char_p]
    loaded.driver_open.restype = ctypes.c_char_p
    loaded.driver_access.argtypes = [ctypes.POINTER(_Request), ctypes.c_char_p, ctypes.c_uint]
    loaded.driver_access.restype = ctypes.c_char_p
    loaded.driver_direct.argtypes = [ctypes.POINTER(_Request), ctypes.c_long]
    loaded.driver_direct.restype = ctypes.c_char_p
    loaded.driver_open_circuit.argtypes = [ctypes.c_char_p]
    loaded.driver_open_circuit.restype = None
    return loaded


class Judge:
    """A sidecar that does what a configuration says; one at a time, as the library holds one."""

    def __init__(self, library: ctypes.CDLL, config: SidecarConfig) -> None:
        self._library = library
        error = library.driver_open(nginx_state.render(config, "1.1").encode())
        assert error == b"", error

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
