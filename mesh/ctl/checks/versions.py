"""The API server's version, and what the mesh needs of it."""

import re
from typing import Any, Final

OLDEST: Final = (1, 28)
NATIVE_SIDECARS: Final = (1, 29)


def parse_version(answer: Any) -> tuple[int, int]:
    """Read the answer of ``/version``; a provider's suffix such as ``29+`` is ignored. (0, 0) when unreadable."""
    numbers = [re.match(r"[0-9]+", str((answer or {}).get(key, ""))) for key in ("major", "minor")]
    major, minor = (int(number.group()) if number else 0 for number in numbers)
    return major, minor


def has_native_sidecars(version: tuple[int, int]) -> bool:
    """Whether init containers may be restartable there."""
    return version >= NATIVE_SIDECARS
