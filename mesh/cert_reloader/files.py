"""The NATS server's certificate files, and the signal that makes it read them (identity-facts 5)."""

import os
import signal
from pathlib import Path

from mesh.kit import atomic
from mesh.spiffe.workload_api import X509Context

KEY, ROOTS, CERTIFICATE = "tls.key", "ca.crt", "tls.crt"


class ServerGoneError(Exception):
    """There is no NATS server to signal; the text says how that was seen."""


def write(directory: Path, identity: X509Context) -> bool:
    """Write key, roots and certificate, each by rename, the certificate last. Returns whether anything changed.

    In this order a server that reads in between finds a key that does not fit yet, refuses the reload and keeps what
    it has; it never serves a certificate without its key.
    """
    changed = [
        atomic.write_if_changed(directory / KEY, identity.svid.key_pem, 0o600),
        atomic.write_if_changed(directory / ROOTS, identity.bundle_pem),
        atomic.write_if_changed(directory / CERTIFICATE, identity.svid.chain_pem),
    ]
    return any(changed)


def signal_server(pid_file: Path) -> int:
    """Tell the NATS server of *pid_file* to reload; return its process id. Raises ServerGoneError.

    The process must be a nats-server: a number that was given to another process since is left alone.
    """
    pid = find_server(pid_file)
    try:
        os.kill(pid, signal.SIGHUP)
    except (ProcessLookupError, PermissionError) as error:
        raise ServerGoneError(f"cannot signal process {pid}: {error.strerror}") from error
    return pid


def find_server(pid_file: Path) -> int:
    """Process id of the running NATS server. Raises ServerGoneError."""
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError) as error:
        raise ServerGoneError(f"no process id in {pid_file}: {error}") from error
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError as error:
        raise ServerGoneError(f"process {pid} of {pid_file} is not running") from error
    if not command.rpartition(b"/")[2].startswith(b"nats-server"):
        raise ServerGoneError(f"process {pid} of {pid_file} is not the NATS server")
    return pid
