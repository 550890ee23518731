"""Long lives under a load that waits for nobody: what changes costs requests nothing (contract 6.apply, 3.rotation).

The load is fortio's, open-loop at a fixed rate, and the application NGINX; controller and SPIRE's agent are played by
this process, which has to wait for the pods. What the requests take while things change is printed beside what they take while
nothing does, in windows that take turns. All of it belongs to `make soak`; test_endurance.py has the short forms.
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mesh.api import names
from tests.fakes.authority import Authority
from tests.nginx import application, changes, fast_application, open_loop
from tests.nginx.agent_mesh import Mesh, Sidecar
from tests.nginx.foremost import foremost
from tests.nginx.held import Held
from tests.nginx.held_streams import open_streams, talking
from tests.nginx.many_services import with_services
from tests.nginx.network import Network, Pod
from tests.nginx.open_loop import OpenLoop
from tests.nginx.sidecar import get
from tests.nginx.windows import Window, compare, turns

RATE = 500
WEBSOCKET_PORT = 8081
MIB = 1024
# What a window leaves behind, such as an agent that still writes, is not counted to the next one.
MARGIN_SECONDS = 0.5
_COUNTER = re.compile(r"^# TYPE (\w+) (?:counter|histogram)$", re.MULTILINE)


@pytest.fixture(scope="module")
def pods(network: Network) -> tuple[Pod, Pod, Pod]:
    """The server has four addresses: four endpoints behind one sidecar."""
    return (network.add_pod("loada", 80), network.add_pod("loadb", 81, more=3), network.add_pod("loadh", 89))


@pytest.fixture
async def loaded(mesh: Mesh) -> AsyncIterator[Mesh]:
    """A mesh whose server answers as fast as it can, and takes WebSockets at another port."""
    pod = mesh.server.pod
    with fast_application.serve(pod, mesh.binary), application.serve(pod, WEBSOCKET_PORT):
        await mesh.publish()
        for sidecar in (mesh.client, mesh.server):
            await sidecar.until(ready=True)
        yield mesh


def counters(sidecar: Sidecar) -> dict[str, float]:
    """Every counter that the sidecar shows, with its labels."""
    text = get(sidecar.pod, "127.0.0.1", names.PORT_METRICS, "/metrics")[1]
    families = tuple(_COUNTER.findall(text))
    rows = (line.rpartition(" ") for line in text.splitlines() if line.startswith(families))
    return {name: float(value) for name, _, value in rows}


def fell(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """Which counters went back, or away."""
    return [name for name, value in before.items() if after.get(name, -1) < value]


def told(what: str, load: OpenLoop) -> None:
    """Print what the load was."""
    longest = max(request.seconds for request in load.requests) * 1000
    print(f"\n{what}: {len(load.requests)} requests, {load.achieved:.1f}/s, {load.failed} failed, ", end="")
    print(f"{load.late} sent late, longest {longest:.0f} ms; load average {os.getloadavg()[0]:.1f}")


def moments(end: float, count: int) -> Iterator[float]:
    """*count* moments from now to *end*, evenly."""
    start = time.time()
    for number in range(count):
        yield start + (end - start) * (number + 0.5) / count


async def until(moment: float) -> None:
    """Wait for a moment, in seconds since 1970."""
    while (left := moment - time.time()) > 0:
        await asyncio.sleep(left)


class Life:
    """What happens to the sidecars of a mesh: so many changes of endpoints, and of each other kind a tenth of them."""

    def __init__(self, mesh: Mesh, controller: changes.Controller, services: int, bundle_at: int) -> None:
        self._mesh = mesh
        self._controller = controller
        self._services = services
        self._bundle_at = bundle_at
        self._more = Authority()
        self.number = 0
        self.settings = 0

    async def give(self, *sidecars: Sidecar) -> None:
        """Tell them what is."""
        for sidecar in sidecars:
            config = changes.changed(self._mesh, sidecar, self.number, self.settings, WEBSOCKET_PORT)
            if sidecar is self._mesh.client:
                config = with_services(config, self._services, 1)
            await self._controller.give(sidecar, config)

    async def go_on(self, end: float, count: int) -> None:
        """*count* changes of endpoints until *end*; after each tenth one a setting and both certificates."""
        mesh = self._mesh
        for moment in moments(end, count):
            await until(moment)
            self.number += 1
            await self.give(mesh.client)
            if self.number % 10 == 3:
                self.settings += 1
                await self.give(mesh.client, mesh.server)
            elif self.number % 10 in {5, 7}:
                more = self._more if self.number > self._bundle_at else None
                await self._controller.rotate(mesh.client if self.number % 10 == 5 else mesh.server, more)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.spec("6.apply")
@pytest.mark.parametrize(
    ("services", "endpoints", "pairs", "seconds"),
    [
        pytest.param(0, 1000, 10, 40, id="few"),
        pytest.param(200, 1000, 10, 40, id="many"),
    ],
)
async def test_requests_take_no_longer_while_everything_changes(
    loaded: Mesh, fortio: Path, tmp_path: Path, services: int, endpoints: int, pairs: int, seconds: float
) -> None:
    """No request fails, no stream ends, nothing is replaced and no counter goes back over 1,000 changes of endpoints,
    100 of settings, 100 certificates of each side and another trust bundle; *services* more are known.
    """
    mesh = loaded
    windows: list[Window] = []
    lost: list[str] = []
    async with changes.controller(mesh) as controller:
        life = Life(mesh, controller, services, bundle_at=endpoints // 2)
        await life.give(mesh.client, mesh.server)
        early = Held.by(mesh)
        place = f"{mesh.service}:80"
        async with open_streams(mesh) as opened, talking(opened, lost):
            with (
                open_loop.running(fortio, mesh.client.pod, place, RATE, tmp_path) as load,
                foremost(mesh.client.pod, mesh.server.pod),
            ):
                before = [counters(sidecar) for sidecar in (mesh.client, mesh.server)]
                for is_quiet in turns(pairs):
                    await until(time.time() + MARGIN_SECONDS)
                    start = time.time()
                    if not is_quiet:
                        await life.go_on(start + seconds, endpoints // pairs)
                    await until(start + seconds)
                    windows.append(Window(is_quiet, start, time.time()))
                    after = [counters(sidecar) for sidecar in (mesh.client, mesh.server)]
                    lost += [name for pair in zip(before, after, strict=True) for name in fell(*pair)]
                    before = after
            late = Held.by(mesh)
    told(f"{life.number} changes of endpoints, {life.settings} of settings, {services} more Services", load)
    print(compare(load.requests, windows))
    assert load.failed == 0
    assert lost == []
    assert late.pids == early.pids


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.spec("3.rotation")
@pytest.mark.parametrize(("rotations", "warm", "a_second"), [(1600, 160, 5)])
async def test_certificates_rotate_for_ever_under_load(
    loaded: Mesh, fortio: Path, tmp_path: Path, rotations: int, warm: int, a_second: float
) -> None:
    """Of both sidecars, *a_second* of each under 200 requests/s: nothing fails, nothing grows by 1 MiB, nothing is replaced."""
    mesh = loaded
    async with changes.controller(mesh) as controller:
        early = Held.by(mesh)
        with open_loop.running(fortio, mesh.client.pod, f"{mesh.service}:80", 200, tmp_path) as load:
            with foremost(mesh.client.pod, mesh.server.pod):
                for number, moment in enumerate(moments(time.time() + rotations / a_second, rotations)):
                    await until(moment)
                    for sidecar in (mesh.client, mesh.server):
                        await controller.rotate(sidecar)
                    if number == warm:
                        early = Held.by(mesh)
                late = Held.by(mesh)
    told(f"{rotations} rotations of both sidecars", load)
    print(f"  private KiB after {warm}: {early.private}\n  at the end: {late.private}")
    assert load.failed == 0
    assert late.pids == early.pids
    assert late.grew(early, MIB) == []
