"""``meshctl proxy-status``: what every sidecar was sent and what it says that it serves."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

import click

from mesh.api import names
from mesh.ctl import columns
from mesh.ctl.session import Session

if TYPE_CHECKING:
    from mesh.ctl.cluster import Reader

SCHEMA: Final = "nginx-mesh/proxy-status/v1"
_DIGEST_SHOWN: Final = 12
_NONE: Final = "-"


@click.command("proxy-status")
@click.argument("pods", nargs=-1, metavar="[NAMESPACE/POD]...")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@click.pass_obj
def command(session: Session, pods: tuple[str, ...], output: str) -> None:
    """Show the configuration and the certificate of every sidecar, or of those named.

    A sidecar is synced when it serves what it was sent last; stale, while it serves something else; refused, when it could not
    take what it was sent; silent, when it has not reported yet.
    """
    from mesh.ctl.cluster import ClusterError

    try:
        document = read(session.cluster(), session.namespace, pods)
    except ClusterError as error:
        raise click.ClickException(f"{error}; run meshctl check") from error
    missing = sorted(set(pods) - {row["pod"] for row in document["sidecars"]})
    if missing:
        raise click.ClickException(f"no sidecar is known of {', '.join(missing)}; pods are named NAMESPACE/POD")
    click.echo(WRITERS[output](document))


def read(reader: "Reader", namespace: str, pods: Sequence[str] = ()) -> dict[str, Any]:
    """Ask the controller, in the versioned schema; *pods* are those that count, none for all. Raises ClusterError."""
    answer = _ask(reader, namespace)
    rows = [_row(item) for item in answer.get("sidecars") or []]
    return {
        "schema": SCHEMA,
        "namespace": namespace,
        "sidecars": [row for row in rows if not pods or row["pod"] in pods],
    }


def as_table(document: dict[str, Any]) -> str:
    """Return it for people; why a configuration was refused stands below."""
    head = ("POD", "STATE", "SENT", "ACKNOWLEDGED", "DIGEST", "AGE", "SVID SERIAL", "SVID EXPIRES")
    rows = document["sidecars"]
    table = columns.lines([head, *(_cells(row) for row in rows)])
    reasons = [f"{row['pod']}: {row['refused']}" for row in rows if row["refused"]]
    return "\n".join([*table, *(["", *reasons] if reasons else [])])


def _ask(reader: "Reader", namespace: str) -> dict[str, Any]:
    """Prefer the replica that leads: it alone knows what was sent."""
    from mesh.ctl.checks import controller
    from mesh.ctl.cluster import ClusterError, core

    answer = controller.status(reader, namespace)
    leader = str(answer.get("leader") or "")
    if not leader or leader == answer.get("replica"):
        return answer
    pod = leader.partition("_")[0]
    try:
        path = core("pods", namespace, f"{pod}:{names.PORT_CONTROLLER_API}") + "/proxy/status"
        found = reader.get(path)
    except ClusterError:
        return answer  # It has just gone; what was sent is not known until another one leads.
    return found if isinstance(found, dict) else answer


def _row(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "pod": item["pod"],
        "group": item["group"],
        "state": item["state"],
        "sent": {"revision": item.get("wanted_revision", ""), "digest": item["wanted_digest"]},
        "acknowledged": {"revision": item["revision"], "digest": item["digest"]},
        "refused": item["refused"],
        "secondsSinceReport": item["seconds_since_report"],
        "svid": {"serial": item["svid_serial"], "notAfter": _time(item["svid_not_after"])},
        "version": item["version"],
        "transparent": item["transparent"],
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    acknowledged, svid, seconds = row["acknowledged"], row["svid"], row["secondsSinceReport"]
    return (
        row["pod"],
        row["state"],
        row["sent"]["revision"] or _NONE,
        acknowledged["revision"] or _NONE,
        acknowledged["digest"][:_DIGEST_SHOWN] or _NONE,
        _NONE if seconds is None else f"{seconds:.0f}s",
        svid["serial"] or _NONE,
        svid["notAfter"] or _NONE,
    )


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""


def _as_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2)


def _as_yaml(document: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    text = StringIO()
    YAML().dump(document, text)
    return text.getvalue().rstrip("\n")


WRITERS: Final = {"table": as_table, "json": _as_json, "yaml": _as_yaml}
