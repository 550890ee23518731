"""The real nats-server, run for a test with the settings of the mesh (design 7, identity-facts 5)."""

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from embedded.tools import paths
from mesh.api import names
from mesh.kit import atomic
from tests.fakes.authority import Issued
from tests.fakes.eventually import eventually

HOST = "nats-server.nginx-mesh.svc"
CONTROLLER_PATH = "/ns/nginx-mesh/sa/nginx-mesh-controller"
SIDECAR_NAME = names.bus_dns_name("nginx-mesh")
WITHIN = 30.0

CONFIG = """
server_name: nats-test
host: {host}
port: {port}
pid_file: "{directory}/nats.pid"
ports_file_dir: "{directory}"
logfile: "{directory}/nats.log"
max_payload: 8MB
jetstream {{ store_dir: "{directory}/data", max_mem: 64M, max_file: 16M }}
{tls}
"""

TLS = """
tls {{ cert_file: "{directory}/tls.crt", key_file: "{directory}/tls.key", ca_file: "{directory}/ca.crt",
       verify_and_map: true, min_version: "1.3", timeout: 5 }}
authorization {{ users = [
  {{ user: "{controller}", permissions: {{ publish: [">"], subscribe: [">"] }} }},
  {{ user: "{sidecar}", permissions: {{
      publish: {{ allow: ["{subscription}", "{direct_get}.{config}.>"] }},
      subscribe: {{ allow: ["{config}.>", "{delta}.>", "{ping}", "_INBOX.>"] }} }} }}
] }}
"""


def write_certificates(directory: Path, issued: Issued) -> None:
    """What the cert reloader leaves there: key, roots, then the certificate."""
    context = issued.context()
    atomic.write(directory / "tls.key", context.svid.key_pem, 0o600)
    atomic.write(directory / "ca.crt", context.bundle_pem)
    atomic.write(directory / "tls.crt", context.svid.chain_pem)


class NatsServer:
    """One server process in *directory*; the port is chosen at the first start and kept over restarts.

    *prefix* runs it elsewhere, such as in a network namespace; *host* is the address that it listens on.
    """

    def __init__(
        self,
        directory: Path,
        trust_domain: str = "example.org",
        *,
        encrypted: bool = True,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.port = -1
        self._host = host
        self._prefix = list(prefix)
        self._tls = (
            TLS.format(
                directory=directory,
                controller=f"spiffe://{trust_domain}{CONTROLLER_PATH}",
                sidecar=SIDECAR_NAME,
                subscription=names.SUBJECT_SUBSCRIPTION,
                direct_get=names.DIRECT_GET,
                config=names.SUBJECT_CONFIG,
                delta=names.SUBJECT_DELTA,
                ping=names.SUBJECT_PING,
            )
            if encrypted
            else ""
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"tls://{self._host}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        path = self.directory / "nats.log"
        return path.read_text() if path.exists() else ""

    async def start(self) -> None:
        """Start and wait until clients are served."""
        (self.directory / "nats.conf").write_text(
            CONFIG.format(host=self._host, directory=self.directory, port=self.port, tls=self._tls)
        )
        self._spawn()
        assert self._process
        ports = self.directory / f"nats-server_{self._process.pid}.ports"
        await eventually(ports.exists, "the server's ports file")
        await eventually(lambda: bool(ports.read_text().strip()), "the server's ports")
        self.port = int(json.loads(ports.read_text())["nats"][0].rpartition(":")[2])

    def _spawn(self) -> None:
        self._process = subprocess.Popen(
            [*self._prefix, str(paths.path_of("nats-server")), "-c", str(self.directory / "nats.conf")]
        )

    def send(self, number: signal.Signals) -> None:
        """Signal the server: SIGHUP reloads, SIGSTOP hangs it."""
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process:
            self._process.kill()
            self._process.wait(WITHIN)
            self._process = None

    async def reload(self) -> None:
        """SIGHUP, and wait until the server says that it has reloaded."""
        before = self.log.count("Reloaded server configuration")
        self.send(signal.SIGHUP)
        await eventually(lambda: self.log.count("Reloaded server configuration") > before, "the reload")
