"""When a change of the global mTLS mode takes its next step, as a decision (contract 3.mode-changes).

Pure: the step, the sidecars that have not acknowledged it and the clock as values. The step is kept in the MeshConfig's
condition, so that every replica of the controller, and the next one, compiles the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mesh.api.mtls import MtlsMode
from mesh.model.mode_change import ModeChange, Stance, settled

LIMIT_SECONDS: Final = 15.0
_NAMED: Final = 10
_DOES: Final = {
    Stance.ACCEPTING: "take mutual TLS and plaintext, and send plaintext",
    Stance.PERMISSIVE: "take mutual TLS and plaintext, and send mutual TLS",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known now. ``kept``: the MeshConfig's word, None where it has none. ``wanted``: the mode that it asks for.

    ``waiting`` are the sidecars that have not acknowledged the step of ``kept``, None while that is not known;
    ``waited_seconds``: since that step began; ``limit_seconds``: how long one waits in a step.
    """

    kept: ModeChange | None
    wanted: MtlsMode
    waiting: tuple[str, ...] | None = None
    waited_seconds: float = 0.0
    limit_seconds: float = LIMIT_SECONDS


@dataclass(frozen=True, slots=True)
class Decision:
    """The step to be in, and what to say of it. ``left`` are the sidecars that were not waited for any longer."""

    change: ModeChange
    message: str
    left: tuple[str, ...] = ()

    @property
    def lost(self) -> str:
        """What to tell of those that were left."""
        change = self.change
        return (
            f"on the way to mtls.mode {change.after} these sidecars did not acknowledge in time: {_names(self.left)}; calls "
            f"with them may be refused until they do"
        )


def decide(facts: Facts) -> Decision:
    """Take the next step, or wait."""
    if facts.kept is None:
        # A mesh that has never been told of a mode has no sidecar that could be in another.
        return _said(settled(facts.wanted))
    change = facts.kept.turned(facts.wanted)
    if change != facts.kept or change.is_settled:
        return _said(change)
    if facts.waiting is None or (facts.waiting and facts.waited_seconds < facts.limit_seconds):
        return _said(change, facts.waiting or ())
    return Decision(change.next(), _said(change.next()).message, facts.waiting)


def _said(change: ModeChange, waiting: Sequence[str] = ()) -> Decision:
    if change.is_settled:
        return Decision(change, f"mtls.mode {change.after} is in force")
    rest = f"; waiting for {_names(waiting)}" if waiting else ""
    return Decision(change, f"from {change.before} to {change.after}: all sidecars first {_DOES[change.step]}{rest}")


def _names(pods: Sequence[str]) -> str:
    more = len(pods) - _NAMED
    return ", ".join(pods[:_NAMED]) + (f" and {more} more" if more > 0 else "")
