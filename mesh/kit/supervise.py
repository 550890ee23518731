"""Named tasks that run side by side for the life of a process; one that fails is restarted, the others go on."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping

from mesh.kit.backoff import Backoff

log = logging.getLogger(__name__)

TaskFactory = Callable[[], Coroutine[object, object, None]]
STABLE_SECONDS = 30.0


async def supervise(
    tasks: Mapping[str, TaskFactory],
    stop: asyncio.Event | None = None,
    backoff: Callable[[], Backoff] = Backoff,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run every task until *stop* is set, or until all have returned.

    A task that raises is logged and started again after a growing wait, which shrinks back once the task has lived
    for STABLE_SECONDS. A task that returns is done. On *stop*, or when the caller is cancelled, the tasks are
    cancelled and awaited, so nothing runs when this returns.
    """
    running = [
        asyncio.create_task(_keep_alive(name, factory, backoff(), clock), name=name) for name, factory in tasks.items()
    ]
    stopping = asyncio.create_task((stop or asyncio.Event()).wait(), name="stop")
    finished = asyncio.create_task(_wait_all(running), name="finished")
    try:
        await asyncio.wait((stopping, finished), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*running, finished, stopping):
            task.cancel()
        await asyncio.gather(*running, finished, stopping, return_exceptions=True)


async def _wait_all(tasks: list[asyncio.Task[None]]) -> bool:
    await asyncio.wait(tasks)
    return True


async def _keep_alive(name: str, factory: TaskFactory, backoff: Backoff, clock: Callable[[], float]) -> None:
    while True:
        started = clock()
        try:
            await factory()
        except Exception:
            # Whatever a task raises, the others must go on; a defect shows in the log with its place.
            log.exception("task failed", extra={"task": name})
        else:
            return
        if clock() - started >= STABLE_SECONDS:
            backoff.reset()
        await backoff.wait()
