"""Gathers what ``mode_steps.decide`` needs: the MeshConfig's word, the sidecars' acknowledgements, the time."""

import time

from mesh.controller import mode_steps
from mesh.controller.configuration import Configuration
from mesh.controller.fleet import Fleet
from mesh.controller.mode_steps import Decision, Facts
from mesh.model.mode_change import ModeChange


class ModeWatch:
    """Remembers since when a step is waited for; *limit_seconds* bounds the wait."""

    def __init__(self, configuration: Configuration, fleet: Fleet, limit_seconds: float) -> None:
        self._configuration = configuration
        self._fleet = fleet
        self._limit_seconds = limit_seconds
        self._waiting_for: ModeChange | None = None
        self._waiting_since = 0.0

    def decide(self) -> Decision | None:
        """Look and decide; None before the first good MeshConfig."""
        current, kept = self._configuration.current, self._configuration.mode_change
        if current is None:
            return None
        if kept != self._waiting_for:
            self._waiting_for, self._waiting_since = kept, time.monotonic()
        waiting = self._fleet.behind(kept) if kept else None
        waited = time.monotonic() - self._waiting_since
        return mode_steps.decide(Facts(kept, current.spec.mtls.mode, waiting, waited, self._limit_seconds))
