"""The wall clock steps by an hour and back while requests flow (contract 6.clock)."""

import asyncio
import datetime as dt
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.api.mtls import MtlsMode
from mesh.model.policy import Breaker
from mesh.model.sidecar_config import SidecarConfig
from tests.fakes.eventually import eventually
from tests.fakes.nats_server import SIDECAR_NAME
from tests.nginx.agent_mesh import Load, Mesh, Sidecar
from tests.nginx.held import Held
from tests.nginx.network import Network, Pod
from tests.nginx.processes import cpu_seconds
from tests.nginx.sanitized import SANITIZED
from tests.nginx.sidecar import Client

HOUR = 3600
LIFETIME = dt.timedelta(hours=20)
# One circuit that must not close in this test, and one that must.
LONG_SECONDS, SHORT_SECONDS = 600, 3
LONG, SHORT = 230, 231
_AGENT = re.compile(r"^(\S+Z) info .*: new configuration", re.MULTILINE)
_NGINX = re.compile(r'^{"time":"([^"]+)","direction"', re.MULTILINE)

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be the first library of its process")


class Clock:
    """The wall clock of processes that have ``environment``."""

    def __init__(self, place: Path) -> None:
        self._library = place / "clock.so"
        source = Path(__file__).parent / "clock.c"
        compiler = shutil.which("cc")
        assert compiler, "no C compiler; install gcc and libc6-dev"
        options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([compiler, *options, "-o", str(self._library), str(source)], check=True)
        self._places: list[Path] = []

    def environment(self, run: Path) -> dict[str, str]:
        """For a sidecar whose NGINX sees nothing of this machine but its directory *run*."""
        library, place = run / "clock.so", run / "clock"
        shutil.copy(self._library, library)
        place.write_bytes(struct.pack("q", 0))
        self._places.append(place)
        return {"LD_PRELOAD": str(library), "MESH_TEST_CLOCK": str(place)}

    def step(self, ahead: int) -> None:
        """Be so many seconds ahead, from now on."""
        for place in self._places:
            # In place: the processes have it mapped.
            with place.open("r+b") as file:
                file.write(struct.pack("q", ahead))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def more_environment(clock: Clock) -> Callable[[Path], dict[str, str]]:
    return clock.environment


@pytest.fixture(scope="module")
def pods(network: Network) -> tuple[Pod, Pod, Pod]:
    return (network.add_pod("clocka", 90), network.add_pod("clockb", 91), network.add_pod("clockh", 92))


def with_circuits(mesh: Mesh, sidecar: Sidecar) -> SidecarConfig:
    """Two Services more, each with a circuit that one error opens."""
    config = mesh.config(sidecar, MtlsMode.STRICT)
    (service,) = config.services
    more = [
        replace(
            service,
            service=name,
            addresses=(mesh.network.service_address(number),),
            breaker=Breaker(f"shop/{name}", 1, seconds),
        )
        for name, number, seconds in (("long", LONG, LONG_SECONDS), ("short", SHORT, SHORT_SECONDS))
    ]
    return replace(config, services=tuple(sorted((service, *more))))


def ask(mesh: Mesh, number: int, path: str = "/status/200") -> int:
    """The status of one request to the Service at that address."""
    with Client(mesh.client.pod, mesh.network.service_address(number), 80) as client:
        return client.request("GET", path).status


def ahead(sidecar: Sidecar, pattern: re.Pattern[str]) -> float:
    """How far ahead of ours the clock was, in seconds, that the newest such line of the log was written by."""
    written = pattern.findall((sidecar.place / "log").read_text(errors="replace"))[-1]
    return (dt.datetime.fromisoformat(written) - dt.datetime.now(dt.UTC)).total_seconds()


async def spend(mesh: Mesh, load: Load) -> dict[str, float]:
    """CPU time of every process for 200 requests."""
    pids = Held.by(mesh).pids
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    await load.during(200)
    return {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}


async def give_all(mesh: Mesh, number: int) -> None:
    """A new revision for both sidecars."""
    async with mesh.controller() as session:
        for sidecar in (mesh.client, mesh.server):
            config = replace(with_circuits(mesh, sidecar), client_max_body_size=(1 << 20) + number)
            await mesh.give(session, sidecar, config)


@pytest.mark.spec("6.clock")
async def test_the_wall_clock_steps_by_an_hour(serving: Mesh, clock: Clock) -> None:
    """No request fails, nothing is replaced or works more than before, and circuits close when they would have."""
    mesh = serving
    for sidecar in (mesh.client, mesh.server):
        issued = mesh.authority.issue(sidecar.path, (SIDECAR_NAME,), LIFETIME)
        await sidecar.api.rotate(issued)
        await sidecar.until(svid_serial=issued.context().svid.serial)
    await give_all(mesh, 1)
    early = Held.by(mesh)
    with Load(mesh) as load:
        await load.during(50)
        quiet = await spend(mesh, load)
        assert await asyncio.to_thread(ask, mesh, LONG, "/status/503") == 503

        clock.step(HOUR)
        stepped = await spend(mesh, load)
        await give_all(mesh, 2)
        for sidecar in (mesh.client, mesh.server):
            for pattern in (_AGENT, _NGINX):
                await eventually(lambda s=sidecar, p=pattern: ahead(s, p) > HOUR / 2, "a log of the new time", 30)  # type: ignore[misc]
        assert await asyncio.to_thread(ask, mesh, LONG) == 503

        assert await asyncio.to_thread(ask, mesh, SHORT, "/status/503") == 503
        clock.step(0)
        back = await spend(mesh, load)
        await give_all(mesh, 3)
        assert await asyncio.to_thread(ask, mesh, LONG) == 503
        for _ in range(300):
            if await asyncio.to_thread(ask, mesh, SHORT) == 200:
                break
            await load.during(5)
        else:
            pytest.fail("the circuit did not close")
    assert load.failures == []
    assert Held.by(mesh).pids == early.pids
    for later in (stepped, back):
        for name, seconds in later.items():
            assert seconds < 3 * quiet[name] + 0.2, (name, quiet, later)
