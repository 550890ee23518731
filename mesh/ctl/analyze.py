"""``meshctl analyze``: what is wrong with policies, before or after they are deployed (contract 10.analyze)."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import click

from mesh.ctl.session import Session

if TYPE_CHECKING:
    from mesh.ctl.analysis.objects import Tables

USAGE_EXIT = 2


@click.command("analyze")
@click.option(
    "-f", "--file", "sources", multiple=True, metavar="SOURCE",
    help="Manifests: a file, a directory, an http(s) URL, or - for standard input; again for more. Without one the cluster is read.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml", "sarif"]), default="table", show_default=True
)
@click.option(
    "--fail-on", type=click.Choice(["warning", "error", "never"]), default="warning", show_default=True,
    help="Exit status 1 for findings of this level or above.",
)  # fmt: skip
@click.option("--for-namespace", default="default", show_default=True, help="Namespace of documents that name none.")
@click.pass_obj
def command(session: Session, sources: tuple[str, ...], output: str, fail_on: str, for_namespace: str) -> None:
    """Say what of policies, Services and workloads cannot be done as written; each finding has a code and a page.

    Exit status 0 for none, 1 for findings at or above --fail-on, 2 for what cannot be read.
    """
    from mesh.api.errors import InvalidInputError
    from mesh.ctl.analysis.objects import Tables, UnreadableObjectError
    from mesh.ctl.analysis.report import render
    from mesh.ctl.analysis.run import analyze

    tables = Tables()
    try:
        if sources:
            for source in sources:
                _add(tables, source, for_namespace, session.timeout_seconds)
        else:
            _add_live(tables, session)
    except (InvalidInputError, UnreadableObjectError) as error:
        _give_up(str(error))
    except click.ClickException as error:
        _give_up(error.format_message())
    results = analyze(tables)
    click.echo(render(results, tables.count, output))
    levels = {"warning": ("warning", "error"), "error": ("error",), "never": ()}[fail_on]
    sys.exit(1 if any(row.code.level in levels for row in results) else 0)


def _add(tables: "Tables", source: str, namespace: str, timeout_seconds: float) -> None:
    from mesh.ctl.analysis.read import add_manifest, files_of
    from mesh.ctl.inject import read_source

    if source == "-" or urlsplit(source).scheme in {"http", "https"}:
        add_manifest(tables, read_source(source, timeout_seconds), source, namespace)
        return
    for path in files_of(Path(source)):
        add_manifest(tables, read_source(str(path), timeout_seconds), str(path), namespace)


def _add_live(tables: "Tables", session: Session) -> None:
    from mesh.ctl.analysis.read import add_cluster
    from mesh.ctl.cluster import ClusterError

    try:
        add_cluster(tables, session.cluster())
    except ClusterError as error:
        raise click.ClickException(str(error)) from error


def _give_up(text: str) -> NoReturn:
    click.echo(f"Error: {text}", err=True)
    sys.exit(USAGE_EXIT)
