"""The cert reloader as a process, with a Workload API server and the real nats-server (contract 4.rotation)."""

import asyncio
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.bus import connection
from mesh.spiffe import tls
from tests.fakes.authority import Authority, Issued
from tests.fakes.eventually import eventually
from tests.fakes.nats_server import HOST, SIDECAR_NAME, NatsServer
from tests.fakes.workload_api import WorkloadApi

AUTHORITY = Authority()


def identity() -> Issued:
    return AUTHORITY.issue("/ns/nginx-mesh/sa/nats", (HOST,))


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[WorkloadApi]:
    async with WorkloadApi(tmp_path / "agent.sock") as server:
        yield server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(directory: Path, port: int = 0) -> dict[str, str]:
    return os.environ | {
        "MESH_TLS_DIR": str(directory),
        "MESH_NATS_PID_FILE": str(directory / "nats.pid"),
        "MESH_SPIRE_SOCKET": str(directory / "agent.sock"),
        "MESH_HEALTH_PORT": str(port),
    }


class Reloader:
    """The process, with its readiness."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self._port = free_port()
        command = [sys.executable, "-m", "mesh.cert_reloader", *arguments]
        self.process = subprocess.Popen(command, env=environment(directory, self._port))

    async def failing(self) -> dict[str, str] | None:
        """What /ready says is failing; None while nobody answers."""

        def get() -> dict[str, str] | None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/ready", timeout=5) as answer:
                    body = answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    body = error.read()
            except OSError:
                return None
            failing: dict[str, str] = json.loads(body)["failing"]
            return failing

        return await asyncio.to_thread(get)

    async def until_ready(self) -> None:
        async with asyncio.timeout(30):
            while await self.failing() != {}:
                await asyncio.sleep(0.02)

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


async def presented_serial(server: NatsServer) -> str:
    """Serial of the certificate that the server shows to a new client."""
    context = tls.client_context(AUTHORITY.issue("/ns/a/sa/b", (SIDECAR_NAME,)).context())
    async with connection.connect(server.url, lambda: context, "test", HOST) as session:
        writer = connection._writer(session._client)
        assert writer
        shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = shown.getpeercert()
        assert certificate
        return str(certificate["serialNumber"]).lower().lstrip("0")


@pytest.mark.spec("4.rotation")
async def test_once_waits_for_the_first_svid(api: WorkloadApi, tmp_path: Path) -> None:
    """The init container ends when, and only when, the three files are there; the key is private."""
    process = Reloader(tmp_path, "--once").process
    await eventually(lambda: api.calls >= 2, "tries without an entry")
    assert process.poll() is None
    assert not (tmp_path / "tls.crt").exists()
    issued = identity()
    await api.rotate(issued)
    assert await asyncio.to_thread(process.wait, 30) == 0
    expected = issued.context()
    assert (tmp_path / "tls.crt").read_bytes() == expected.svid.chain_pem
    assert (tmp_path / "tls.key").read_bytes() == expected.svid.key_pem
    assert (tmp_path / "ca.crt").read_bytes() == expected.bundle_pem
    assert stat.S_IMODE((tmp_path / "tls.key").stat().st_mode) == 0o600


@pytest.mark.spec("4.rotation")
async def test_rotations_reach_the_server_and_drop_nobody(api: WorkloadApi, tmp_path: Path) -> None:
    """Init, server, reloader as in the pod: five rotations, each served to new clients, an old client undisturbed."""
    await api.rotate(identity())
    assert await asyncio.to_thread(Reloader(tmp_path, "--once").process.wait, 30) == 0
    server = NatsServer(tmp_path)
    await server.start()
    reloader = Reloader(tmp_path)
    try:
        await reloader.until_ready()
        context = tls.client_context(AUTHORITY.issue("/ns/a/sa/b", (SIDECAR_NAME,)).context())
        async with connection.connect(server.url, lambda: context, "test", HOST) as session:
            for _ in range(5):
                issued = identity()
                await api.rotate(issued)
                async with asyncio.timeout(30):
                    while await presented_serial(server) != issued.context().svid.serial:
                        await asyncio.sleep(0.02)
                await session.flush()
        assert server.log.count("Reloaded server configuration") >= 5
        assert await asyncio.to_thread(reloader.end) == 0
    finally:
        server.kill()
        reloader.process.kill()


async def test_the_server_may_come_later_and_crash(api: WorkloadApi, tmp_path: Path) -> None:
    """Readiness names what is missing: the certificate, then the server; it recovers by itself each time."""
    reloader = Reloader(tmp_path)
    server = NatsServer(tmp_path)
    try:
        async with asyncio.timeout(30):
            while "certificate" not in (await reloader.failing() or {}):
                await asyncio.sleep(0.02)
        await api.rotate(identity())
        async with asyncio.timeout(30):
            while set(await reloader.failing() or {}) != {"server"}:
                await asyncio.sleep(0.02)
        await server.start()
        await reloader.until_ready()
        server.kill()
        assert "server" in (await reloader.failing() or {})
        issued = identity()
        await api.rotate(issued)
        await server.start()
        await reloader.until_ready()
        assert await presented_serial(server) == issued.context().svid.serial
    finally:
        server.kill()
        await asyncio.to_thread(reloader.end)


async def test_a_foreign_process_is_never_signalled(api: WorkloadApi, tmp_path: Path) -> None:
    """The pid file names a process that is no NATS server: it is left alone, and readiness says so."""
    bystander = subprocess.Popen(["sleep", "60"])
    (tmp_path / "nats.pid").write_text(str(bystander.pid))
    await api.rotate(identity())
    reloader = Reloader(tmp_path)
    try:
        async with asyncio.timeout(30):
            while "not told" not in (await reloader.failing() or {}).get("server", ""):
                await asyncio.sleep(0.02)
        assert bystander.poll() is None
    finally:
        await asyncio.to_thread(reloader.end)
        bystander.send_signal(signal.SIGKILL)
        bystander.wait(10)


def test_unknown_arguments() -> None:
    """Bad usage ends with 2 and the usage."""
    command = [sys.executable, "-m", "mesh.cert_reloader", "--twice"]
    result = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (result.returncode, result.stderr.startswith(b"usage:")) == (2, True)
