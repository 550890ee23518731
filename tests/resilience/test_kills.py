"""Every process of the mesh is killed under load and comes back by itself (contract 6.agent-death, 6.nginx-death, 4.reconnect).

Killed means SIGKILL to the process inside its container, while 200 requests a second run between two strict workloads.
Nothing of the control plane, and not the sidecar's agent, is on the path of a request: not one may fail.
"""

import signal
import time
from dataclasses import dataclass

import pytest

from mesh.api import names
from tests.e2e.eventually import eventually
from tests.e2e.load import assert_no_failure
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest
from tests.resilience.pair import MASTER, SERVER, WORKER, Pair, Sidecar, assert_grown, kill, wait_moment

SHORT_SECONDS, LONG_SECONDS = 12.0, 600.0
KILL_AFTER_SECONDS = 2.0
READY_SECONDS = 180.0
AGENT_BACK_SECONDS = 20.0
WORKER_RECOVERY_MS, MASTER_RECOVERY_MS = 1000.0, 3000.0
# One worker serves all connections of the load: what is in flight when it dies is at most one request each.
CONNECTIONS = 32

LENGTHS = [
    pytest.param(SHORT_SECONDS, id="short"),
    pytest.param(LONG_SECONDS, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
]
pytestmark = pytest.mark.timeout(420)


@dataclass(frozen=True, slots=True)
class Victim:
    """A process of the control plane: the part whose pods have it, the container, a piece of its command line."""

    part: str
    container: str
    command: str


VICTIMS = {
    "controller": Victim(names.CONTROLLER, names.CONTROLLER, "mesh.controller"),
    "nats": Victim(names.NATS_SERVER, names.NATS_SERVER, "nats-server"),
    "cert-reloader": Victim(names.NATS_SERVER, names.CERT_RELOADER, "mesh.cert_reloader"),
    "spire-server": Victim(names.SPIRE_SERVER, names.SPIRE_SERVER, "spire-server"),
    "registrar": Victim(names.SPIRE_SERVER, names.WORKLOAD_REGISTRAR, "spire-controller-manager"),
    "spire-agent": Victim(names.SPIRE_AGENT, names.SPIRE_AGENT, "spire-agent"),
}


@pytest.mark.spec("4.reconnect", "6.kills")
@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_part_of_the_control_plane_comes_back_and_no_request_fails(
    pair: Pair, victim: str, seconds: float
) -> None:
    """Afterwards a new workload is injected, identified, configured and called, so every part does its work again."""
    sidecars = {"caller": pair.caller, "server": pair.server}
    before = {name: (sidecar.processes(), sidecar.counters()) for name, sidecar in sidecars.items()}
    with pair.load(seconds) as load:
        wait_moment(time.monotonic(), KILL_AFTER_SECONDS)
        for pid in _pids(pair.mesh, VICTIMS[victim]):
            kill(pid, signal.SIGKILL)
        assert_no_failure(load.result())
    _wait_part(pair.mesh, VICTIMS[victim])
    pair.assert_newcomer_works(f"after-{victim}", READY_SECONDS)
    pair.mesh.wait_synced()
    for name, sidecar in sidecars.items():
        processes, counters = before[name]
        assert sidecar.processes() == processes
        assert_grown(counters, sidecar.counters())


@pytest.mark.spec("6.agent-death")
@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize("side", ["caller", "server"])
def test_a_killed_agent_comes_back_and_no_request_fails(pair: Pair, side: str, seconds: float) -> None:
    sidecar: Sidecar = getattr(pair, side)
    processes, counters, agent = sidecar.processes(), sidecar.counters(), sidecar.agent()
    with pair.load(seconds) as load:
        wait_moment(time.monotonic(), KILL_AFTER_SECONDS)
        kill(agent, signal.SIGKILL)
        assert_no_failure(load.result())
    eventually(lambda: sidecar.agent() not in (0, agent), AGENT_BACK_SECONDS, "a new agent")
    assert sidecar.processes() == processes
    assert_grown(counters, sidecar.counters())
    assert _restarts(pair.mesh, sidecar) == 0
    pair.mesh.wait_synced()


@pytest.mark.spec("6.nginx-death")
@pytest.mark.parametrize("side", ["caller", "server"])
@pytest.mark.parametrize(
    ("command", "recovery_ms"),
    [pytest.param(WORKER, WORKER_RECOVERY_MS, id="worker"), pytest.param(MASTER, MASTER_RECOVERY_MS, id="master")],
)
def test_killed_nginx_fails_only_what_is_in_flight(pair: Pair, side: str, command: str, recovery_ms: float) -> None:
    """Endpoints, certificate and counters are what they were."""
    sidecar: Sidecar = getattr(pair, side)
    before, counters, victim = sidecar.status(), sidecar.counters(), sidecar.pid(command)
    with pair.load(SHORT_SECONDS) as load:
        wait_moment(time.monotonic(), KILL_AFTER_SECONDS)
        kill(victim, signal.SIGKILL)
        report = load.result()
    print({key: report[key] for key in ("sent", "failed", "reasons", "recovery_ms")})
    assert report["failed"] <= CONNECTIONS, report
    assert report["recovery_ms"] is not None
    assert report["recovery_ms"] <= recovery_ms, report
    assert sidecar.pid(command) != victim
    assert _facts(sidecar.status()) == _facts(before)
    assert_grown(counters, sidecar.counters())
    assert _restarts(pair.mesh, sidecar) == 0


def _facts(status: dict[str, object]) -> dict[str, object]:
    """What a status says that does not depend on the process that says it.

    It lists endpoints in use: those under load, and for a while what an earlier case called, which is left out.
    """
    endpoints = status["endpoints"]
    assert isinstance(endpoints, list)
    return {
        "endpoints": {(row["address"], row["port"], row["identity"]) for row in endpoints if _is_server(row)},
        **{key: status[key] for key in ("mode", "ready", "svid_spiffe_id", "bundle_digest", "draining")},
        "has_certificate": bool(status["svid_serial"]),
    }


def _is_server(row: dict[str, object]) -> bool:
    return str(row["identity"]).endswith(f"/sa/{SERVER}")


def _pids(mesh: MeshUnderTest, victim: Victim) -> list[int]:
    pods = _pods(mesh, victim)
    assert pods, f"no pod of {victim.part}"
    return [mesh.process(pod, victim.container, victim.command) for pod in pods]


def _pods(mesh: MeshUnderTest, victim: Victim) -> list[dict[str, object]]:
    selector = f"{names.LABEL_NAME}={victim.part}"
    found: list[dict[str, object]] = mesh.kubectl.get("pods", "-n", NAMESPACE, "-l", selector)["items"]
    return found


def _wait_part(mesh: MeshUnderTest, victim: Victim) -> None:
    """Wait until every container of the part has been seen Ready after its death."""

    def ready() -> bool:
        conditions = [row for pod in _pods(mesh, victim) for row in pod["status"]["conditions"]]  # type: ignore[index]
        return all(row["status"] == "True" for row in conditions if row["type"] == "Ready")

    eventually(ready, READY_SECONDS, f"all pods of {victim.part} Ready")


def _restarts(mesh: MeshUnderTest, sidecar: Sidecar) -> int:
    """How often the kubelet started the sidecar's container again."""
    pod = mesh.kubectl.get("pod", sidecar.pod["metadata"]["name"], "-n", sidecar.pod["metadata"]["namespace"])
    rows = [*pod["status"].get("initContainerStatuses", []), *pod["status"]["containerStatuses"]]
    return int(next(row["restartCount"] for row in rows if row["name"] == names.SIDECAR))
