"""Certificates rotate under load: nothing fails, nothing reloads, nobody is dropped (contract 3.rotation, 4.rotation, 6.apply)."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh.api import names
from tests.e2e.eventually import eventually
from tests.e2e.load import assert_no_failure
from tests.e2e.mesh_under_test import MeshUnderTest
from tests.resilience import bus_monitor
from tests.resilience.pair import Pair, Sidecar, assert_grown, mesh_config

POLL_LIMIT_SECONDS = 90.0
SHORT_LIVES, SHORT_LIFE_SECONDS, WARM_UP = 100, 20, 10
CONNECTIONS = 16  # as many of the load's may be open at one look and not at the other
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """How long the load runs, and how often each certificate must have changed meanwhile.

    SPIRE renews a certificate at half of its life, and at once when its lifetime is set anew.
    """

    seconds: float
    lifetime: str
    rotations: int


RUNS = [
    pytest.param(Run(60.0, "1m", 2), id="short", marks=pytest.mark.timeout(480)),
    pytest.param(Run(600.0, "2m", 8), id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
]


@pytest.mark.spec("3.rotation", "4.rotation", "6.apply")
@pytest.mark.parametrize("run", RUNS)
def test_certificates_rotate_under_load(pair: Pair, run: Run) -> None:
    """The lifetime is set to a minute or two while 200 requests a second run; both sides and the bus get new ones, again and again."""
    sidecars = {"caller": pair.caller, "server": pair.server}
    processes = {name: sidecar.processes() for name, sidecar in sidecars.items()}
    counters = {name: sidecar.counters() for name, sidecar in sidecars.items()}
    members = bus_monitor.clients(pair.mesh)
    seen: dict[str, list[str]] = {"caller": [], "server": [], "bus": []}

    def look() -> bool:
        for name, sidecar in sidecars.items():
            _note(seen[name], str(sidecar.status()["svid_serial"]))
        _note(seen["bus"], bus_monitor.reloaded_at(pair.mesh))
        return all(len(values) > run.rotations for values in seen.values())

    look()
    with ExitStack() as stack:
        load = stack.enter_context(pair.load(run.seconds))
        stack.enter_context(mesh_config(pair.mesh, mtls={"svidTTL": run.lifetime}))
        eventually(look, run.seconds + POLL_LIMIT_SECONDS, f"{run.rotations} rotations of {sorted(seen)}")
        report = load.result()
        left = {name: sidecar.status()["svid_not_after"] for name, sidecar in sidecars.items()}
        print(
            {"rotations": {name: len(values) - 1 for name, values in seen.items()}, "latency_ms": report["latency_ms"]}
        )
    assert_no_failure(report)
    assert all(left.values())
    assert {name: sidecar.processes() for name, sidecar in sidecars.items()} == processes
    still = bus_monitor.clients(pair.mesh)
    assert members.keys() <= still.keys(), f"dropped: {[members[number] for number in members.keys() - still.keys()]}"
    for name, sidecar in sidecars.items():
        assert_grown(counters[name], sidecar.counters())


@pytest.mark.soak
@pytest.mark.timeout(2400)
@pytest.mark.usefixtures("absent")
def test_a_hundred_rotations_of_the_shortest_life(pair: Pair) -> None:
    """Certificates of 20 seconds, which SPIRE renews after ten: a hundred of them under load, and nothing piles up."""
    sidecars = {"caller": pair.caller, "server": pair.server}
    processes = {name: sidecar.processes() for name, sidecar in sidecars.items()}
    seen: dict[str, list[str]] = {name: [] for name in sidecars}
    sizes: list[dict[str, Size]] = []

    def look() -> bool:
        for name, sidecar in sidecars.items():
            _note(seen[name], str(sidecar.status()["svid_serial"]))
        done = min(len(values) for values in seen.values()) - 1
        if done >= WARM_UP and not sizes:
            sizes.append({name: size(sidecar) for name, sidecar in sidecars.items()})
        return done >= SHORT_LIVES

    # The controller, which would set the lifetime back to the MeshConfig's, is away meanwhile.
    with pair.load(SHORT_LIVES * SHORT_LIFE_SECONDS, rate=100.0) as load, short_lives(pair.mesh):
        eventually(look, SHORT_LIVES * SHORT_LIFE_SECONDS, f"{SHORT_LIVES} rotations of {sorted(seen)}")
        sizes.append({name: size(sidecar) for name, sidecar in sidecars.items()})
        report = load.stop()
    print(
        {"rotations": {name: len(values) - 1 for name, values in seen.items()}, "sizes": sizes, **report["latency_ms"]}
    )
    assert_no_failure(report)
    assert {name: sidecar.processes() for name, sidecar in sidecars.items()} == processes
    for name in sidecars:
        assert sizes[1][name].descriptors <= sizes[0][name].descriptors + CONNECTIONS
        assert sizes[1][name].pss_bytes < sizes[0][name].pss_bytes + MIB


@contextmanager
def short_lives(mesh: MeshUnderTest) -> Iterator[None]:
    """Set the lifetime of every workload's certificates in SPIRE itself."""
    found = mesh.kubectl.get("clusterspiffeids")["items"]
    for item in found:
        patch = json.dumps({"spec": {"ttl": f"{SHORT_LIFE_SECONDS}s"}})
        mesh.kubectl.run("patch", "clusterspiffeid", item["metadata"]["name"], "--type=merge", "-p", patch)
    yield  # the controller sets it back when it returns


@dataclass(frozen=True, slots=True)
class Size:
    """What a sidecar's processes hold: proportional memory and open descriptors."""

    pss_bytes: int
    descriptors: int


def size(sidecar: Sidecar) -> Size:
    """Add up the processes of a sidecar."""
    places = [Path(f"/proc/{pid}") for pid in sidecar.mesh.processes(sidecar.pod, names.SIDECAR)]
    pss = sum(int((place / "smaps_rollup").read_text().split("Pss:")[1].split()[0]) * 1024 for place in places)
    return Size(pss, sum(len(list((place / "fd").iterdir())) for place in places))


def _note(values: list[str], value: str) -> None:
    if not values or values[-1] != value:
        values.append(value)
