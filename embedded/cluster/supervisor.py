"""The process that owns a running cluster: ``python -m embedded.cluster.supervisor STATE_DIRECTORY``.

It makes networks, cgroups and mounts, keeps every part running, and takes everything away when it is told to end. Its
parts die with it, so a cluster whose supervisor is gone is dead, and the next start clears what it left.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from embedded.cluster import (
    addresses,
    binaries,
    cgroups,
    commands,
    keeper,
    network,
    node_mounts,
    parts,
    places,
    requirements,
    settings,
)

WAIT_SECONDS = 90.0  # Then a part is started anyway; it knows how to wait for what it misses.
POLL_SECONDS = 0.1
HOUSEKEEPING_SECONDS = 15.0


class Supervisor:
    """One cluster, from nothing to running and back."""

    def __init__(self, plan: addresses.Plan, where: places.Places) -> None:
        self._plan = plan
        self._where = where
        self._found = cgroups.hierarchies()
        self._keepers: list[keeper.Keeper] = []
        self._mounts: dict[int, int] = {}
        self._started = time.time()
        self._state = "preparing"
        self._context = ssl.create_default_context(cafile=str(where.pki / "ca.crt"))
        self._context.load_cert_chain(str(where.pki / "admin.crt"), str(where.pki / "admin.key"))

    async def run(self) -> None:
        """Run the cluster until SIGTERM or SIGINT."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        self._report()
        tasks: list[asyncio.Task[None]] = []
        try:
            self._prepare()
            self._state = "running"
            tasks = [asyncio.create_task(one.run(), name=one.part.name) for one in self._keepers]
            tasks.append(asyncio.create_task(self._keep_house()))
            await _first(asyncio.create_task(stopping.wait()), *tasks)
        except Exception as error:
            self._state = f"failed: {error}"
            raise
        finally:
            await self._end(tasks)

    def _prepare(self) -> None:
        clear(self._plan, self._found)
        requirements.raise_inotify_limit()
        network.create(self._plan)
        cgroups.create(self._plan, self._found)
        tools = binaries.find_all()
        for node in self._plan.nodes:
            node_mounts.prepare(self._where.node(node.number))
            self._mounts[node.number] = node_mounts.create(self._where.node(node.number), tools)
        self._where.logs.mkdir(exist_ok=True)
        for part in parts.all_parts(self._plan, self._where, tools):
            log = self._where.logs / f"{part.name}.log"
            surroundings = self._surroundings(part)
            self._keepers.append(keeper.Keeper(part, surroundings, log, self._wait_for, self._report))

    def _surroundings(self, part: parts.Part) -> keeper.Surroundings:
        net = mounts = None
        environment = commands.environment(str(parts.PROGRAMS) if part.in_node else "")
        if part.node is not None:
            net = os.open(f"/run/netns/{part.node.namespace}", os.O_RDONLY | os.O_CLOEXEC)
            mounts = self._mounts[part.node.number] if part.in_node else None
        else:
            environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        return keeper.Surroundings(net, mounts, cgroups.processes_file(self._plan, self._found), environment)

    async def _wait_for(self, part: parts.Part) -> None:
        """Hold back a first start until what the part needs answers: it would only crash or back off for seconds."""
        if part.after is parts.After.NOTHING:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while part.after is parts.After.CONTAINERD and not await self._containerd_answers(part):
                    await asyncio.sleep(POLL_SECONDS)
                while not await self._api_answers():
                    await asyncio.sleep(POLL_SECONDS)

    async def _containerd_answers(self, part: parts.Part) -> bool:
        number = part.node.number if part.node else 0
        pid = next((one.status.pid for one in self._keepers if one.part.name == f"containerd-{number}"), None)
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(f"/proc/{pid}/root{parts.CONTAINERD_SOCKET}")
            writer.close()
            return True
        return False

    async def _api_answers(self) -> bool:
        """Whether /readyz is 200, which includes that the roles of the other parts exist."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                host = str(self._plan.nodes[0].address)
                reader, writer = await asyncio.open_connection(host, 6443, ssl=self._context)
                writer.write(f"GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                answer = await reader.readline()
                writer.close()
                return b" 200 " in answer
        return False

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            for one in self._keepers:
                one.trim_log()

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for descriptor in self._mounts.values():
            os.close(descriptor)
        clear(self._plan, self._found)
        if self._state == "running":
            self._state = "stopped"
        self._keepers = []
        self._report()

    def _report(self) -> None:
        document: dict[str, Any] = {
            "state": self._state,
            "pid": os.getpid(),
            "started": self._started,
            "nodes": [self._describe(node) for node in self._plan.nodes],
            "parts": [one.describe() for one in self._keepers],
        }
        fresh = self._where.status.with_suffix(".new")
        fresh.write_text(json.dumps(document, indent=2) + "\n")
        fresh.replace(self._where.status)

    def _describe(self, node: addresses.Node) -> dict[str, Any]:
        mounts = self._mounts.get(node.number)
        return {
            "name": node.name,
            "address": str(node.address),
            "network_namespace": f"/run/netns/{node.namespace}",
            "mount_namespace": f"/proc/{os.getpid()}/fd/{mounts}" if mounts is not None else None,
            "cgroup": node.cgroup,
        }


def clear(plan: addresses.Plan, found: cgroups.Hierarchies) -> None:
    """Take away whatever is left of a cluster of this name: processes, cgroups, namespaces, links."""
    cgroups.clear(plan.name, found)
    network.remove(plan.name, plan.slot)


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Wait until one of *tasks* ends; its exception, if any, is raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def main(root: Path) -> None:
    """Own the cluster with state directory *root* until told to end; leaves at once when another process owns it."""
    where = places.Places(root)
    # Never closed: whoever gets the lock next may rely on this process being gone.
    lock = os.open(where.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    asyncio.run(Supervisor(settings.load(where).plan(root.name), where).run())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
