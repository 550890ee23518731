"""What a sidecar routes by, as root of the machine sees it: through any process of its container."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

# /var/run is a link to /run there, which would lead out of the container.
_DIRECTORY = "run/nginx-mesh"


def control_status(pid: int) -> dict[str, Any]:
    """Ask the NGINX in the container of process *pid*. Raises OSError, http.client.HTTPException."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        # A socket's path is at most 107 bytes long; this one is shorter whatever the process id.
        connection.connect(f"/proc/{pid}/root/{_DIRECTORY}/control.sock")
        connection.sendall(b"GET /status HTTP/1.0\r\nHost: nginx-mesh\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        status: dict[str, Any] = json.loads(answer.read())
        return status


def state_document(pid: int) -> list[list[str]]:
    """Return the fields of each line that the agent wrote for the NGINX in the container of process *pid*. Raises OSError."""
    text = Path(f"/proc/{pid}/root/{_DIRECTORY}/state").read_text(encoding="ascii")
    return [line.split("\t") for line in text.splitlines()]
