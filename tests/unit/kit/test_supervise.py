"""A failing task is restarted and does not disturb its neighbours; stopping leaves nothing running."""

import asyncio

import pytest

from mesh.kit.backoff import Backoff
from mesh.kit.supervise import supervise


def quick() -> Backoff:
    return Backoff(0.001, 0.001)


async def test_a_failing_task_comes_back() -> None:
    """Each failure is followed by a new start, until the task returns."""
    starts = []

    async def flaky() -> None:
        starts.append(1)
        if len(starts) < 3:
            raise RuntimeError("broken")

    await asyncio.wait_for(supervise({"flaky": flaky}, backoff=quick), 30)
    assert len(starts) == 3


async def test_a_neighbour_lives_on() -> None:
    """One task failing for ever does not end or restart another."""
    stop, failures, neighbours = asyncio.Event(), [], []

    async def broken() -> None:
        failures.append(1)
        if len(failures) == 5:
            stop.set()
        raise ValueError("no")

    async def steady() -> None:
        neighbours.append(1)
        await asyncio.Event().wait()

    await asyncio.wait_for(supervise({"broken": broken, "steady": steady}, stop, quick), 30)
    assert (len(failures) >= 5, neighbours) == (True, [1])


@pytest.mark.parametrize("by_event", [True, False])
async def test_stopping_awaits_every_task(by_event: bool) -> None:
    """Whether by the event or by cancelling the caller: tasks have finished their clean-up on return."""
    stop, started, cleaned = asyncio.Event(), asyncio.Event(), []

    async def slow_to_end() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(1)

    run = asyncio.create_task(supervise({"slow": slow_to_end}, stop, quick))
    await asyncio.wait_for(started.wait(), 30)
    if by_event:
        stop.set()
        await asyncio.wait_for(run, 30)
    else:
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(run, 30)
    assert cleaned == [1]
