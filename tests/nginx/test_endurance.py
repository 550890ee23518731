"""Long lives: certificates, endpoints and settings change over and over under traffic, with the real agent and NGINX.

The long forms, with a load that waits for nobody, are in test_endurance_load.py.
"""

import asyncio
import contextlib
import os
import statistics
import time

import pytest

from tests.fakes.authority import Authority
from tests.nginx import changes
from tests.nginx.agent_mesh import Mesh
from tests.nginx.held import Held
from tests.nginx.held_streams import dropped, open_streams
from tests.nginx.load import Load, running
from tests.nginx.network import Network, Pod
from tests.nginx.sidecar import Client

# Python's allocator takes memory by the MiB: few rotations may meet one such step.
GROWTH_KIB = 2 * 1024


@pytest.fixture(scope="module")
def pods(network: Network) -> tuple[Pod, Pod, Pod]:
    """The server has four addresses: four endpoints behind one sidecar."""
    return (network.add_pod("longa", 70), network.add_pod("longb", 71, more=3), network.add_pod("longh", 79))


def traffic(mesh: Mesh, threads: int) -> contextlib.AbstractContextManager[Load]:
    """Some 100 requests/s of each thread, on kept connections."""
    return running(lambda: Client(mesh.client.pod, mesh.service, 80, 30), threads)


def told(what: str, load: Load, seconds: float) -> None:
    """Print what was measured."""
    p99 = statistics.quantiles(load.seconds, n=100)[98] * 1000
    print(f"{what} in {seconds:.0f} s; {load.done} requests, {load.done / seconds:.0f}/s, p99 {p99:.1f} ms", end="; ")
    print(f"{len(load.failures)} failed; load average {os.getloadavg()[0]:.1f}")


@pytest.mark.spec("3.rotation")
@pytest.mark.timeout(300, func_only=True)
async def test_certificates_rotate_for_ever(serving: Mesh) -> None:
    """Of both sidecars, each as soon as the last is in use: nothing fails, nothing grows, nothing is replaced."""
    rotations, warm = 60, 20
    started = time.monotonic()
    async with changes.controller(serving) as controller:
        with traffic(serving, 3) as load:
            early = Held.by(serving)
            for number in range(rotations):
                for sidecar in (serving.client, serving.server):
                    await controller.rotate(sidecar)
                    await asyncio.to_thread(load.more, 2)
                if number == warm:
                    early = Held.by(serving)
            late = Held.by(serving)
    told(f"{rotations} rotations of both sidecars", load, time.monotonic() - started)
    assert load.failures == []
    assert late.pids == early.pids
    assert late.grew(early, GROWTH_KIB) == []


@pytest.mark.spec("6.apply")
@pytest.mark.timeout(300, func_only=True)
async def test_everything_changes_under_load(serving: Mesh) -> None:
    """Endpoints, settings, certificates and once the trust bundle, with streams open: no request and no stream is lost."""
    mesh, sides = serving, (serving.client, serving.server)
    endpoints, others, more = 50, 5, Authority()
    async with changes.controller(mesh) as controller:
        for sidecar in sides:
            await controller.give(sidecar, changes.changed(mesh, sidecar, 0, 0))
        early = Held.by(mesh)
        started = time.monotonic()
        async with open_streams(mesh) as opened:
            with traffic(mesh, 3) as load:
                for number in range(1, endpoints + 1):
                    setting = number * others // endpoints
                    new_setting = setting != (number - 1) * others // endpoints
                    for sidecar in sides if new_setting else sides[:1]:
                        await controller.give(sidecar, changes.changed(mesh, sidecar, number, setting))
                    await asyncio.to_thread(load.more, 3)
                    if new_setting:
                        for sidecar in sides:
                            await controller.rotate(sidecar, more if setting > others // 2 else None)
                        assert await dropped(opened, b"%d" % number) == []
                late = Held.by(mesh)
        told(
            f"{endpoints} changes of endpoints, {others} of settings and certificates", load, time.monotonic() - started
        )
    digests = [status.bundle_digest for sidecar in sides if (status := await sidecar.status())]
    assert load.failures == []
    assert late.pids == early.pids
    assert len(load.by_server) == len(mesh.server.pod.addresses)
    assert len(set(digests)) == 1
