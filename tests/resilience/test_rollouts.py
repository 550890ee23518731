"""Rolling restarts under load: no request fails, no stream breaks (contract 6.rollouts, 6.drain)."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.e2e.apps import App
from tests.e2e.eventually import eventually
from tests.e2e.load import InPod, Load, assert_no_failure
from tests.resilience.pair import CALLER, Pair, app

BACK, FRONT = "back", "front"
TCP_PORT, GRPC_PORT = 9000, 9090
REPLICAS = 2
ROLLOUT_SECONDS = 300.0
# 200 requests a second reach the back: most from the caller itself, the others through the front, which calls it for each.
DIRECT_RATE, THROUGH_RATE = 150.0, 50.0
# It counts what is lost, not how fast it was: a machine that does other things may take its time.
PATIENCE = ("--timeout", "20")


@dataclass(frozen=True, slots=True)
class Run:
    """How often something is rolled out."""

    rollouts: int

    @property
    def seconds(self) -> float:
        """How long the load may last; it ends with the last rollout."""
        return self.rollouts * ROLLOUT_SECONDS

    def turns(self) -> Iterator[str]:
        """Which application is next: the back, which is only called, and each third time the front, which calls, too."""
        for number in range(self.rollouts):
            yield FRONT if number % 3 == 1 else BACK


def runs(short: int, long: int) -> list[Any]:
    """The short form of a case and the long one."""
    return [
        pytest.param(Run(short), id="short", marks=pytest.mark.timeout(short * ROLLOUT_SECONDS + 300)),
        pytest.param(Run(long), id="long", marks=[pytest.mark.soak, pytest.mark.timeout(long * ROLLOUT_SECONDS + 300)]),
    ]


def back(pair: Pair, *arguments: str) -> App:
    """Two pods that are called by HTTP, TCP and gRPC."""
    plain = app(BACK, pair.mesh.image, REPLICAS)
    services = {**plain.services, "lines": (TCP_PORT, TCP_PORT), "calls": (GRPC_PORT, GRPC_PORT)}
    return replace(plain, services=services, tcp_ports=(TCP_PORT,), grpc_ports=(GRPC_PORT,), arguments=arguments)


@pytest.mark.spec("6.rollouts", "6.drain")
@pytest.mark.parametrize("run", runs(3, 100))
def test_rolling_restarts_cost_nothing(pair: Pair, run: Run) -> None:
    """Callers and called are restarted, which drain as they should: requests, calls of callers that end, streams all go well."""
    mesh, namespace = pair.mesh, pair.namespace
    front = app(FRONT, mesh.image, REPLICAS)
    mesh.deploy(namespace, back(pair), replace(front, arguments=("--call", f"/through=http://{BACK}.{namespace}/")))
    before = pair.caller.processes()
    with ExitStack() as stack:
        direct, through = (
            stack.enter_context(Load(mesh, namespace, CALLER, url, run.seconds, rate, *PATIENCE))
            for url, rate in (
                (f"http://{BACK}.{namespace}/?delay_ms=20", DIRECT_RATE),
                (f"http://{FRONT}.{namespace}/through?delay_ms=20", THROUGH_RATE),
            )
        )
        streams = ("hold", "--tcp", f"lines.{namespace}:{TCP_PORT}", "--grpc", f"calls.{namespace}:{GRPC_PORT}")
        held = stack.enter_context(InPod(mesh, namespace, CALLER, *streams))
        turns = list(run.turns())
        for name in turns:
            roll_out(pair, name)
        wait_old_pods(pair, BACK, FRONT)
        reports = {"direct": direct.stop(), "through": through.stop()}
        ended = held.stop()
    print(f"{len(turns)} rollouts, {turns.count(FRONT)} of them of the caller:", ended)
    for name, report in reports.items():
        print(name, {key: report[key] for key in ("sent", "failed", "reasons", "first_failures", "latency_ms")})
    for report in reports.values():
        assert_no_failure(report)
    assert [ended[kind]["failures"] for kind in ("tcp", "grpc")] == [[], []]
    assert ended["tcp"]["ended"] >= 1, "no stream met the end of its server"
    assert len(reports["direct"]["servers"]) >= REPLICAS * (1 + turns.count(BACK))
    assert len(reports["through"]["servers"]) >= REPLICAS * (1 + turns.count(FRONT))
    assert pair.caller.processes() == before
    for kind in ("deployment", "service"):
        mesh.kubectl.run("-n", namespace, "delete", kind, BACK, FRONT, "--wait=false")


@pytest.mark.spec("6.rollouts")
@pytest.mark.parametrize("run", runs(2, 20))
def test_rolling_restarts_of_servers_that_stop_at_once(pair: Pair, run: Run) -> None:
    """They close their ports in the moment of SIGTERM, before anybody can have heard of it: idempotent requests go elsewhere."""
    mesh, namespace = pair.mesh, pair.namespace
    mesh.deploy(namespace, back(pair, "--at-once"))
    url = f"http://{BACK}.{namespace}/?delay_ms=20"
    with Load(mesh, namespace, CALLER, url, run.seconds, DIRECT_RATE + THROUGH_RATE, *PATIENCE) as load:
        for _ in range(run.rollouts):
            roll_out(pair, BACK)
        wait_old_pods(pair, BACK)
        report = load.stop()
    print(
        f"{run.rollouts} rollouts:",
        {key: report[key] for key in ("sent", "failed", "reasons", "first_failures", "latency_ms")},
    )
    assert_no_failure(report)
    assert len(report["servers"]) >= REPLICAS * (1 + run.rollouts)
    for kind in ("deployment", "service"):
        mesh.kubectl.run("-n", namespace, "delete", kind, BACK, "--wait=false")


def roll_out(pair: Pair, name: str) -> None:
    """Replace every pod of an application, as kubectl does, and wait until the new ones serve."""
    pair.mesh.kubectl.run("-n", pair.namespace, "rollout", "restart", f"deployment/{name}")
    pair.mesh.kubectl.rollout(pair.namespace, f"deployment/{name}", ROLLOUT_SECONDS)


def wait_old_pods(pair: Pair, *apps: str) -> None:
    """Wait until the pods of before are gone, so that what their ends cost is counted, too."""
    for name in apps:
        left = ("pods", "-n", pair.namespace, "-l", f"app={name}")
        eventually(lambda left=left: len(pair.mesh.kubectl.get(*left)["items"]) == REPLICAS, 90, "the end of old pods")  # type: ignore[misc]
