"""``meshctl why SRC DST [METHOD PATH]``: what becomes of a call, and which object decides (contract 7.why)."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mesh.ctl.output import OUTPUT, rendered
from mesh.ctl.session import Session

if TYPE_CHECKING:
    from mesh.decide.request import Request

_REASON_SCHEMA = "nginx-mesh/reason/v1"


@click.command("why")
@click.argument("source", required=False)
@click.argument("destination", required=False)
@click.argument("method", default="GET")
@click.argument("path", default="/")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header; may be repeated.")
@click.option(
    "--reason", default="", metavar="ID", help="Explain the id of a refusal, as logs and X-Mesh-Refused have it."
)
@click.option("-o", "--output", type=OUTPUT, default="table", show_default=True)
@click.pass_obj
def command(
    session: Session,
    source: str | None,
    destination: str | None,
    method: str,
    path: str,
    headers: tuple[str, ...],
    reason: str,
    output: str,
) -> None:
    """Tell what becomes of calls of DESTINATION by SOURCE, and why.

    SOURCE is [pod/|deploy/|sa/]namespace/name, DESTINATION [svc/|pod/][namespace/]name[:port].
    """
    from mesh.ctl.cluster import ClusterError

    if not reason and not (source and destination):
        raise click.UsageError("takes a source and a destination, or --reason")
    try:
        if reason:
            click.echo(rendered(_reason(session, reason), output, _reason_text))
        if source and destination:
            from mesh.ctl.why_view import as_text

            document = _why(session, source, destination, _request(method, path, headers))
            click.echo(rendered(document, output, as_text))
    except (ClusterError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _request(method: str, path: str, headers: tuple[str, ...]) -> "Request":
    from mesh.decide.request import Request

    pairs = [header.partition(":") for header in headers]
    if not all(name.strip() and colon for name, colon, _ in pairs):
        raise ValueError(f"a header is written name:value, got {', '.join(headers)}")
    said = tuple((name.strip(), value.strip().encode()) for name, _, value in pairs)
    return Request(0, method=method, target=path.encode(), headers=said)


def _why(session: Session, source: str, destination: str, request: "Request") -> dict[str, Any]:
    from mesh.ctl import calls, circuits
    from mesh.ctl.live import read_live
    from mesh.ctl.why_view import as_document

    cluster = session.cluster()
    live = read_live(cluster, session.namespace)
    caller = calls.find_caller(live, source)
    opened = circuits.opened_at(cluster, caller.pod) if caller.has_sidecar else frozenset()
    told = calls.explain(live, caller, destination, replace(request), opened or ())
    return as_document(caller, destination.partition(":")[0], told, calls.sidecar_configs(live), opened)


def _reason(session: Session, text: str) -> dict[str, Any]:
    from mesh.ctl.live import read_live
    from mesh.ctl.policies_view import policy_document
    from mesh.ctl.reasons import MEANINGS, read_reason

    reason, policy = read_reason(text)
    meaning = MEANINGS[reason]
    document: dict[str, Any] = {
        "schema": _REASON_SCHEMA,
        "reason": reason.value,
        "refusedBy": f"{meaning.side} sidecar",
        "meaning": meaning.text,
        "remedy": meaning.remedy,
        "policy": None,
    }
    if policy and meaning.kind:
        document["policy"] = policy_document(read_live(session.cluster(), session.namespace), meaning.kind, policy)
    return document


def _reason_text(document: dict[str, Any]) -> str:
    lines = [
        f"{document['reason']}: {document['refusedBy']} refuses, because {document['meaning']}",
        f"repair: {document['remedy']}",
    ]
    policy = document["policy"]
    if policy:
        lines += [
            "",
            f"{policy['kind']} {policy['namespace']}/{policy['name']}: {policy['message'] or policy['reason']}",
        ]
        lines += [f"  {line}" for line in policy["says"]]
    return "\n".join(lines)
