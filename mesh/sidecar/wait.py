"""``python -m mesh.sidecar.wait``: hold the containers that follow until the sidecar is ready (contract 5.ready).

Run by the kubelet as a postStart hook of an ordinary sidecar container; a native sidecar has a startup probe instead.
Exits 0 when /ready answers 200, 1 with the reason when it has not within WAIT_SECONDS.
"""

import socket
import sys
import time

from mesh.api import names

WAIT_SECONDS = 120.0
POLL_SECONDS = 0.2
TRY_SECONDS = 5.0


def reason_not_ready(port: int = names.PORT_METRICS) -> str:
    """Ask once; empty when ready."""
    try:
        with socket.create_connection(("127.0.0.1", port), TRY_SECONDS) as connection:
            connection.sendall(b"GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
    except OSError as error:
        return str(error)
    head, _, body = answer.partition(b"\r\n\r\n")
    return "" if head.split(b" ")[1:2] == [b"200"] else body.decode("utf-8", "replace").strip() or "no answer"


def main() -> int:
    """Wait; returns the exit code."""
    end = time.monotonic() + WAIT_SECONDS
    while reason := reason_not_ready():
        if time.monotonic() >= end:
            print(f"the sidecar is not ready after {WAIT_SECONDS} s: {reason}", file=sys.stderr)  # noqa: T201
            return 1
        time.sleep(POLL_SECONDS)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
