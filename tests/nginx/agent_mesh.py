"""Two sidecars, an agent and a real NGINX each, with a bus and a Workload API, in pods of network namespaces."""

import asyncio
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Self

from mesh.api import names
from mesh.api.mtls import MtlsMode
from mesh.bus import connection
from mesh.bus.connection import Session
from mesh.model import codec, reports
from mesh.model.sidecar_config import Endpoint, IncomingPort, PodAddress, Protocol, ServicePort, SidecarConfig
from mesh.sidecar import control
from mesh.spiffe import tls
from tests.fakes.authority import Authority
from tests.fakes.eventually import eventually
from tests.fakes.nats_server import CONTROLLER_PATH, HOST, SIDECAR_NAME, NatsServer
from tests.fakes.pid1 import compiled
from tests.fakes.workload_api import WorkloadApi
from tests.nginx.binary import SOURCE, Binary
from tests.nginx.network import Network, Pod
from tests.nginx.sidecar import SANITIZER_REPORT, Client, get

ROOT = Path(__file__).resolve().parents[2]
PORT = 8080
TLS_PORT = 8443
NODE = "node-1"
# How much longer than promised something may take on a machine that runs other tests meanwhile.
BUSY = 10
PROBES = [
    {
        "location": "/health-redirects/app/liveness",
        "scheme": "HTTP",
        "port": PORT,
        "path": "/status/204",
        "host": "",
    },
    {"location": "/health-redirects/app/startup", "scheme": "HTTP", "port": PORT, "path": "/status/503", "host": ""},
    {
        "location": "/health-redirects/app/readiness",
        "scheme": "HTTPS",
        "port": TLS_PORT,
        "path": "/ready?x=1",
        "host": "probe.example",
    },
]
# NGINX as in the image, but for the right to read what the agent, here root, has written for it alone.
LAUNCH = f"""exec unshare --mount --propagation private sh -ec '
mkdir -p "$1$3"
mount --bind "$2" "$1/usr/lib/nginx/modules"
mount --bind "$3" "$1$3"
mount --bind "$4" "$1/usr/sbin/nginx"
mount --bind /dev "$1/dev"
mount --bind /proc "$1/proc"
root="$1"; shift 4
exec chroot "$root" setpriv --reuid {names.MESH_UID} --regid {names.MESH_UID} --clear-groups \\
    --inh-caps=-all,+dac_override --ambient-caps=-all,+dac_override --bounding-set=-all,+dac_override nginx "$@"' sh """


class Sidecar:
    """A sidecar's processes in *pod*, as its container runs them."""

    def __init__(self, mesh: "Mesh", pod: Pod, account: str, group: str) -> None:
        self.pod = pod
        self.group = group
        self.path = f"/ns/shop/sa/{account}"
        self.identity = f"spiffe://example.org{self.path}"
        self.mesh = mesh
        self.place = mesh.place / account
        self.run = self.place / "run"
        self.run.mkdir(parents=True)
        self.api = WorkloadApi(self.place / "agent.sock")
        launcher = self.place / "nginx"
        words = [str(mesh.binary.root), str(mesh.binary.modules), str(self.run), str(mesh.binary.program)]
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in mesh.binary.environment.items())
        launcher.write_text("#!/bin/sh -e\n" + exports + LAUNCH + " ".join(map(shlex.quote, words)) + ' "$@"\n')
        launcher.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None
        self.counter = 0
        self.log = (self.place / "log").open("wb")

    async def rotate(self) -> str:
        """Issue a new SVID; returns its serial."""
        issued = self.mesh.authority.issue(self.path, (SIDECAR_NAME,))
        await self.api.rotate(issued)
        return issued.context().svid.serial

    def start(self, mode: str = "strict", more: Mapping[str, str] = MappingProxyType({})) -> None:
        settings = {
            "MESH_POD_NAMESPACE": "shop",
            "MESH_POD_NAME": self.place.name,
            "MESH_POD_IP": self.pod.address,
            "MESH_NODE_NAME": NODE,
            "MESH_GROUP": self.group,
            "MESH_TRUST_DOMAIN": "example.org",
            "MESH_MTLS_MODE": mode,
            "MESH_NATS_SERVER": self.mesh.nats.url,
            "MESH_SPIRE_SOCKET": str(self.api.socket),
            "MESH_RUN_DIRECTORY": str(self.run),
            "MESH_NGINX_TEMPLATE": str(SOURCE / "conf" / "nginx.conf.template"),
            "MESH_NGINX": str(self.place / "nginx"),
            "MESH_DRAIN_SECONDS": "1",
            "MESH_PROBES": json.dumps(PROBES),
        }
        command = ["ip", "netns", "exec", self.pod.namespace, str(self.mesh.pid1), sys.executable, "-m", "mesh.sidecar"]
        self.process = subprocess.Popen(
            command, env={**os.environ, **settings, **more}, cwd=ROOT, stdout=self.log, stderr=subprocess.STDOUT
        )

    async def status(self) -> control.Status | None:
        try:
            return await control.status(self.run / "control.sock")
        except control.UnreachableError:
            return None

    async def until(self, **wanted: object) -> None:
        """Wait until NGINX's status has these values."""
        async with asyncio.timeout(30):
            while True:
                status = await self.status()
                if status and all(getattr(status, name) == value for name, value in wanted.items()):
                    return
                await asyncio.sleep(0.01)

    def agent(self) -> int:
        assert self.process
        return next((pid for pid in children(self.process.pid) if b"mesh.sidecar" in title(pid)), 0)

    def master(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.run / "nginx.pid").read_text())
            return pid if title(pid).startswith(b"nginx: master") else 0
        return 0

    def worker(self) -> int:
        master = self.master()
        workers = [pid for pid in children(master) if title(pid).startswith(b"nginx: worker process")] if master else []
        return workers[0] if workers else 0

    def end(self) -> None:
        victims = [self.process.pid if self.process else 0, self.master(), self.worker()]
        for pid in victims:
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait(10)
        self.log.close()
        reports = SANITIZER_REPORT.search((self.place / "log").read_text(errors="replace"))
        assert not reports, reports


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Mesh:
    """Bus, authority, and two sidecars: a client's and a server's."""

    def __init__(self, binary: Binary, network: Network, pods: tuple[Pod, Pod, Pod], place: Path) -> None:
        self.binary = binary
        self.network = network
        self.place = place
        self.authority = Authority()
        self.pid1 = compiled(place)
        (place / "nats").mkdir()
        self.hub = pods[2]
        self.nats = NatsServer(
            place / "nats", host=self.hub.address, prefix=["ip", "netns", "exec", self.hub.namespace]
        )
        self.reports: list[reports.SidecarReport] = []
        self.client = Sidecar(self, pods[0], "client", "00000000000000aa")
        self.server = Sidecar(self, pods[1], "server", "00000000000000bb")
        self.service = network.service_address(201)

    def config(self, sidecar: Sidecar, mode: MtlsMode, port: int = PORT) -> SidecarConfig:
        server = self.server
        endpoints = (Endpoint(server.pod.address, port, server.identity, "shop/server"),)
        own = (IncomingPort(PORT, Protocol.HTTP),) if sidecar is server else ()
        services = (ServicePort("shop", "server", 80, Protocol.HTTP, "round_robin", (self.service,), endpoints),)
        pods = (PodAddress(server.pod.address, server.identity, ((PORT, Protocol.HTTP),), "shop/server"),)
        return SidecarConfig("example.org", mode, 1 << 20, "warn", "json", "allow", own, services, pods)

    @contextlib.asynccontextmanager
    async def controller(self) -> AsyncIterator[Session]:
        """The controller's connection to the bus."""
        context = self.authority.issue(CONTROLLER_PATH).context()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.hub.inside())
            async with connection.connect(self.nats.url, lambda: tls.client_context(context), "test", HOST) as session:
                stack.close()
                await session.ensure_stream()
                yield session

    async def publish(self, mode: MtlsMode = MtlsMode.STRICT) -> None:
        """Publish a new revision to both, and wait until both have it."""
        async with self.controller() as session:
            for sidecar in (self.client, self.server):
                await self.give(session, sidecar, self.config(sidecar, mode))

    async def give(self, session: Session, sidecar: Sidecar, config: SidecarConfig) -> None:
        """Publish a configuration to one sidecar, and wait until it has it."""
        sidecar.counter += 1
        messages = codec.encode(config, codec.Revision(1, sidecar.counter))
        for message in messages:
            subject = names.config_subject(sidecar.group) + message.subject_suffix
            await session.store(subject, message.payload, message.headers)
        await session.publish(names.delta_subject(sidecar.group), messages[-1].payload, messages[-1].headers)
        await sidecar.until(revision=f"1.{sidecar.counter}")

    def call(self) -> int:
        """One request on a connection of its own: its status."""
        return get(self.client.pod, self.service, 80, "/")[0]


class Load:
    """Requests on one keep-alive connection and on fresh ones, in turn, until stopped."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._stop = threading.Event()
        self.sent = 0
        self.failures: list[tuple[float, str]] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with Client(self._mesh.client.pod, self._mesh.service, 80, 20) as kept:
            while not self._stop.is_set():
                self.sent += 1
                try:
                    with Client(self._mesh.client.pod, self._mesh.service, 80, 20) as fresh:
                        status = (kept if self.sent % 4 else fresh).request("GET", "/").status
                    if status != 200:
                        self.failures.append((time.monotonic(), str(status)))
                except (OSError, HTTPException) as error:
                    self.failures.append((time.monotonic(), repr(error)))
                    kept.connection.close()
                self._stop.wait(0.005)

    async def during(self, more: int) -> None:
        """Let *more* requests pass."""
        goal = self.sent + more
        await eventually(lambda: self.sent >= goal, f"{more} requests", 30)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
