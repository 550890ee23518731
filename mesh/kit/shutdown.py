"""Run a process until it is told to stop: SIGTERM and SIGINT become an event, never an exception in the middle."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)

Main = Callable[[asyncio.Event], Coroutine[object, object, int]]
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(main: Main) -> int:
    """Run *main* with an event that is set by SIGTERM or SIGINT; return its exit code.

    *main* ends by itself after the event, within the pod's termination grace. A second signal cancels it.
    """
    return asyncio.run(_run(main))


async def _run(main: Main) -> int:
    stop = asyncio.Event()
    task = asyncio.create_task(main(stop), name="main")

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("second signal, not waiting any longer", extra={"signal": number.name})
            task.cancel()
            return
        log.info("stopping", extra={"signal": number.name})
        stop.set()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        return await task
    except asyncio.CancelledError:
        return 1
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
