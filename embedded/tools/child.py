"""Run a child process so that it never outlives this one: its own process group, ended as a whole when we are stopped."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

KILL_AFTER_SECONDS = 10.0
Line = Callable[[str], None]


async def run(
    command: list[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    line: Line,
    stdout: BinaryIO | None = None,
    kill_after_seconds: float = KILL_AFTER_SECONDS,
) -> int:
    """Run *command*, hand each line of its output (both streams) to *line*, and return its exit status.

    With *stdout*, standard output goes to that file and only standard error to *line*. When this task is cancelled, the whole process group is asked to end, and killed after *kill_after_seconds*.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
        stderr=asyncio.subprocess.STDOUT if stdout is None else asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=1 << 20,
    )
    try:
        stream = process.stdout if stdout is None else process.stderr
        assert stream is not None
        async for raw in stream:
            line(raw.decode(errors="replace").rstrip("\n"))
        return await process.wait()
    finally:
        await _end_group(process, kill_after_seconds)


async def _end_group(process: asyncio.subprocess.Process, kill_after_seconds: float) -> None:
    """End what is left of the group; a compiler that go started may still run after go itself is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), kill_after_seconds)
        os.killpg(process.pid, signal.SIGKILL)
