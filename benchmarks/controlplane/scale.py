"""`make bench-scale`: what the controller needs for 1,000 Services and 10,000 pods.

A real API server with etcd and its controllers, kwok for the pods, a real nats-server and the
controller as its own process. The sidecars are played: every publication is acknowledged for each pod of its group.
"""

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.controlplane.crowd import Crowd, Size, crowd
from benchmarks.controlplane.listening import Listening
from mesh.api import names
from mesh.bus import connection
from mesh.spiffe import tls
from tests.contract.controller.cluster import Cluster, free_port, installation
from tests.fakes.authority import Authority
from tests.fakes.nats_server import NatsServer, write_certificates
from tests.fakes.workload_api import WorkloadApi

CHURN_PER_SECOND = 20
FLAPS_PER_SECOND = 50
AIM_PSS_MIB, AIM_START_SECONDS, AIM_CORES = 250.0, 30.0, 0.5
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Replica:
    """The controller's process."""

    pid: int
    started: float

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def pss_mib(self) -> float:
        """What it holds; pages that other processes have, too, in parts."""
        rows = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(row.split()[1]) for row in rows if row.startswith("Pss:")) / 1024


class Bench:
    """One run; figures are gathered by name."""

    def __init__(self, made: Crowd, replica: Replica, listening: Listening) -> None:
        self._crowd = made
        self._replica = replica
        self._listening = listening
        self.figures: dict[str, float] = {}

    async def start_up(self) -> None:
        """From the process's start to the first publication, and to the last group's."""
        await self._until(lambda: self._listening.first_at is not None, "the first publication")
        self.figures["first publish, s"] = (self._listening.first_at or 0.0) - self._replica.started
        groups = self._crowd.size.services
        await self._until(lambda: len(self._listening.messages) >= groups, "every group's publication")
        self.figures["all groups published, s"] = time.monotonic() - self._replica.started
        self.figures["CPU of the start, s"] = self._replica.cpu_seconds()
        self.figures["bytes per document"] = sum(self._listening.bytes.values()) / groups
        await self._answer(5.0)
        self.figures["PSS after the start, MiB"] = self._replica.pss_mib()

    async def idle(self, seconds: float) -> None:
        """Nothing changes."""
        self.figures["CPU idle, cores"] = await self._cores(seconds, None, 0)

    async def churn(self, seconds: float) -> None:
        """CHURN_PER_SECOND pods are replaced each second, each of another Service."""
        services = itertools.cycle(range(self._crowd.size.services))
        before = self._listening.messages.total()
        cores = await self._cores(seconds, lambda: self._crowd.replace_pod(next(services)), CHURN_PER_SECOND)
        self.figures["CPU under churn, cores"] = cores
        self.figures["publications under churn, 1/s"] = (self._listening.messages.total() - before) / seconds
        self.figures["PSS after churn, MiB"] = self._replica.pss_mib()

    async def flap(self, seconds: float) -> None:
        """One endpoint is ready, and is not, FLAPS_PER_SECOND times a second."""
        slice_ = self._crowd.make_flapping_slice(0)
        group = self._crowd.group(0)
        states = itertools.cycle((False, True))
        before = self._listening.messages[group]
        cores = await self._cores(
            seconds, lambda: self._crowd.set_ready(0, slice_, ready=next(states)), FLAPS_PER_SECOND
        )
        self.figures["CPU under flapping, cores"] = cores
        self.figures["publications to one group under flapping, 1/s"] = (
            self._listening.messages[group] - before
        ) / seconds

    async def _cores(self, seconds: float, act: Callable[[], Any] | None, rate: float) -> float:
        """Act at *rate* for *seconds*; return the cores that the controller used meanwhile."""
        cpu, started, done = self._replica.cpu_seconds(), time.monotonic(), 0
        actions: set[asyncio.Task[Any]] = set()
        while (passed := time.monotonic() - started) < seconds:
            if act is not None:
                # Late ones are made up for, so that the rate is the one that is claimed.
                for _ in range(int(passed * rate) - done):
                    actions.add(asyncio.create_task(asyncio.to_thread(act)))
                    done += 1
            await self._listening.answer()
            await asyncio.sleep(0.02)
        used = (self._replica.cpu_seconds() - cpu) / (time.monotonic() - started)
        await asyncio.gather(*actions)
        return used

    async def _answer(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self._listening.answer()
            await asyncio.sleep(0.1)

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(what)
            await self._listening.answer()
            await asyncio.sleep(0.02)


@asynccontextmanager
async def replica(made: Crowd, directory: Path) -> AsyncIterator[Bench]:
    """The mesh's own parts around the crowd, and a controller that has just been started."""
    authority = Authority()
    bus = directory / "nats"
    bus.mkdir()
    nats = NatsServer(bus)
    async with WorkloadApi(directory / "agent.sock") as workload_api:
        mesh = Cluster(made.api, nats, workload_api, authority)
        write_certificates(bus, authority.issue("/ns/nginx-mesh/sa/nats", (mesh.bus_host,)))
        await nats.start()
        await workload_api.rotate(mesh.controller_svid())
        await asyncio.to_thread(mesh.install)
        identity = mesh.controller_svid()
        client = connection.connect(
            nats.url, lambda: tls.client_context(identity.context()), "benchmark", mesh.bus_host
        )
        process: subprocess.Popen[bytes] | None = None
        try:
            async with client as session:
                await session.ensure_stream()
                listening = Listening(session, made.pods_of)
                await listening.begin()
                await session.flush()
                process = _spawn(mesh, directory)
                yield Bench(made, Replica(process.pid, time.monotonic()), listening)
        finally:
            if process is not None:
                process.terminate()
                process.wait(30)
            nats.kill()


def _spawn(mesh: Cluster, directory: Path) -> "subprocess.Popen[bytes]":
    settings = {
        "installation": installation(mesh.namespace),
        "pod": names.CONTROLLER,
        "kubeconfig": str(mesh.api.kubeconfig),
        "spire_socket": str(mesh.workload_api.socket),
        "nats_server": mesh.nats.url,
        "api_port": free_port(),
        "webhook_port": free_port(),
        "health_port": free_port(),
    }
    with open(directory / "controller.log", "wb") as log:
        command = [sys.executable, "-m", "benchmarks.controlplane.replica", json.dumps(settings)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


async def run(made: Crowd, directory: Path, seconds: float) -> dict[str, float]:
    """All of it; return the figures."""
    async with replica(made, directory) as bench:
        await bench.start_up()
        await bench.idle(min(seconds, 20.0))
        await bench.churn(seconds)
        await bench.flap(seconds / 2)
        return bench.figures


def missed(figures: dict[str, float]) -> list[str]:
    """The aims that the figures miss."""
    aims = (
        ("first publish, s", AIM_START_SECONDS),
        ("PSS after the start, MiB", AIM_PSS_MIB),
        ("PSS after churn, MiB", AIM_PSS_MIB),
        ("CPU under churn, cores", AIM_CORES),
        ("publications to one group under flapping, 1/s", FLAPS_PER_SECOND / 2),
    )
    return [f"{name}: {figures[name]:.2f}, aim {aim:g}" for name, aim in aims if figures[name] > aim]


def main() -> int:
    """Print the figures; exit status 1 when an aim is missed."""
    parser = argparse.ArgumentParser(prog="make bench-scale", description="The controller and a large cluster.")
    parser.add_argument("--namespaces", type=int, default=100)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--replicas", type=int, default=10, help="pods of each Service")
    parser.add_argument("--scope", type=int, default=3, help="namespaces that a caller knows; 0 for all")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the churn")
    parser.add_argument("--directory", type=Path, help="keep logs here")
    given = parser.parse_args()
    size = Size(given.namespaces, given.services, given.replicas, given.scope)
    with tempfile.TemporaryDirectory() as temporary:
        directory = given.directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with crowd(directory, size) as made:
            print(
                f"{size.services} Services, {size.pods} pods, filled in {time.monotonic() - started:.0f} s", flush=True
            )
            figures = asyncio.run(run(made, directory, given.seconds))
    for name, figure in figures.items():
        print(f"{name:48} {figure:10.2f}")
    print(f"load average {os.getloadavg()[0]:.1f}")
    faults = missed(figures)
    print("\n".join(f"missed: {fault}" for fault in faults) or "every aim is met")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
