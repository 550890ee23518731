"""Give the NATS server its SVID: the first one before it starts (``--once``), then every rotation (contract 4.rotation).

Settings: MESH_TLS_DIR (default /run/nats-tls), MESH_NATS_PID_FILE (/run/nats/nats.pid), MESH_SPIRE_SOCKET, MESH_HEALTH_PORT
(8080), MESH_LOG_LEVEL, MESH_LOG_FORMAT. The reloader and the server share user and process namespace.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

from mesh.api import names
from mesh.cert_reloader import files
from mesh.kit import health, shutdown
from mesh.kit import log as kit_log
from mesh.kit.backoff import Backoff
from mesh.kit.supervise import supervise
from mesh.spiffe.workload_api import X509Context, watch_x509

log = logging.getLogger(__name__)

USAGE = "usage: python -m mesh.cert_reloader [--once]"
EXIT_USAGE = 2
LATE = "nothing received yet"


class Reloader:
    """Holds what was written last, and whether the server was told."""

    def __init__(self, directory: Path, pid_file: Path, socket: str) -> None:
        self._directory = directory
        self._pid_file = pid_file
        self._socket = socket
        self._identity: X509Context | None = None
        self._reason = LATE
        self._untold = asyncio.Event()

    def certificate_check(self) -> str:
        """What is wrong with the certificate that the server has; empty when it is good."""
        if self._identity is None:
            return f"no certificate: {self._reason}"
        end = self._identity.svid.not_after
        return "" if datetime.now(UTC) < end else f"certificate expired at {end.isoformat()}: {self._reason}"

    def server_check(self) -> str:
        """Why the server does not have the certificate; empty when it does."""
        if self._untold.is_set():
            return "the server was not told of the last rotation"
        try:
            files.find_server(self._pid_file)
        except files.ServerGoneError as error:
            return str(error)
        return ""

    async def write_first(self) -> None:
        """Wait for an SVID, however long it takes, and write it."""
        async with aclosing(self._watch()) as identities:
            async for identity in identities:
                self._write(identity)
                return

    async def follow(self) -> None:
        """Write each rotation. The server is told of the first one, too: a reloader before this one may not have."""
        async with aclosing(self._watch()) as identities:
            async for identity in identities:
                self._write(identity)
                self._untold.set()

    async def tell(self) -> None:
        """Signal after each rotation, until a server takes it."""
        waits = Backoff(0.1, 2.0)
        while True:
            await self._untold.wait()
            try:
                pid = files.signal_server(self._pid_file)
            except files.ServerGoneError as error:
                log.warning("server not told", extra={"reason": str(error)})
                await waits.wait()
            else:
                self._untold.clear()
                waits.reset()
                log.info("server told to reload", extra={"pid": pid})

    def _watch(self) -> AsyncGenerator[X509Context, None]:
        return watch_x509(self._socket, self._note)

    def _note(self, reason: str) -> None:
        self._reason = reason

    def _write(self, identity: X509Context) -> None:
        if files.write(self._directory, identity):
            log.info(
                "certificate written",
                extra={"serial": identity.svid.serial, "not_after": identity.svid.not_after.isoformat()},
            )
        self._identity = identity


async def _run(stop: asyncio.Event, *, once: bool) -> int:
    reloader = Reloader(
        Path(os.environ.get("MESH_TLS_DIR", "/run/nats-tls")),
        Path(os.environ.get("MESH_NATS_PID_FILE", "/run/nats/nats.pid")),
        os.environ.get("MESH_SPIRE_SOCKET", names.SPIRE_SOCKET),
    )
    if once:
        await supervise({"first certificate": reloader.write_first}, stop)
        return 0 if not stop.is_set() else 1
    port = int(os.environ.get("MESH_HEALTH_PORT", names.PORT_HEALTH))
    ready = {"certificate": reloader.certificate_check, "server": reloader.server_check}
    async with health.HealthServer(port, ready):
        await supervise({"rotation": reloader.follow, "signal": reloader.tell}, stop)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given not in ([], ["--once"]):
        print(USAGE, file=sys.stderr)  # noqa: T201
        return EXIT_USAGE
    kit_log.from_environment(os.environ)
    return shutdown.run(lambda stop: _run(stop, once=bool(given)))
