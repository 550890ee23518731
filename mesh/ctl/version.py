"""``meshctl version``: the client's at once, the server's when asked (contract 10.version)."""

import json

import click

from mesh.api import names
from mesh.api.version import VERSION
from mesh.ctl.session import Session


@click.command("version")
@click.option("--server", is_flag=True, help="Ask the running mesh, too.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_obj
def command(session: Session, *, server: bool, output: str) -> None:
    """Print the version of meshctl, and of the running mesh's parts with --server."""
    versions = {"nginx-meshctl": [VERSION]}
    if server:
        versions |= _server_versions(session)
    if output == "json":
        click.echo(json.dumps({"schema": "nginx-mesh/version/v1", "versions": versions}, indent=2))
        return
    for name, found in versions.items():
        click.echo(f"{name} - v{', v'.join(found)}")


def _server_versions(session: Session) -> dict[str, list[str]]:
    from mesh.ctl.cluster import ClusterError, service_proxy

    path = service_proxy(session.namespace, names.CONTROLLER, names.PORT_CONTROLLER_API, "version")
    try:
        answer = session.cluster().get(path)
    except ClusterError as error:
        raise click.ClickException(f"the mesh did not tell its version: {error}; run meshctl check") from error
    return {str(name): [str(item) for item in found] for name, found in answer.items()}
