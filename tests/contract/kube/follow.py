"""Run a watch beside a test and look at what it gave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mesh.kit.backoff import Backoff
from mesh.kube.client import Client
from mesh.kube.kinds import Kind
from mesh.kube.watch import Event, Listed, watch

QUICK = Backoff(0.01, 0.05)


@asynccontextmanager
async def following(
    client: Client, kind: Kind[Any, Any], namespace: str = "", silence_seconds: float = 30.0
) -> AsyncIterator[list[Event[Any]]]:
    """The list grows as events come."""
    events: list[Event[Any]] = []

    async def follow() -> None:
        async for event in watch(client, kind, namespace, silence_seconds=silence_seconds, backoff=QUICK):
            events.append(event)  # noqa: PERF401 - the watch never ends; each event must be seen as it comes

    task = asyncio.create_task(follow())
    try:
        yield events
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def state(events: list[Event[Any]]) -> dict[str, Any]:
    """What there is after all events, by name."""
    rows: dict[str, Any] = {}
    for event in events:
        if isinstance(event, Listed):
            rows = {key.name: value for key, value in event.items.items()}
        elif event.value is None:
            rows.pop(event.key.name, None)
        else:
            rows[event.key.name] = event.value
    return rows


def lists(events: list[Event[Any]]) -> int:
    """How often everything was listed."""
    return sum(isinstance(event, Listed) for event in events)
