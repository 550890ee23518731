"""``meshctl status``: the parts of the mesh and its sidecars at a glance."""

import json
from typing import Any, Final

import click

from mesh.api import names
from mesh.api.mesh_config import REASON_PROXYING
from mesh.ctl import columns
from mesh.ctl.session import Session

SCHEMA: Final = "nginx-mesh/status/v1"
_PARTS: Final = (
    (names.CONTROLLER, ("Deployment",)),
    (names.SPIRE_SERVER, ("StatefulSet", "Deployment")),
    (names.SPIRE_AGENT, ("DaemonSet",)),
    (names.NATS_SERVER, ("Deployment", "StatefulSet")),
)


@click.command("status")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_obj
def command(session: Session, output: str) -> None:
    """Show the control plane's parts and the sidecars of each namespace."""
    from mesh.ctl.cluster import ClusterError

    try:
        document = read_status(session)
    except ClusterError as error:
        raise click.ClickException(f"{error}; run meshctl check") from error
    click.echo(json.dumps(document, indent=2) if output == "json" else as_table(document))


def read_status(session: Session) -> dict[str, Any]:
    """Read everything that is shown, in the versioned schema. Raises ClusterError."""
    from mesh.ctl.checks import controller, sidecars, workloads
    from mesh.ctl.cluster import core

    cluster = session.cluster()
    parts = []
    for name, kinds in _PARTS:
        found = workloads.find(cluster, session.namespace, name, kinds)
        counts = {"ready": found.ready, "desired": found.desired} if found else {"ready": 0, "desired": 0}
        parts.append({"kind": found.kind if found else kinds[0], "name": name, **counts})
    answer = controller.status(cluster, session.namespace)
    reason, message = controller.transparency(cluster, session.namespace)
    namespaces: dict[str, dict[str, int]] = {}
    for pod in cluster.get(core("pods")).get("items") or []:
        state = sidecars.sidecar_status(pod)
        if state is not None:
            row = namespaces.setdefault(pod["metadata"]["namespace"], {"sidecars": 0, "ready": 0, "current": 0})
            row["sidecars"] += 1
            row["ready"] += bool(state.get("ready"))
    for report in answer.get("sidecars") or []:
        namespace = str(report["pod"]).partition("/")[0]
        if namespace in namespaces:
            namespaces[namespace]["current"] += report.get("state") == "synced"
    return {
        "schema": SCHEMA,
        "namespace": session.namespace,
        "version": answer.get("version", ""),
        "bus_connected": bool(answer.get("bus_connected")),
        "transparent": {"reason": reason, "message": message},
        "parts": parts,
        "sidecars": [{"namespace": name, **row} for name, row in sorted(namespaces.items())],
    }


def as_table(document: dict[str, Any]) -> str:
    """Return the status for people."""
    bus = "connected" if document["bus_connected"] else "away"
    lines = [f"mesh {document['version']} in namespace {document['namespace']}, bus {bus}"]
    rows = [
        ("PART", "READY"),
        *((f"{row['kind'].lower()}/{row['name']}", f"{row['ready']}/{row['desired']}") for row in document["parts"]),
    ]
    lines += ["", *columns.lines(rows)]
    counted = [
        (row["namespace"], str(row["sidecars"]), str(row["ready"]), str(row["current"])) for row in document["sidecars"]
    ]
    lines += ["", *columns.lines([("NAMESPACE", "SIDECARS", "READY", "CURRENT"), *counted])]
    way = document["transparent"]
    if way["reason"] not in {"", REASON_PROXYING}:
        lines += ["", f"transparent proxies, {way['reason']}: {way['message']}"]
    return "\n".join(lines)
