"""The agent as a process under pid1, with the real nats-server, a Workload API server and a stand-in for nginx.

The stand-in keeps nginx's processes, files and control socket; what NGINX does with traffic is in tests/nginx.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.api import names
from mesh.model import codec, delta, reports
from mesh.model.sidecar_config import Endpoint, Protocol, ServicePort, SidecarConfig
from tests.contract.agent_pod import AUTHORITY, CHANGES, GROUP, SUBJECT, Pod, change, config, publish, svid
from tests.fakes.eventually import eventually
from tests.fakes.nats_server import HOST, write_certificates
from tests.fakes.pid1 import compiled


@pytest.fixture(scope="module")
def pid1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("pid1"))


@pytest.fixture
async def pod(tmp_path: Path, pid1: Path) -> AsyncIterator[Pod]:
    surroundings = Pod(tmp_path, pid1)
    write_certificates(surroundings.nats.directory, AUTHORITY.issue("/ns/nginx-mesh/sa/nats", (HOST,)))
    await surroundings.nats.start()
    async with surroundings.api:
        try:
            yield surroundings
        finally:
            if surroundings.process:
                surroundings.end()
            surroundings.nats.kill()


@pytest.mark.spec("5.ready", "6.apply")
async def test_ready_only_with_certificate_and_configuration(pod: Pod) -> None:
    """Neither: not ready; SVID alone: not ready; both: ready, and the controller is told what is applied."""
    await pod.api.rotate(None)
    pod.start()
    await pod.until("the initial document", revision="-", ready=False)
    issued = svid()
    await pod.api.rotate(issued)
    serial = issued.context().svid.serial
    await pod.until("the certificate", svid_serial=serial, ready=False)
    async with pod.controller() as session:
        await publish(session, config(), 1, 1)
        status = await pod.until("the configuration", revision="1.1", ready=True)
        assert status.svid_not_after == int(issued.certificate.not_valid_after_utc.timestamp())
        await eventually(lambda: any(item.revision == "1.1" for item in pod.reports), "the acknowledgement")
    last = pod.reports[-1]
    assert (last.pod, last.group, last.svid_serial, last.refused) == ("shop/web-0", GROUP, serial, "")
    assert last.digest == codec.digest(codec.canonical(config()))


@pytest.mark.spec("4.late")
async def test_a_configuration_from_before_is_found(pod: Pod) -> None:
    """The controller published and has gone: a sidecar that starts later is ready all the same."""
    async with pod.controller() as session:
        await publish(session, config(), 3, 9)
    pod.start()
    await pod.until("readiness", revision="3.9", ready=True)


@pytest.mark.spec("6.apply")
async def test_changes_and_rotations_are_applied_without_a_restart(pod: Pod) -> None:
    """Endpoints, then ten rotations: same master, same worker."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 1, 1)
        await pod.until("readiness", ready=True)
        processes = (pod.pid("master"), pod.pid("worker"))
        await publish(session, config(address="10.0.0.99"), 1, 2)
        await pod.until("the change", revision="1.2")
        assert "10.0.0.99" in (pod.run / "state").read_text()
        for _ in range(10):
            issued = svid()
            await pod.api.rotate(issued)
            await pod.until("the rotation", svid_serial=issued.context().svid.serial)
        assert (pod.pid("master"), pod.pid("worker")) == processes
        assert (pod.run / "svid.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.spec("6.last-good")
async def test_older_and_broken_configurations_are_not_taken(pod: Pod) -> None:
    """Older revisions are ignored; rubbish, a wrong digest and one that NGINX refuses keep the last good one."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 2, 5)
        await pod.until("readiness", ready=True)
        await publish(session, config("old"), 1, 99)
        await session.publish(CHANGES, b"rubbish", {names.HEADER_FORMAT: "1"})
        await eventually(lambda: any(item.refused for item in pod.reports), "the report of the rubbish")
        await publish(session, config("refused"), 2, 6)
        await eventually(lambda: any("told to refuse" in item.refused for item in pod.reports), "the refusal")
        assert pod.reports[-1].revision == "2.5"
        assert "(Service shop/refused)" in pod.reports[-1].refused
        await pod.until("the old state", revision="2.5")
        assert "cart" in (pod.run / "state").read_text()
        assert "refused" not in (pod.run / "state").read_text()
        issued = svid()
        await pod.api.rotate(issued)
        await pod.until("a rotation on the old state", revision="2.5", svid_serial=issued.context().svid.serial)
        await publish(session, config("mended"), 2, 7)
        await pod.until("the next good one", revision="2.7")
        await eventually(lambda: pod.reports[-1].revision == "2.7" and not pod.reports[-1].refused, "the report")


@pytest.mark.spec("6.last-good", "4.format")
@pytest.mark.parametrize("fault", ["cut", "forged", "format", "revision", "kind"])
async def test_faulty_messages_change_nothing(pod: Pod, fault: str) -> None:
    """Kept in the stream and heard: the last good configuration stays, its reason is told, the next good one is taken."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 2, 5)
        await pod.until("readiness", revision="2.5", ready=True)
        before = (pod.run / "state").read_bytes()
        (message,) = codec.encode(config("forged"), codec.Revision(2, 6))
        payload, headers = message.payload, dict(message.headers)
        if fault == "cut":
            payload = payload[: len(payload) // 2]
        elif fault == "forged":
            payload = codec.encode(config("other"), codec.Revision(2, 6))[0].payload
        elif fault == "format":
            headers[names.HEADER_FORMAT] = "2"
        elif fault == "revision":
            headers[names.HEADER_REVISION] = "2.-6"
        else:
            headers[names.HEADER_ENCODING] = "unknown"
        pod.reports.clear()
        await session.store(SUBJECT, payload, headers)
        await session.publish(CHANGES, payload, headers)
        await eventually(lambda: any(item.refused for item in pod.reports), "the reason")
        assert (pod.reports[-1].revision, pod.reports[-1].digest) == ("2.5", codec.digest(codec.canonical(config())))
        assert (await pod.status()).ready
        assert (pod.run / "state").read_bytes() == before
        await publish(session, config("mended"), 2, 7)
        await eventually(lambda: pod.reports[-1].revision == "2.7" and not pod.reports[-1].refused, "the next good one")


@pytest.mark.spec("6.last-good", "4.deltas")
async def test_deltas_of_an_older_leader_and_forged_ones_change_nothing(pod: Pod) -> None:
    """Also those that fit what is there. What does not fit makes the sidecar read the stream, which has the truth."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 2, 5)
        await pod.until("readiness", revision="2.5", ready=True)
        state = codec.digest(codec.canonical(config()))
        here = codec.Decoded(config(), codec.Revision(2, 5), state)
        wanted = codec.canonical(config("forged"))

        def said(revision: codec.Revision) -> codec.BusMessage:
            return delta.encode(here, codec.Decoded(config("forged"), revision, codec.digest(wanted)))

        for older in (codec.Revision(1, 99), codec.Revision(2, 4), codec.Revision(2, 5)):
            await session.publish(CHANGES, said(older).payload, said(older).headers)
        newer = said(codec.Revision(2, 6))
        for payload, headers in (
            (newer.payload[:-7], newer.headers),
            (newer.payload, {**newer.headers, names.HEADER_DIGEST: "0" * 64}),
            (newer.payload, {**newer.headers, names.HEADER_FORMAT: "2"}),
            (newer.payload, {**newer.headers, names.HEADER_REVISION: "-"}),
            (b"{", newer.headers),
        ):
            await session.publish(CHANGES, payload, headers)
        # What is heard is taken in its order: when this one is in force the others have been judged.
        second = await change(session, here, config(address="10.0.0.8"), 7)
        await pod.until("the next good one", revision="2.7", ready=True)
        await eventually(lambda: pod.reports[-1].digest == second.digest, "its report")
        assert "forged" not in (pod.run / "state").read_text()
        assert not [line for line in (pod.run / "applies").read_text().splitlines() if line.split()[0] == "2.6"]


@pytest.mark.spec("4.deltas")
async def test_changes_are_applied_and_what_does_not_fit_is_read(pod: Pod) -> None:
    """A change that fits is taken as it is heard; after one that was lost, the next makes it read the whole."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 1, 1)
        await pod.until("readiness", revision="1.1", ready=True)
        state = codec.digest(codec.canonical(config()))
        first = codec.Decoded(config(), codec.Revision(1, 1), state)
        second = await change(session, first, config(address="10.0.0.8"), 2)
        await pod.until("a change", revision="1.2")
        assert "10.0.0.8" in (pod.run / "state").read_text()
        unheard = second._replace(config=config(address="10.0.0.9"), digest="0" * 64)
        await change(session, unheard, config("web", "10.0.0.10"), 4)
        await pod.until("the whole", revision="1.4")
        assert "shop/web" in (pod.run / "state").read_text()
        await eventually(lambda: pod.reports[-1].revision == "1.4" and not pod.reports[-1].refused, "the report")


async def test_a_configuration_in_chunks(pod: Pod) -> None:
    """More than one message's worth arrives whole."""
    pod.start()
    endpoints = tuple(
        Endpoint(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 8080, "", os.urandom(24).hex())
        for number in range(30_000)
    )
    large = SidecarConfig(
        **{name: getattr(config(), name) for name in SidecarConfig.__slots__}
        | {"services": (ServicePort("shop", "big", 80, Protocol.HTTP, "random", ("10.96.0.1",), endpoints),)}
    )
    assert len(codec.encode(large, codec.Revision(1, 1))) > 1
    async with pod.controller() as session:
        await publish(session, large, 1, 1)
        await pod.until("readiness", revision="1.1", ready=True)
        await publish(session, large, 1, 2)
        await pod.until("the next", revision="1.2")


@pytest.mark.spec("6.agent-death")
async def test_an_agent_that_is_killed_comes_back_beside_the_same_nginx(pod: Pod) -> None:
    """kill -9 on the agent: NGINX untouched, its configuration kept, the next configuration applied."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 1, 1)
        await pod.until("readiness", ready=True)
        processes, first = (pod.pid("master"), pod.pid("worker")), pod.pid("agent")
        pod.reports.clear()
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: pod.pid("agent") not in (0, first), "the next agent")
        await eventually(lambda: any(item.revision == "1.1" for item in pod.reports), "its report")
        await publish(session, config("next"), 1, 2)
        await pod.until("the next configuration", revision="1.2", ready=True)
        assert (pod.pid("master"), pod.pid("worker")) == processes


@pytest.mark.spec("6.agent-death")
async def test_an_agent_without_bus_and_spire_keeps_what_nginx_has(pod: Pod) -> None:
    """Everything else is down when the agent restarts: the state of before is not replaced by an empty one."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 1, 1)
        await pod.until("readiness", ready=True)
    pod.nats.kill()
    await pod.api.stop()
    first = pod.pid("agent")
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: pod.pid("agent") not in (0, first), "the next agent")
    before = (pod.run / "applies").read_text().count("\n")
    await eventually(lambda: (pod.run / "applies").read_text().count("\n") > before, "its first apply")
    await pod.until("the state of before", revision="1.1", ready=True)
    await pod.api.start()


@pytest.mark.spec("6.nginx-death")
@pytest.mark.parametrize("role", ["master", "worker"])
async def test_nginx_that_is_killed_comes_back(pod: Pod, role: str) -> None:
    """kill -9 on master or worker: the same configuration and certificate serve again, old workers are gone."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 1, 1)
        before = await pod.until("readiness", ready=True)
        victim, worker = pod.pid(role), pod.pid("worker")
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(30):
            while pod.pid(role) in (0, victim):
                await asyncio.sleep(0.01)
            assert await pod.until("the state", revision="1.1", ready=True) == before
        await eventually(lambda: not Path(f"/proc/{worker}").exists(), "the old worker's end")
        await publish(session, config("next"), 1, 2)
        await pod.until("the next configuration", revision="1.2", ready=True)


@pytest.mark.spec("4.reconnect")
async def test_a_bus_that_crashed_is_found_again(pod: Pod) -> None:
    """NATS loses everything and comes back; the controller publishes anew; the sidecar says hello and follows."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 1, 1)
        await pod.until("readiness", ready=True)
    pod.nats.kill()
    await pod.nats.start()
    pod.reports.clear()
    async with pod.controller() as session:
        await publish(session, config("next"), 2, 1)
        await pod.until("the next", revision="2.1", ready=True)
        await eventually(lambda: any(item.revision == "2.1" for item in pod.reports), "the report")


async def test_a_beacon_of_a_new_leader_makes_it_read_and_report(pod: Pod) -> None:
    """The new leader's configuration is found although its message was missed, and it learns of this sidecar."""
    pod.start()
    async with pod.controller() as session:
        await publish(session, config(), 1, 1)
        await pod.until("readiness", ready=True)
        beacon = reports.encode_beacon(reports.Beacon(codec.Revision(1, 1)))
        await session.publish(names.SUBJECT_PING, beacon)
        pod.reports.clear()
        await session.publish(names.SUBJECT_PING, reports.encode_beacon(reports.Beacon(codec.Revision(2, 1))))
        await session.flush()
        await eventually(lambda: pod.reports, "a report")


@pytest.mark.spec("6.drain")
async def test_the_sidecar_ends_after_the_application(pod: Pod) -> None:
    """SIGTERM: NGINX drains at once, serves as long as the application holds a socket, then everything ends with 0."""
    name = f"mesh-drain-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    inside = ["ip", "netns", "exec", name]
    listen = "import socket; s = socket.create_server(('', 8080)); print('up', flush=True); s.accept()"
    application = subprocess.Popen([*inside, sys.executable, "-c", listen], stdout=subprocess.PIPE)
    try:
        assert application.stdout
        assert application.stdout.readline() == b"up\n"
        pod.start(inside, MESH_DRAIN_SECONDS="60")
        await pod.until("NGINX", revision="-")
        assert pod.process
        pod.process.terminate()
        await pod.until("draining", draining=True)
        with pytest.raises(subprocess.TimeoutExpired):
            await asyncio.to_thread(pod.process.wait, 1)
        assert pod.pid("master")
        application.kill()
        assert await asyncio.to_thread(pod.process.wait, 30) == 0
        assert (pod.pid("worker"), (pod.run / "nginx.pid").exists()) == (0, False)
    finally:
        application.kill()
        application.communicate()
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.spec("6.drain")
async def test_the_drain_ends_at_its_limit(pod: Pod) -> None:
    """An application that never ends (this machine has many sockets) is left after the grace, exit code 0."""
    pod.start(MESH_DRAIN_SECONDS="1")
    async with pod.controller() as session:
        await publish(session, config(), 1, 1)
        await pod.until("readiness", ready=True)
    assert pod.process
    with socket.create_server(("127.0.0.1", 0)):
        pod.process.terminate()
        assert await asyncio.to_thread(pod.process.wait, 30) == 0
    assert (pod.pid("worker"), (pod.run / "nginx.pid").exists()) == (0, False)


def test_bad_settings_end_it_for_good(pod: Pod) -> None:
    """All faults at once, exit code 2, no restart."""
    pod.start(MESH_GROUP="xyz", MESH_MTLS_MODE="loose", MESH_PROBES=json.dumps([{"location": "/x"}]))
    assert pod.process
    assert pod.process.wait(10) == 2


async def test_a_configuration_that_nginx_does_not_start_with(pod: Pod) -> None:
    """NGINX fails at start: tried again with growing waits, and well as soon as it can be."""
    template = pod.run.parent / "template"
    good = template.read_text()
    template.write_text("# refuse to start\n")
    pod.start()
    await eventually((pod.run / "nginx.conf").exists, "the configuration")
    (pod.run / "nginx.conf").write_text(good)
    await pod.until("NGINX", revision="-")
