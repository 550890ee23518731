"""The mTLS mode, global and per pod (contract 3.modes)."""

from enum import StrEnum


class MtlsMode(StrEnum):
    """What a pod accepts and sends, weakest first."""

    OFF = "off"
    PERMISSIVE = "permissive"
    STRICT = "strict"

    def is_weaker_than(self, other: "MtlsMode") -> bool:
        """Whether a pod of this mode accepts something that *other* refuses."""
        order = list(MtlsMode)
        return order.index(self) < order.index(other)
