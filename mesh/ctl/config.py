"""``meshctl config``: the mesh's configuration as JSON, as NSM prints it (contract 10.config)."""

import click

from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.ctl.session import Session


def mesh_settings_text(session: Session) -> str:
    """Read the document ``meshconfig.json`` of the mesh. Raises ClickException with the remedy."""
    from mesh.ctl.cluster import ClusterError, NotFoundError, core

    try:
        found = session.cluster().get(core("configmaps", session.namespace, names.MESHCONFIG_CONFIGMAP))
    except NotFoundError as error:
        remedy = "name the mesh's namespace with --namespace, or install the mesh with: pulumi up"
        raise click.ClickException(f"no mesh in namespace {session.namespace}: {error}; {remedy}") from error
    except ClusterError as error:
        raise click.ClickException(str(error)) from error
    text = (found.get("data") or {}).get(names.MESHCONFIG_CONFIGMAP_KEY, "")
    if not text:
        place = f"ConfigMap {session.namespace}/{names.MESHCONFIG_CONFIGMAP}"
        raise click.ClickException(f"{place} is empty until the controller has started; run meshctl check")
    return str(text)


@click.command("config")
@click.pass_obj
def command(session: Session) -> None:
    """Print the mesh's configuration as JSON."""
    import json

    from mesh.admission.settings import load_settings

    try:
        document = load_settings(mesh_settings_text(session))
    except InvalidInputError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(document, indent=2, sort_keys=True))
