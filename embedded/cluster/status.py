"""What is known of a cluster from outside: its owner, its parts, its nodes, and whether it can be used."""

import contextlib
import fcntl
import json
import os
import struct
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from embedded.cluster import addresses, api, dns, places, settings

_FLOCK = struct.Struct("@hhqqi0q")  # struct flock on 64 bits: type, whence, start, length, process id
API_SERVICE = "kubernetes.default.svc.cluster.local"


class NotRunningError(RuntimeError):
    """The cluster has no living supervisor."""


@dataclass(frozen=True, slots=True)
class Status:
    """``document`` is the supervisor's own view; ``nodes_ready`` maps the name of each node to its readiness now."""

    name: str
    state: str
    document: dict[str, Any]
    nodes_ready: dict[str, bool]
    api_ready: bool
    dns_ready: bool

    @property
    def healthy(self) -> bool:
        """Whether everything runs and answers."""
        parts = self.document.get("parts", [])
        running = bool(parts) and all(part["pid"] for part in parts)
        nodes = bool(self.nodes_ready) and all(self.nodes_ready.values())
        return self.state == "running" and running and self.api_ready and nodes and self.dns_ready


def supervisor_pid(where: places.Places) -> int | None:
    """Process id of the living supervisor: the kernel's word on who holds the lock (fcntl(2), F_GETLK), taking none."""
    try:
        with where.supervisor_lock.open("rb") as file:
            question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, question))
    except FileNotFoundError:
        return None
    return None if kind == fcntl.F_UNLCK else int(pid)


def document(where: places.Places) -> dict[str, Any]:
    """What the supervisor last said; empty when it has said nothing."""
    try:
        said: dict[str, Any] = json.loads(where.status.read_text())
    except FileNotFoundError:
        return {}
    return said


def entrance(where: places.Places, number: int = 1) -> tuple[str, ...]:
    """Command prefix that enters network and mounts of node *number*; raises NotRunningError."""
    pid = supervisor_pid(where)
    said = document(where)
    if pid is None or said.get("pid") != pid:
        raise NotRunningError(f'cluster "{where.root.name}" is not running; start it first')
    nodes = said["nodes"]
    if not 1 <= number <= len(nodes):
        raise NotRunningError(f"node: got {number}, takes 1 to {len(nodes)}")
    node = nodes[number - 1]
    if node["mount_namespace"] is None:
        raise NotRunningError(f'cluster "{where.root.name}" is still being prepared')
    return ("nsenter", f"--net={node['network_namespace']}", f"--mount={node['mount_namespace']}", "--")


def ready_nodes(client: api.Api, plan: addresses.Plan, since: float) -> dict[str, bool]:
    """Which nodes are Ready, said by a kubelet that runs since *since* (seconds since the epoch) or later."""
    held = {node["metadata"]["name"]: node for node in client.get("/api/v1/nodes")["items"]}
    return {node.name: node.name in held and _is_ready(held[node.name], since) for node in plan.nodes}


def _is_ready(node: api.Object, since: float) -> bool:
    for condition in node.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready" and condition["status"] == "True":
            # Heartbeats have whole seconds. An older one is what a kubelet said before the cluster was stopped.
            return datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp() >= int(since)
    return False


def dns_answers(plan: addresses.Plan) -> bool:
    """Whether the cluster's DNS gives the right address for the API server's Service."""
    return dns.lookup(str(plan.slot.dns_address), API_SERVICE) == [str(plan.slot.api_service_address)]


def read(name: str, where: places.Places) -> Status:
    """Look at the cluster now; never waits longer than a request."""
    said = document(where)
    value = settings.find(where)
    if value is None or supervisor_pid(where) is None:
        return Status(name, "stopped" if value else "never started", {}, {}, api_ready=False, dns_ready=False)
    plan = value.plan(name)
    nodes: dict[str, bool] = {node.name: False for node in plan.nodes}
    api_ready = False
    with contextlib.suppress(api.ApiError, OSError):
        client = api.Api(plan.api_url, where.pki, "admin")
        api_ready = client.text("/readyz") == "ok"
        nodes = ready_nodes(client, plan, float(said.get("started", 0)))
    state = str(said.get("state", "preparing"))
    return Status(name, state, said, nodes, api_ready=api_ready, dns_ready=dns_answers(plan))


def kubeconfig(where: places.Places) -> Path:
    """Path of the kubeconfig; raises NotRunningError when the cluster has never been started."""
    if not where.kubeconfig.exists():
        raise NotRunningError(f'cluster "{where.root.name}" has never been started')
    return where.kubeconfig
