"""Parts of the module in this process: a driver in C over driver.c, linked with the module's pure code and nginx's core."""

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.nginx import binary, source

HERE = Path(__file__).parent
Signatures = Mapping[str, tuple[Any, Sequence[Any]]]
_SIGNATURES: Signatures = {
    "start": (None, []),
    "seed": (None, [ctypes.c_uint]),
    "clock": (None, [ctypes.c_size_t]),
    "forget": (None, []),
    "open": (ctypes.c_char_p, [ctypes.c_char_p]),
}


def load(driver: Path, signatures: Signatures, *options: str) -> ctypes.CDLL:
    """Load *driver*, compiled once per content with more *options*; ``driver_<name>`` gives and takes what *signatures* say."""
    nginx = source.ensure()
    command = ["cc", "-shared", "-fPIC", "-O2", *options, f"-I{HERE}", *source.options(nginx), "-Wl,-z,defs"]
    with binary.locked() as place:
        target = place / f"driver-{source.digest(nginx, [driver, *HERE.glob('*.[ch]')], command)}.so"
        if not target.exists():
            part = binary.fresh(target)
            sources = [driver, HERE / "driver.c", *source.parts(nginx)]
            binary.run([*command, *map(str, sources), "-o", str(part)], place / "driver.log")
            part.rename(target)
    library = ctypes.CDLL(str(target))
    for name, (result, arguments) in {**_SIGNATURES, **signatures}.items():
        function = getattr(library, f"driver_{name}")
        function.restype, function.argtypes = result, arguments
    library.driver_start()
    return library


def read(library: ctypes.CDLL, document: str) -> str:
    """Take a document; what is wrong with it, empty for nothing."""
    error: bytes = library.driver_open(document.encode())
    return error.decode()
