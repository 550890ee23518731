"""Growing waits between tries, with jitter so that many clients do not come back at the same instant."""

import asyncio
import random
from collections.abc import Callable


class Backoff:
    """An endless iterator of waits in seconds: doubling from *initial* to *maximum*, each lowered by up to *jitter*.

    *jitter* is a part of one: 0.5 spreads a wait evenly between its half and its whole. ``reset`` starts again from
    *initial* and is called after a success.
    """

    def __init__(
        self,
        initial: float = 0.2,
        maximum: float = 30.0,
        jitter: float = 0.5,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        if not 0 < initial <= maximum or not 0 <= jitter <= 1:
            raise ValueError(f"backoff: got initial {initial}, maximum {maximum}, jitter {jitter}")
        self._initial = initial
        self._maximum = maximum
        self._jitter = jitter
        self._uniform = uniform
        self._next = initial

    def __iter__(self) -> "Backoff":
        return self

    def __next__(self) -> float:
        ceiling = self._next
        self._next = min(ceiling * 2, self._maximum)
        return self._uniform(ceiling * (1 - self._jitter), ceiling)

    def reset(self) -> None:
        """Forget the failures so far."""
        self._next = self._initial

    async def wait(self) -> None:
        """Sleep for the next wait."""
        await asyncio.sleep(next(self))
