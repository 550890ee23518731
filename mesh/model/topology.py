"""For whom an endpoint is meant, as EndpointSlices hint it (contract 6.zones)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Hints:
    """The zones and nodes whose callers should use an endpoint; without any it says nothing."""

    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


NO_HINTS: Final = Hints()
