"""Waiting to be asked for something, or for the time when it is due anyway."""

import asyncio


async def until_woken(event: asyncio.Event, seconds: float) -> None:
    """Wait until *event* is set, *seconds* at most, and clear it."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()
