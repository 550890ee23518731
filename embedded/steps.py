"""The steps of `make up` and `make down`: child processes that say what they do and how long it took."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping

from embedded.tools import child, paths
from embedded.tools.errors import ToolError
from embedded.tools.progress import duration

# Pulumi writes its state before it ends; a cluster takes away what it made.
END_SECONDS = 60.0
Say = Callable[[str], None]


class StepError(Exception):
    """A step failed; what it printed stands above."""


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


async def run(title: str, command: list[str], variables: Mapping[str, str] | None = None, say: Say = say) -> None:
    """Run *command* in the checkout and pass on what it prints. Raises StepError with the exit status."""
    started = time.monotonic()
    say(f"== {title}")
    status = await child.run(
        command,
        cwd=paths.ROOT,
        environment=_environment(variables),
        line=lambda text: say(f"   {text}"),
        kill_after_seconds=END_SECONDS,
    )
    if status != 0:
        raise StepError(f"{title}: exit status {status}")
    say(f"   {title} took {duration(time.monotonic() - started)}")


async def read(command: list[str], variables: Mapping[str, str] | None = None, say: Say = say) -> str:
    """Run *command* in the checkout and return its standard output; standard error is shown. Raises StepError."""
    with tempfile.TemporaryFile() as file:
        status = await child.run(
            command,
            cwd=paths.ROOT,
            environment=_environment(variables),
            line=lambda text: say(f"   {text}"),
            stdout=file,
        )
        file.seek(0)
        output = file.read().decode(errors="replace")
    if status != 0:
        raise StepError(f"{' '.join(command)}: exit status {status}")
    return output


def python(*arguments: str) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, *arguments]


def main(work: Coroutine[object, object, None], what: str) -> int:
    """Run *work* until it ends or is interrupted, and return the exit status."""
    started = time.monotonic()
    try:
        asyncio.run(_until_stopped(work))
    except (StepError, ToolError) as error:
        print(f"{what} stopped: {error}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        print(f"{what} was interrupted; run it again to go on", file=sys.stderr)
        return 130
    say(f"== {what} took {duration(time.monotonic() - started)} in all")
    return 0


async def _until_stopped(work: Coroutine[object, object, None]) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await work


def _environment(variables: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", **(variables or {})}
