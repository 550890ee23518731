"""Keep one part running: start it in its namespaces and cgroup, start it again when it ends, keep its log short."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from embedded.cluster import parts

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 20.0  # A part that ran this long is not in a crash loop.
LOG_LIMIT_BYTES = 16 << 20
NOT_STARTED = 127  # As a shell says it.
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class PartStatus:
    """What status.json says of a part; ``since`` is in seconds since the epoch."""

    name: str
    pid: int | None = None
    restarts: int = 0
    since: float = 0.0
    last_exit: int | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a part runs: namespaces by open descriptor (None: the host's), cgroup by its processes file."""

    network: int | None
    mounts: int | None
    processes_file: Path
    environment: Mapping[str, str]


class Keeper:
    """Runs one part until it is told to stop."""

    def __init__(
        self,
        part: parts.Part,
        surroundings: Surroundings,
        log: Path,
        ready_to_start: Callable[[parts.Part], Awaitable[None]],
        report: Callable[[], None],
    ) -> None:
        self.part = part
        self.status = PartStatus(part.name)
        self._surroundings = surroundings
        self._log = log
        self._ready_to_start = ready_to_start
        self._report = report

    async def run(self) -> None:
        """Start the part, and again whenever it ends; ends by cancellation and then kills the part."""
        await self._ready_to_start(self.part)
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            await self._run_once()
            if time.monotonic() - started > STEADY_SECONDS:
                pause_seconds = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            self.status.restarts += 1

    async def _start(self) -> asyncio.subprocess.Process | None:
        with self._log.open("ab", buffering=0) as log:
            try:
                return await asyncio.create_subprocess_exec(
                    *self.part.argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=self._surroundings.environment,
                    start_new_session=True,
                    preexec_fn=lambda: enter(self._surroundings),  # the supervisor has one thread
                )
            except (OSError, subprocess.SubprocessError) as error:
                log.write(f"cannot start {self.part.argv[0]}: {error}\n".encode())
                return None

    async def _run_once(self) -> None:
        process = await self._start()
        if process is None:
            self.status.last_exit = NOT_STARTED
            self._report()
            return
        self.status.pid = process.pid
        self.status.since = time.time()
        self._report()
        try:
            self.status.last_exit = await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()
            raise
        finally:
            self.status.pid = None
            self._report()

    def trim_log(self) -> None:
        """Keep one older piece of a log that has grown over the limit; the part goes on writing to the same file."""
        with contextlib.suppress(FileNotFoundError):
            if self._log.stat().st_size > LOG_LIMIT_BYTES:
                shutil.copyfile(self._log, self._log.with_suffix(".log.1"))
                os.truncate(self._log, 0)

    def describe(self) -> dict[str, object]:
        """The part's entry in status.json."""
        return asdict(self.status)


def enter(surroundings: Surroundings) -> None:
    """Between fork and exec: die with the supervisor, join cgroup and namespaces; raises OSError."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
    surroundings.processes_file.write_text("0")
    if surroundings.network is not None:
        _check(_libc.setns(surroundings.network, 0))
    if surroundings.mounts is not None:
        # The process is alone after fork, as setns(2) asks for mount namespaces.
        _check(_libc.setns(surroundings.mounts, 0))
        os.chdir("/")


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
