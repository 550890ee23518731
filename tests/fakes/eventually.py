"""Waiting in tests: for something to be observed, with a deadline, never for time to pass."""

import asyncio
from collections.abc import Callable

# Long, because the machine of a test run does many things at once; what comes soon costs nothing.
WITHIN = 30.0
POLL = 0.01


async def eventually(check: Callable[[], object], what: str, within: float = WITHIN) -> None:
    """Wait until *check* holds; raise TimeoutError naming *what* did not come within the time."""
    try:
        async with asyncio.timeout(within):
            while not check():
                await asyncio.sleep(POLL)
    except TimeoutError:
        raise TimeoutError(f"{what} did not come within {within} s") from None
