"""When the application has ended, seen from the pod's sockets (contract 6.drain).

The sidecar of an ordinary container gets SIGTERM together with the application and must carry its calls until it has
ended. Containers do not see each other's processes, but they share the network: while a user other than the mesh's
holds a socket, the application lives. One that only calls holds none between two calls, so a while without sockets must
pass. A native sidecar is told when the application has ended, and need not wait.

An application with a preStop hook has not even heard of its end while the hook runs: as long as it listens it is called.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from mesh.api import names

_TABLES = ("tcp", "tcp6")
# States of a connection that nobody holds any more: the kernel finishes it alone (include/net/tcp_states.h).
_FIN_WAIT_1, _FIN_WAIT_2, _TIME_WAIT, _LAST_ACK, _CLOSING = "04", "05", "06", "09", "0B"
_LISTEN = "0A"
_KERNELS_OWN = {_FIN_WAIT_1, _FIN_WAIT_2, _TIME_WAIT, _LAST_ACK, _CLOSING}


def application_sockets(tables: Iterable[str], own_uid: int = names.MESH_UID, *, listening: bool = False) -> int:
    """Count the TCP sockets of other users in tables such as /proc/net/tcp; of those that listen alone if *listening*."""
    count = 0
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            # sl local remote state queues timer retransmits uid timeout inode; inode 0 has no holder.
            if len(fields) < 10 or fields[3] in _KERNELS_OWN or fields[9] == "0":
                continue
            count += int(fields[7]) != own_uid and (not listening or fields[3] == _LISTEN)
    return count


def read_tables() -> list[str]:
    """The kernel's tables of this network namespace; a family that is switched off has none."""
    paths = [Path("/proc/net") / name for name in _TABLES]
    return [path.read_text() for path in paths if path.exists()]


async def until_deaf(poll_seconds: float, read: Callable[[], Iterable[str]] = read_tables) -> None:
    """Wait until the application listens no more; one that never did is not waited for."""
    while application_sockets(read(), listening=True):
        await asyncio.sleep(poll_seconds)


async def until_quiet(
    quiet_seconds: float,
    poll_seconds: float,
    read: Callable[[], Iterable[str]] = read_tables,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until the application has held no socket for *quiet_seconds*."""
    since = clock()
    while True:
        if application_sockets(read()):
            since = clock()
        elif clock() - since >= quiet_seconds:
            return
        await asyncio.sleep(poll_seconds)
