"""``meshctl describe pod|svc NAME -n NS``: what the mesh makes of a pod or a Service (contract 10.describe)."""

import click

from mesh.ctl.output import OUTPUT, rendered
from mesh.ctl.session import Session


@click.command("describe")
@click.argument("kind", type=click.Choice(["pod", "svc"]))
@click.argument("name")
@click.option("-n", "--namespace", "namespace", default="default", show_default=True, help="Namespace of the object.")
@click.option("-o", "--output", type=OUTPUT, default="table", show_default=True)
@click.pass_obj
def command(session: Session, kind: str, name: str, namespace: str, output: str) -> None:
    """Show identity, mode, ports and protocols, endpoints, the policies that act, and findings."""
    from mesh.ctl.cluster import ClusterError
    from mesh.ctl.describe_view import as_text, pod_document, service_document
    from mesh.ctl.live import read_live

    describe = pod_document if kind == "pod" else service_document
    try:
        document = describe(read_live(session.cluster(), session.namespace), namespace, name)
    except (ClusterError, LookupError) as error:
        raise click.ClickException(str(error.args[0])) from error
    click.echo(rendered(document, output, as_text))
