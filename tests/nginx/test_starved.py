"""A sidecar that gets next to no CPU time is slow, and alive (contract 6.starved)."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.dataplane.accounts import Account
from mesh.api import names
from mesh.api.mtls import MtlsMode
from tests.nginx.agent_mesh import Mesh, Sidecar
from tests.nginx.held import Held
from tests.nginx.load import running
from tests.nginx.network import Network, Pod
from tests.nginx.sidecar import Client, get

CORES = 0.05
# Each asks again as soon as it has its answer: together they would take far more than there is.
CALLERS = 8
PROBES = 5


@pytest.fixture(scope="module")
def pods(network: Network) -> tuple[Pod, Pod, Pod]:
    return (network.add_pod("starveda", 85), network.add_pod("starvedb", 86), network.add_pod("starvedh", 87))


@contextlib.contextmanager
def starved(*sidecars: Sidecar) -> Iterator[list[Account]]:
    """Each sidecar has CORES for all its processes."""
    accounts: list[Account] = []
    with contextlib.ExitStack() as stack:
        for sidecar in sidecars:
            account = Account(f"nginx-mesh-starved-{sidecar.place.name}-{os.getpid()}")
            stack.callback(account.close)
            stack.callback(account.release)
            for pid in (sidecar.agent(), sidecar.master(), sidecar.worker()):
                account.add(pid)
            account.limit(CORES)
            accounts.append(account)
        yield accounts


@pytest.mark.spec("6.starved")
@pytest.mark.timeout(300, func_only=True)
@pytest.mark.parametrize(
    "rounds", [2, pytest.param(100, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600, func_only=True)])]
)
async def test_fifty_millicores(serving: Mesh, plain_pod: Pod, rounds: int) -> None:
    """Under more requests than it can carry none fails, probes are answered, configuration and certificates are taken over."""
    mesh = serving
    early = Held.by(mesh)
    probes: list[float] = []
    changes: list[float] = []

    def probe() -> int:
        began = time.monotonic()
        place = "/health-redirects/app/liveness"
        status = get(plain_pod, mesh.server.pod.address, names.PORT_HTTP_PROBES, place)[0]
        probes.append(time.monotonic() - began)
        return status

    with (
        starved(mesh.client, mesh.server) as accounts,
        running(lambda: Client(mesh.client.pod, mesh.service, 80, 60), CALLERS) as load,
    ):
        for number in range(rounds):
            await asyncio.to_thread(load.more, 100)
            assert [await asyncio.to_thread(probe) for _ in range(PROBES)] == [204] * PROBES
            began = time.monotonic()
            async with mesh.controller() as session:
                for sidecar in (mesh.client, mesh.server):
                    config = mesh.config(sidecar, MtlsMode.STRICT)
                    await mesh.give(session, sidecar, replace(config, client_max_body_size=(1 << 20) + number))
            changes.append(time.monotonic() - began)
            for sidecar in (mesh.client, mesh.server):
                await sidecar.until(svid_serial=await sidecar.rotate())
        throttled = [account.throttled() for account in accounts]
    longest = max(load.seconds)
    print(f"{load.done} requests, longest {longest:.2f} s; probes at most {max(probes):.2f} s, ", end="")
    print(f"changes {max(changes):.2f} s; throttled {throttled} times; load average {os.getloadavg()[0]:.1f}")
    assert load.failures == []
    assert min(throttled) > 0
    assert Held.by(mesh).pids == early.pids
