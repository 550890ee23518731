"""Wait until a server accepts TCP connections: the whole work of an init container that must not start too early."""

import logging
import socket
import time

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5
_ATTEMPT_SECONDS = 3.0


def until_connected(address: str, deadline_seconds: float = 600.0) -> bool:
    """Try ``host:port`` until a connection succeeds; False when *deadline_seconds* went by without one.

    Raises ValueError for an address without a port.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise ValueError(f"--wait-for: got {address!r}, takes host:port")
    end = time.monotonic() + deadline_seconds
    reason = ""
    while time.monotonic() < end:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_ATTEMPT_SECONDS):
                return True
        except OSError as error:
            if str(error) != reason:
                reason = str(error)
                _log.info("waiting", extra={"address": address, "reason": reason})
        time.sleep(_PAUSE_SECONDS)
    _log.error("gave up waiting", extra={"address": address, "reason": reason})
    return False
