"""The agent with a real NGINX, a real nats-server and a Workload API, in pods of network namespaces.

What is killed and rotated here is under a steady load of requests from one application to another, through both
sidecars. The agent runs as root and NGINX as uid 2102, as a checkout need not be readable to uid 2102.
"""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.client import HTTPException

import pytest

from mesh.api import names
from mesh.api.mtls import MtlsMode
from mesh.model import codec, reports
from mesh.model.policy import HttpMatch, Target
from mesh.model.topology import NO_HINTS, Hints
from mesh.spiffe import tls
from tests.fakes.eventually import eventually
from tests.nginx import application
from tests.nginx.agent_mesh import BUSY, NODE, PORT, ROOT, TLS_PORT, Load, Mesh, Sidecar
from tests.nginx.many_services import private_mib, with_services
from tests.nginx.network import Network, Pod
from tests.nginx.sidecar import Client, get

pytestmark = pytest.mark.nginx


@pytest.fixture(scope="module")
def pods(network: Network) -> tuple[Pod, Pod, Pod]:
    return (network.add_pod("agenta", 60), network.add_pod("agentb", 61), network.add_pod("agenth", 62))


@pytest.mark.spec("5.ready")
async def test_readiness_follows_configuration_and_certificate(mesh: Mesh) -> None:
    """/ready is 503 with the reason, then 200; before it, a strict sidecar lets nothing through."""
    await mesh.client.until(revision="-")
    status, reason = await asyncio.to_thread(get, mesh.client.pod, "127.0.0.1", names.PORT_METRICS, "/ready")
    assert status == 503
    assert reason.strip()
    with application.serve(mesh.server.pod, PORT):
        with pytest.raises((OSError, HTTPException)):
            await asyncio.to_thread(mesh.call)
        await mesh.publish()
        for sidecar in (mesh.client, mesh.server):
            await sidecar.until(ready=True)
        ready = await asyncio.to_thread(get, mesh.client.pod, "127.0.0.1", names.PORT_METRICS, "/ready")
        assert ready[0] == 200
        assert await asyncio.to_thread(mesh.call) == 200


@pytest.mark.spec("5.ready")
async def test_waiting_for_readiness(mesh: Mesh) -> None:
    """The postStart hook of an ordinary container returns when the sidecar is ready, not before."""
    command = ["ip", "netns", "exec", mesh.client.pod.namespace, sys.executable, "-m", "mesh.sidecar.wait"]
    await mesh.client.until(revision="-")
    hook = subprocess.Popen(command, cwd=ROOT)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            await asyncio.to_thread(hook.wait, 1)
        await mesh.publish()
        assert await asyncio.to_thread(hook.wait, 30) == 0
    finally:
        hook.kill()
        hook.wait(10)


@pytest.mark.spec("5.probes")
async def test_probes_reach_the_application(serving: Mesh, plain_pod: Pod) -> None:
    """The kubelet, outside the mesh, gets the application's own status through a strict sidecar, by HTTP and HTTPS."""
    pod = serving.server.pod

    def probe(port: int, name: str) -> tuple[int, str]:
        with Client(plain_pod, pod.address, port) as client:
            client.connection.sock = plain_pod.connect(pod.address, port)
            if port == names.PORT_HTTPS_PROBES:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                client.connection.sock = context.wrap_socket(client.connection.sock)
            response = client.request("GET", f"/health-redirects/app/{name}")
            return response.status, response.text

    assert (await asyncio.to_thread(probe, names.PORT_HTTP_PROBES, "liveness"))[0] == 204
    assert (await asyncio.to_thread(probe, names.PORT_HTTP_PROBES, "startup"))[0] == 503
    assert (await asyncio.to_thread(probe, names.PORT_HTTP_PROBES, "other"))[0] == 404
    assert (await asyncio.to_thread(probe, names.PORT_HTTPS_PROBES, "readiness"))[0] == 502
    context = tls.server_context(serving.authority.issue("/ns/shop/sa/app").context())
    listener = context.wrap_socket(pod.listener(TLS_PORT), server_side=True)
    secure = application.Application(listener, "secure")
    thread = threading.Thread(target=secure.handle_request)
    thread.start()
    status, text = await asyncio.to_thread(probe, names.PORT_HTTPS_PROBES, "readiness")
    thread.join()
    secure.server_close()
    echo = json.loads(text)
    headers = {name.lower(): value for name, value in echo["headers"]}
    assert (status, echo["path"], headers["host"]) == (200, "/ready?x=1", "probe.example")


@pytest.mark.spec("3.rotation")
async def test_rotations_and_revisions_under_load(serving: Mesh) -> None:
    """Ten rotations of both sides, ten revisions: no request fails, the workers stay the same."""
    processes = [sidecar.worker() for sidecar in (serving.client, serving.server)]
    with Load(serving) as load:
        for _ in range(10):
            for sidecar in (serving.client, serving.server):
                serial = await sidecar.rotate()
                await sidecar.until(svid_serial=serial)
            await serving.publish()
            await load.during(20)
    assert load.failures == []
    assert [sidecar.worker() for sidecar in (serving.client, serving.server)] == processes


@pytest.mark.spec("6.agent-death")
@pytest.mark.parametrize("side", ["client", "server"])
async def test_the_agent_is_killed_under_load(serving: Mesh, side: str) -> None:
    """kill -9: no request fails, NGINX stays, and the next agent applies the next revision."""
    sidecar: Sidecar = getattr(serving, side)
    master, worker, agent = sidecar.master(), sidecar.worker(), sidecar.agent()
    with Load(serving) as load:
        await load.during(50)
        os.kill(agent, signal.SIGKILL)
        await load.during(50)
        await eventually(lambda: sidecar.agent() not in (0, agent), "the next agent")
        await serving.publish()
        await load.during(50)
    assert load.failures == []
    assert (sidecar.master(), sidecar.worker()) == (master, worker)


@pytest.mark.spec("6.bus-death")
async def test_the_bus_is_killed_under_load(serving: Mesh) -> None:
    """kill -9 on NATS, and it is away for a while: no request fails; it comes back empty and is filled again."""
    with Load(serving) as load:
        serving.nats.kill()
        await load.during(100)
        await serving.nats.start()
        await serving.publish()
        await load.during(20)
    assert load.failures == []


@pytest.mark.spec("6.nginx-death")
@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize(("role", "within"), [("worker", 1.0 * BUSY), ("master", 3.0 * BUSY)])
async def test_nginx_is_killed_under_load(serving: Mesh, side: str, role: str, within: float) -> None:
    """kill -9: what is in flight may fail; soon everything passes again, with the same state."""
    sidecar: Sidecar = getattr(serving, side)
    before = await sidecar.status()
    victim = getattr(sidecar, role)()
    with Load(serving) as load:
        await load.during(50)
        killed = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        await eventually(lambda: getattr(sidecar, role)() not in (0, victim), f"the next {role}", within)
        await load.during(100)
        recovered = max((when for when, _ in load.failures), default=killed)
    assert recovered - killed < within, load.failures
    assert await sidecar.status() == before
    await serving.publish()
    assert await asyncio.to_thread(serving.call) == 200


@pytest.mark.spec("6.last-good")
async def test_a_configuration_that_nginx_refuses_is_told_with_its_object(serving: Mesh) -> None:
    """More methods than a line has room for, under load: the old one serves on, and the sidecar is never said to serve the new one."""
    sidecar = serving.server
    good = replace(serving.config(sidecar, MtlsMode.STRICT), access_enforced=True)
    allowed = replace(good, targets=(Target("shop/open", (serving.client.identity,), everything=True),))
    methods = tuple(f"{'M' * 250}{number}" for number in range(20))
    broken = Target("shop/broken", (serving.client.identity,), matches=(HttpMatch(methods=methods),))
    told: list[reports.SidecarReport] = []
    async with serving.controller() as session:
        await session.subscribe(
            names.SUBJECT_SUBSCRIPTION, lambda message: told.append(reports.decode_report(message.payload))
        )
        await serving.give(session, sidecar, allowed)
        revision = f"1.{sidecar.counter}"
        with Load(serving) as load:
            await load.during(20)
            sidecar.counter += 1
            (message,) = codec.encode(replace(good, targets=(broken,)), codec.Revision(1, sidecar.counter))
            await session.publish(names.delta_subject(sidecar.group), message.payload, message.headers)
            await eventually(lambda: any(item.refused for item in told), "the refusal")
            await load.during(20)
        refused = next(item for item in told if item.refused)
        assert "(TrafficTarget shop/broken)" in refused.refused
        assert (refused.revision, refused.digest) == (revision, codec.digest(codec.canonical(allowed)))
        status = await sidecar.status()
        assert status is not None
        assert (status.revision, status.ready) == (revision, True)
        assert load.failures == []
        await serving.give(session, sidecar, serving.config(sidecar, MtlsMode.STRICT))


@pytest.mark.spec("7.unsearchable")
async def test_a_pattern_that_nginx_cannot_search_is_told_with_its_policy(serving: Mesh) -> None:
    """The rest is served, and the report says so; when the pattern is right the report is quiet again."""
    sidecar = serving.server
    callers = (serving.client.identity,)
    open_ = Target("shop/open", callers, everything=True)
    broken = Target("shop/broken", callers, matches=(HttpMatch("(never closed"),))
    wanted = replace(serving.config(sidecar, MtlsMode.STRICT), access_enforced=True, targets=(open_, broken))
    told: list[reports.SidecarReport] = []
    async with serving.controller() as session:
        await session.subscribe(
            names.SUBJECT_SUBSCRIPTION, lambda message: told.append(reports.decode_report(message.payload))
        )
        await serving.give(session, sidecar, wanted)
        await eventually(lambda: any(item.refused for item in told), "the report")
        [said] = {item.refused for item in told if item.refused}
        assert "takes a PCRE2 pattern" in said
        assert said.endswith("(TrafficTarget shop/broken)")
        assert {item.digest for item in told if item.refused} == {codec.digest(codec.canonical(wanted))}
        assert await asyncio.to_thread(serving.call) == 200
        told.clear()
        await serving.give(session, sidecar, serving.config(sidecar, MtlsMode.STRICT))
        await eventually(lambda: told and told[-1].refused == "", "a report without it")


@pytest.mark.spec("3.modes")
async def test_the_mode_changes_at_run_time(serving: Mesh) -> None:
    """Strict, off, permissive, strict under load: no request fails, no process is replaced."""
    worker = serving.client.worker()
    with Load(serving) as load:
        for mode in (MtlsMode.OFF, MtlsMode.PERMISSIVE, MtlsMode.STRICT):
            # The server first becomes permissive on the way, as a careful operator does it.
            await serving.publish(MtlsMode.PERMISSIVE)
            await serving.publish(mode)
            await load.during(20)
    assert load.failures == []
    assert serving.client.worker() == worker


@pytest.mark.spec("6.zones")
async def test_calls_go_to_the_zone_of_the_callers_node(serving: Mesh) -> None:
    """Where one endpoint is for each of two zones, the node's zone decides; where hints are missing, both are tried."""
    client = serving.client
    config = serving.config(client, MtlsMode.STRICT)
    (service,) = config.services
    (good,) = service.endpoints
    # Nothing is declared at that port of the pod, so its sidecar refuses.
    bad = replace(good, port=9)
    near, far = Hints(("a",)), Hints(("b",))
    async with serving.controller() as session:
        for hints, zone, answers in (
            ((near, far), "a", {200}),
            ((near, far), "b", {502}),
            ((near, NO_HINTS), "b", {200}),
        ):
            endpoints = (replace(bad, hints=hints[1]), replace(good, hints=hints[0]))
            services = (replace(service, endpoints=endpoints),)
            await serving.give(session, client, replace(config, services=services, node_zones=((NODE, zone),)))
            assert {serving.call() for _ in range(6)} == answers


@pytest.mark.spec("6.memory")
async def test_what_two_hundred_services_cost(serving: Mesh) -> None:
    """Under 8 MiB in agent and NGINX for 200 Services of five pods, and under 2 MiB more when all pods have changed 40 times."""
    client = serving.client
    small = serving.config(client, MtlsMode.STRICT)
    sizes = []
    async with serving.controller() as session:
        for services, rounds in ((0, 10), (200, 10), (200, 40)):
            for number in range(rounds):
                await serving.give(session, client, with_services(small, services, number))
            assert serving.call() == 200
            sizes.append(private_mib(client.agent(), client.worker(), client.master()))
    print(sizes)
    assert sizes[1] - sizes[0] < 8
    assert sizes[2] - sizes[1] < 2
