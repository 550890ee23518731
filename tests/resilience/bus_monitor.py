"""What the NATS server says of itself on its monitoring port."""

import json
import urllib.request
from typing import Any

from mesh.api import names
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest, address


def clients(mesh: MeshUnderTest) -> dict[int, str]:
    """Return the open client connections: number, which is never used again, to the name that the client gave."""
    rows = _ask(mesh, "connz?limit=10000")["connections"]
    return {int(row["cid"]): str(row.get("name", "")) for row in rows}


def reloaded_at(mesh: MeshUnderTest) -> str:
    """Return when the server last read its configuration, and with it its certificate."""
    return str(_ask(mesh, "varz")["config_load_time"])


def _ask(mesh: MeshUnderTest, path: str) -> dict[str, Any]:
    [pod] = mesh.kubectl.get("pods", "-n", NAMESPACE, "-l", f"{names.LABEL_NAME}={names.NATS_SERVER}")["items"]
    with urllib.request.urlopen(f"http://{address(pod)}:{names.PORT_NATS_MONITOR}/{path}", timeout=5) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found
