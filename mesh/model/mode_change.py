"""A change of the global mTLS mode, taken in steps that refuse nobody (contract 3.mode-changes). Pure.

Sidecars hear of a change one after the other. A strict one refuses the plaintext of one that has not heard yet, and one
that is off does not know a peer's TLS on a tcp port from the application's own. So the way between off and strict leads over two
stances, and nobody takes the next one before all have the last.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from mesh.api import mesh_config
from mesh.api.mtls import MtlsMode
from mesh.model.annotations import effective_mode


class Stance(IntEnum):
    """What a sidecar takes, and what its callers are told to send it.

    PLAINTEXT: mode off. ACCEPTING: it takes plaintext and mutual TLS, callers send plaintext. PERMISSIVE: it takes both, callers send
    mutual TLS. STRICT: mutual TLS alone.
    """

    PLAINTEXT = 0
    ACCEPTING = 1
    PERMISSIVE = 2
    STRICT = 3

    @property
    def mode(self) -> MtlsMode:
        """The mode of its sidecar."""
        return _MODES[self]

    @property
    def is_called_by_mtls(self) -> bool:
        """Whether callers demand its identity."""
        return self >= Stance.PERMISSIVE


_MODES: Final = {
    Stance.PLAINTEXT: MtlsMode.OFF,
    Stance.ACCEPTING: MtlsMode.PERMISSIVE,
    Stance.PERMISSIVE: MtlsMode.PERMISSIVE,
    Stance.STRICT: MtlsMode.STRICT,
}
_SETTLED: Final = {
    MtlsMode.OFF: Stance.PLAINTEXT,
    MtlsMode.PERMISSIVE: Stance.PERMISSIVE,
    MtlsMode.STRICT: Stance.STRICT,
}
_TO: Final = "To"


@dataclass(frozen=True, slots=True)
class ModeChange:
    """A mesh on its way from one global mode to another; settled where both are the same.

    ``step`` is the stance that everybody takes for whom it lies between where they come from and where they go.
    """

    before: MtlsMode
    after: MtlsMode
    step: Stance

    @property
    def is_settled(self) -> bool:
        """Whether the mode is in force."""
        return self.before is self.after

    @property
    def rises(self) -> bool:
        """Whether the mesh becomes stricter."""
        return self.before.is_weaker_than(self.after)

    def stance(self, own: MtlsMode | None) -> Stance:
        """The stance of a pod whose annotation says *own*, None where it has none."""
        ends = _SETTLED[effective_mode(self.before, own)], _SETTLED[effective_mode(self.after, own)]
        return min(max(self.step, min(ends)), max(ends))

    def next(self) -> "ModeChange":
        """The next step; after the last one the mode is in force."""
        if self.is_settled:
            return self
        step = self.step + 1 if self.rises else self.step - 1
        return settled(self.after) if step in {Stance.PLAINTEXT, Stance.STRICT} else replace(self, step=Stance(step))

    def turned(self, wanted: MtlsMode) -> "ModeChange":
        """Where to go when *wanted* is wished for now. From between two modes a third one is reached over one of them."""
        if self.is_settled and wanted is not self.after:
            first = Stance.ACCEPTING if self.after.is_weaker_than(wanted) else Stance.PERMISSIVE
            return ModeChange(self.after, wanted, first)
        return ModeChange(self.after, self.before, self.step) if wanted is self.before else self

    @property
    def reason(self) -> str:
        """As the MeshConfig's condition keeps it."""
        ends = (
            self.before.capitalize() if self.is_settled else f"{self.before.capitalize()}{_TO}{self.after.capitalize()}"
        )
        return ends if self.is_settled else f"{ends}{self.step.name.capitalize()}"


def settled(mode: MtlsMode) -> ModeChange:
    """A mesh in which *mode* is in force."""
    return ModeChange(mode, mode, _SETTLED[mode])


def mode_change_of(manifest: Mapping[str, Any]) -> ModeChange | None:
    """Read from a MeshConfig's status how far a change is; None where it says nothing."""
    for row in manifest.get("status", {}).get("conditions", []):
        if row["type"] == mesh_config.CONDITION_MODE:
            return _BY_REASON.get(row["reason"])
    return None


_BY_REASON: Final = {change.reason: change for change in map(settled, MtlsMode)} | {
    change.reason: change
    for before in MtlsMode
    for after in MtlsMode
    if before is not after
    for change in (ModeChange(before, after, step) for step in (Stance.ACCEPTING, Stance.PERMISSIVE))
}
