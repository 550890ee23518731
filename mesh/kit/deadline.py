"""One budget of time for a piece of work that waits in several places."""

import time
from collections.abc import Callable


class Deadline:
    """An instant in the future, *seconds* from now, on the monotonic clock."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self.total = seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never below zero; fit as the time-out of the next wait."""
        return max(0.0, self._end - self._clock())

    @property
    def expired(self) -> bool:
        """Whether the instant has passed."""
        return self._clock() >= self._end
