"""The way of a mesh to transparent proxies and back, as the MeshConfig's condition keeps it (contract 10.transparent)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from mesh.api import mesh_config


class Phase(StrEnum):
    """What all sidecars are told. OPENING: as PROXYING, but strict ones accept plaintext, too."""

    PROXYING = "Proxying"
    OPENING = "Opening"
    TRANSPARENT = "Transparent"


class Reason(StrEnum):
    """Reason of the condition; each belongs to one phase."""

    PROXYING = mesh_config.REASON_PROXYING
    OPENING = "Opening"
    RETURNING = "Returning"
    SPREADING = "Spreading"
    ACKNOWLEDGED = "Acknowledged"
    OPENING_STOPPED = "Opening" + mesh_config.REASON_STOPPED_SUFFIX
    SPREADING_STOPPED = "Spreading" + mesh_config.REASON_STOPPED_SUFFIX


_PHASES: Final = {
    Reason.PROXYING: Phase.PROXYING,
    Reason.OPENING: Phase.OPENING,
    Reason.RETURNING: Phase.OPENING,
    Reason.OPENING_STOPPED: Phase.OPENING,
    Reason.SPREADING: Phase.TRANSPARENT,
    Reason.SPREADING_STOPPED: Phase.TRANSPARENT,
    Reason.ACKNOWLEDGED: Phase.TRANSPARENT,
}


def phase_of(manifest: Mapping[str, Any]) -> Phase | None:
    """Read the phase from a MeshConfig's status; None when it says nothing."""
    for row in manifest.get("status", {}).get("conditions", []):
        if row["type"] == mesh_config.CONDITION_TRANSPARENT:
            return _PHASES.get(row["reason"])
    return None
