"""`make bench-propagation SUBSCRIBERS="20 200"`: the time from a change to the last of many simulated sidecars.

API server, etcd, controller and NATS are the real ones, on this machine; each sidecar is of a group of its own, so that nothing
is shared. A change begins when it is sent to the API server, and ends when the last agent has it. One JSON line per kind of change and
number of sidecars.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.controlplane.endpoints import quantile
from benchmarks.controlplane.listeners import Place, View, waiting
from tests.apiserver import running
from tests.contract.controller.cluster import Cluster, directory_of, wait_until_ready
from tests.fakes.authority import Authority
from tests.fakes.nats_server import NatsServer, write_certificates
from tests.fakes.workload_api import WorkloadApi

SETTLE_SECONDS = 60.0
READY_SECONDS = 120.0
# Longer than the pause between compilations: each change is the first after a quiet time.
PAUSE_SECONDS = (0.1, 0.3)

Check = Callable[[View], bool]


class Views:
    """What each simulated sidecar has, as it comes."""

    def __init__(self, connection: Connection, pods: list[str]) -> None:
        self._connection = connection
        self._latest: dict[str, View] = {}
        self._pods = pods
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(connection.fileno(), self._take)

    async def all_have(self, check: Check) -> float:
        """Wait until every sidecar's view passes; the time at which the last one did. Raises TimeoutError."""
        reached: dict[str, float] = {}
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                self._news.clear()
                for pod, view in self._latest.items():
                    if pod not in reached and check(view):
                        reached[pod] = view.at
                if len(reached) == len(self._pods):
                    return max(reached.values())
                await self._news.wait()

    def _take(self) -> None:
        while self._connection.poll():
            view = self._connection.recv()
            self._latest[view.pod] = view
        self._news.set()


@asynccontextmanager
async def mesh(authority: Authority, directory: Path, count: int) -> AsyncIterator[Cluster]:
    """A mesh with *count* injected pods, each of a group of its own, and a controller that leads."""
    with running(directory_of(directory, "api")) as api:
        bus = directory_of(directory, "nats")
        nats = NatsServer(bus)
        async with WorkloadApi(directory / "agent.sock") as workload_api:
            cluster = Cluster(api, nats, workload_api, authority)
            write_certificates(bus, authority.issue("/ns/nginx-mesh/sa/nats", (cluster.bus_host,)))
            await nats.start()
            try:
                await workload_api.rotate(cluster.controller_svid())
                cluster.install()
                for number in range(count):
                    cluster.make_pod(f"web-{number}", _address(number), _group(number))
                cluster.make_service()
                cluster.set_endpoints(**{"web-0": _address(0)})
                async with cluster.controller():
                    await wait_until_ready(cluster, cluster.health_port, READY_SECONDS)
                    yield cluster
            finally:
                nats.kill()


async def measure(connection: Connection, authority: Authority, count: int, changes: int) -> list[dict[str, Any]]:
    """Run both kinds of change with *count* sidecars."""
    with tempfile.TemporaryDirectory() as directory:
        async with mesh(authority, Path(directory), count) as cluster:
            pods = [f"{cluster.shop}/web-{number}" for number in range(count)]
            sidecars = [(_group(number), pod) for number, pod in enumerate(pods)]
            connection.send(Place(cluster.nats.url, cluster.bus_host, sidecars))
            views = Views(connection, pods)
            await views.all_have(lambda view: view.endpoints == {_address(0)})
            rows = []
            for name, change in (("endpoint", _change_endpoint), ("policy", _change_policy)):
                seconds = [await change(cluster, views, number) for number in range(changes)]
                rows.append(_row(name, count, seconds))
            return rows


async def _change_endpoint(cluster: Cluster, views: Views, number: int) -> float:
    chosen = {f"web-{pod}": _address(pod) for pod in range(1 + (number + 1) % 2)}
    wanted = frozenset(chosen.values())
    return await _timed(
        asyncio.to_thread(cluster.set_endpoints, **chosen), views.all_have, lambda view: view.endpoints == wanted
    )


async def _change_policy(cluster: Cluster, views: Views, number: int) -> float:
    weights = (100 - number % 100, number % 100 + 1)
    if number == 0:
        service = {"metadata": {"name": "web-v2"}, "spec": {"ports": [{"name": "http", "port": 80}]}}
        services = f"/api/v1/namespaces/{cluster.shop}/services"
        await asyncio.to_thread(cluster.api.request, "POST", services, service)
    change = asyncio.to_thread(cluster.set_split, *weights)
    return await _timed(change, views.all_have, lambda view: view.weights == weights)


async def _timed(change: Awaitable[Any], settle: Callable[[Check], Awaitable[float]], check: Check) -> float:
    await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
    started = time.monotonic()
    await change
    return await settle(check) - started


def _address(number: int) -> str:
    return f"10.1.{number // 250}.{number % 250 + 1}"


def _group(number: int) -> str:
    return f"{number:016x}"


def _row(change: str, count: int, seconds: list[float]) -> dict[str, Any]:
    shown = {
        name: round(quantile(seconds, share) * 1000) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }
    load = round(os.getloadavg()[0], 1)
    return {"change": change, "sidecars": count, "changes": len(seconds), "milliseconds": shown, "load": load}


def main() -> int:
    """Print one JSON line per kind of change and number of sidecars."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.controlplane.simulated", description=__doc__)
    parser.add_argument("subscribers", type=int, nargs="*", default=[20, 200], help="numbers of sidecars")
    parser.add_argument("--changes", type=int, default=100, help="of each kind")
    options = parser.parse_args()
    os.environ.pop("KUBERNETES_SERVICE_HOST", None)
    authority = Authority()
    with ExitStack() as stack:
        # All before the first controller: processes with its threads cannot be forked.
        connections = [stack.enter_context(waiting(authority)) for _ in options.subscribers]
        for connection, count in zip(connections, options.subscribers, strict=True):
            for row in asyncio.run(measure(connection, authority, count, options.changes)):
                print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
