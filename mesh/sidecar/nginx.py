"""NGINX as a daemon that outlives the agent: found or started, watched, restarted with the same state, ended.

The agent is not NGINX's parent (pid1 is), so it watches the process table. A master that was killed leaves workers that
still serve: the next master starts beside them (its listeners share their ports), then they are told to finish what they
have and go.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from mesh.kit.backoff import Backoff
from mesh.kit.deadline import Deadline

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.25
START_SECONDS = 10.0
START_POLL_SECONDS = 0.02
STABLE_SECONDS = 30.0
_WORKER = b"nginx: worker process"
_MASTER = b"nginx: master process"


class StartError(Exception):
    """NGINX did not start; its own message is in the container's log."""


class Nginx:
    """One NGINX with its files in *directory*: nginx.conf, nginx.pid, control.sock."""

    def __init__(self, binary: str, directory: Path) -> None:
        self._binary = binary
        self._configuration = directory / "nginx.conf"
        self._pid_file = directory / "nginx.pid"
        self.control_socket = directory / "control.sock"
        self._stopping = False

    async def keep_running(self, on_start: Callable[[], None]) -> None:
        """Find or start NGINX and restart it whenever it ends, until ``quit``; *on_start* is called each time."""
        waits = Backoff(0.05, 5.0)
        clock = asyncio.get_running_loop().time
        while not self._stopping:
            started = clock()
            try:
                pid = self.find() or await self._start()
            except StartError as error:
                log.error("NGINX did not start", extra={"reason": str(error)})
            else:
                on_start()
                await self._wait_end(pid)
                if self._stopping:
                    return
                log.error("NGINX ended by itself, starting it again", extra={"pid": pid})
            if clock() - started > STABLE_SECONDS:
                waits.reset()
            await waits.wait()

    def find(self) -> int:
        """Process id of the running master, 0 when there is none."""
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return 0
        return pid if _title(pid).startswith(_MASTER) else 0

    async def quit(self, deadline: Deadline) -> None:
        """Let NGINX finish what is in flight and end; at the deadline end it at once."""
        self._stopping = True
        pid = self.find()
        for number in (signal.SIGQUIT, signal.SIGKILL):
            if not pid or not _signal(pid, number):
                break
            if await _ends(pid, deadline if number == signal.SIGQUIT else Deadline(1.0)):
                break
        for worker in self._orphans():
            _signal(worker, signal.SIGKILL)

    async def _start(self) -> int:
        orphans = self._orphans()
        # NGINX never removes a socket file that another master left, and then cannot bind it.
        self.control_socket.unlink(missing_ok=True)
        self._pid_file.unlink(missing_ok=True)
        try:
            pid = await self._launch()
        finally:
            # Also after a failure: a worker that holds a port without sharing it must go before the next try.
            for worker in orphans:
                _signal(worker, signal.SIGQUIT)
        log.info("NGINX started", extra={"pid": pid, "old_workers": len(orphans)})
        return pid

    async def _launch(self) -> int:
        """Run the binary until it serves: its process id is written once all ports are bound."""
        process = await asyncio.create_subprocess_exec(
            self._binary,
            *("-e", "stderr", "-c", str(self._configuration)),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = Deadline(START_SECONDS)
        while not (pid := self.find()):
            if process.returncode:
                raise StartError(f"exit code {process.returncode}")
            if deadline.expired:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
                raise StartError(f"no process id in {self._pid_file} after {START_SECONDS} s")
            await asyncio.sleep(START_POLL_SECONDS)
        return pid

    async def _wait_end(self, pid: int) -> None:
        while _title(pid).startswith(_MASTER):
            await asyncio.sleep(WATCH_SECONDS)

    def _orphans(self) -> list[int]:
        """Workers whose master is dead: they are children of whoever adopted them, which is our own parent."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _title(int(entry.name)).startswith(_WORKER):
                fields = _stat(int(entry.name))
                if len(fields) > 1 and int(fields[1]) == os.getppid():
                    found.append(int(entry.name))
        return found


async def _ends(pid: int, deadline: Deadline) -> bool:
    while not deadline.expired:
        if not _title(pid):
            return True
        await asyncio.sleep(WATCH_SECONDS / 5)
    return False


def _title(pid: int) -> bytes:
    """Command line of a process, which NGINX sets to its role; empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat after the command: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
