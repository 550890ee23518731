"""What surrounds one sidecar's agent, as a process under pid1, and what a controller says to it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from mesh.api import names
from mesh.api.mtls import MtlsMode
from mesh.bus import connection
from mesh.bus.connection import Session
from mesh.model import codec, delta, reports
from mesh.model.sidecar_config import Endpoint, IncomingPort, Protocol, ServicePort, SidecarConfig
from mesh.sidecar import control
from mesh.spiffe import tls
from tests.fakes import nginx
from tests.fakes.authority import Authority, Issued
from tests.fakes.nats_server import CONTROLLER_PATH, HOST, SIDECAR_NAME, NatsServer
from tests.fakes.workload_api import WorkloadApi

AUTHORITY = Authority()
GROUP = "0123456789abcdef"
SUBJECT = names.config_subject(GROUP)
CHANGES = names.delta_subject(GROUP)
ROOT = Path(__file__).resolve().parents[2]


def config(service: str = "cart", address: str = "10.0.0.7") -> SidecarConfig:
    identity = "spiffe://example.org/ns/shop/sa/cart"
    endpoints = (Endpoint(address, 8080, identity, "shop/cart-1"),)
    return SidecarConfig(
        trust_domain="example.org",
        mtls_mode=MtlsMode.STRICT,
        client_max_body_size=1 << 20,
        error_log_level="warn",
        log_format="json",
        access_control_mode="allow",
        incoming=(IncomingPort(8080, Protocol.HTTP),),
        services=(ServicePort("shop", service, 80, Protocol.HTTP, "least_time", ("10.96.0.1",), endpoints),),
    )


def svid() -> Issued:
    return AUTHORITY.issue("/ns/shop/sa/web", ("web-0", SIDECAR_NAME))


class Pod:
    """What surrounds one sidecar, and the sidecar's processes."""

    def __init__(self, directory: Path, pid1: Path) -> None:
        self.run = directory / "run"
        self.run.mkdir()
        (directory / "nats").mkdir()
        self.nats = NatsServer(directory / "nats")
        self.api = WorkloadApi(directory / "agent.sock", svid())
        self.reports: list[reports.SidecarReport] = []
        self.session: Session | None = None
        self._directory = directory
        self._pid1 = pid1
        self.process: subprocess.Popen[bytes] | None = None
        (directory / "template").write_text("# workers @WORKERS@ in @RUN_DIRECTORY@\n@HTTP_PROBES@@HTTPS_PROBES@\n")

    def start(self, prefix: Sequence[str] = (), **environment: str) -> None:
        settings = {
            "MESH_POD_NAMESPACE": "shop",
            "MESH_POD_NAME": "web-0",
            "MESH_POD_IP": "127.0.0.1",
            "MESH_GROUP": GROUP,
            "MESH_TRUST_DOMAIN": "example.org",
            "MESH_MTLS_MODE": "strict",
            "MESH_NATS_SERVER": self.nats.url,
            "MESH_SPIRE_SOCKET": str(self.api.socket),
            "MESH_RUN_DIRECTORY": str(self.run),
            "MESH_NGINX_TEMPLATE": str(self._directory / "template"),
            "MESH_NGINX": nginx.command(self._directory),
            "MESH_DRAIN_SECONDS": "1",
            "MESH_LOG_LEVEL": "debug",
        }
        command = [*prefix, str(self._pid1), sys.executable, "-m", "mesh.sidecar"]
        self.process = subprocess.Popen(command, env=os.environ | settings | environment, cwd=ROOT)

    @contextlib.asynccontextmanager
    async def controller(self) -> AsyncIterator[Session]:
        """The controller's connection; sidecars' reports are collected."""
        source = AUTHORITY.issue(CONTROLLER_PATH).context()
        async with connection.connect(self.nats.url, lambda: tls.client_context(source), "controller", HOST) as session:
            await session.ensure_stream()
            await session.subscribe(
                names.SUBJECT_SUBSCRIPTION, lambda message: self.reports.append(reports.decode_report(message.payload))
            )
            yield session

    async def status(self) -> control.Status:
        return await control.status(self.run / "control.sock")

    async def until(self, what: str, **wanted: Any) -> control.Status:
        """Wait until NGINX's status has these values."""
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(control.UnreachableError):
                    status = await self.status()
                    if all(getattr(status, name) == value for name, value in wanted.items()):
                        return status
                await asyncio.sleep(0.02)
        raise AssertionError(what)

    def pid(self, title: str) -> int:
        """Process id of the agent or of an nginx role below our pid1; 0 when there is none."""
        assert self.process
        wanted = {"agent": b"mesh.sidecar", "master": b"nginx: master", "worker": b"nginx: worker"}[title]
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes()
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                ours = parent == self.process.pid if title == "agent" else str(self.run).encode() in line
                if wanted in line and ours:
                    return int(entry.name)
        return 0

    def end(self) -> None:
        master = self.pid("master")
        for pid in (self.process.pid if self.process else 0, master, self.pid("worker")):
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait(10)


async def publish(session: Session, document: SidecarConfig, epoch: int, counter: int) -> None:
    """Keep a configuration, and tell the group of it as one whole."""
    messages = codec.encode(document, codec.Revision(epoch, counter))
    for message in messages:
        await session.store(SUBJECT + message.subject_suffix, message.payload, message.headers)
    await session.publish(CHANGES, messages[-1].payload, messages[-1].headers)


async def change(session: Session, before: codec.Decoded, document: SidecarConfig, counter: int) -> codec.Decoded:
    """Keep a configuration, and tell the group what has changed."""
    state = codec.canonical(document)
    now = codec.Decoded(document, codec.Revision(before.revision.epoch, counter), codec.digest(state))
    (message,) = codec.encode_state(state, now.revision)
    await session.store(SUBJECT, message.payload, message.headers)
    said = delta.encode(before, now)
    await session.publish(CHANGES, said.payload, said.headers)
    return now
