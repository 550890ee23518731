"""``meshctl inject``: put the sidecar into the workloads of a manifest (contract 5.manual)."""

import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import click

from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.ctl.session import Session

MAX_BYTES = 64 * 1024 * 1024
WHOLE_SECONDS = 120.0
_CHUNK_BYTES = 1 << 16


@click.command("inject")
@click.option("-f", "--file", "source", default="-", help="Manifest: a file, an http(s) URL, or - for standard input.")
@click.option(
    "--ignore-incoming-ports", default="", metavar="PORTS", help="Ports that the sidecar leaves alone, as 80,443."
)
@click.option("--ignore-outgoing-ports", default="", metavar="PORTS", help="The same for outgoing traffic.")
@click.option(
    "--config-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output of meshctl config; no cluster is asked.",
)
@click.option("--for-namespace", default="default", show_default=True, help="Namespace of documents that name none.")
@click.pass_obj
def command(
    session: Session,
    source: str,
    ignore_incoming_ports: str,
    ignore_outgoing_ports: str,
    config_file: Path | None,
    for_namespace: str,
) -> None:
    """Print the manifest with the sidecar in every workload; other documents pass through untouched."""
    from mesh.admission.settings import load_settings, parse_settings
    from mesh.ctl.config import mesh_settings_text
    from mesh.ctl.manifest import inject_manifest, parse_manifest

    annotations = {
        names.ANNOTATION_IGNORE_INCOMING_PORTS: ignore_incoming_ports,
        names.ANNOTATION_IGNORE_OUTGOING_PORTS: ignore_outgoing_ports,
    }
    try:
        text = _read_file(config_file) if config_file else mesh_settings_text(session)
        native = True if config_file else _has_native_sidecars(session)
        settings = parse_settings(load_settings(text), native_sidecar=native)
        manifest = parse_manifest(read_source(source, session.timeout_seconds), source)
        chosen = {name: ports for name, ports in annotations.items() if ports}
        outcome = inject_manifest(manifest, settings, for_namespace, chosen)
        output = manifest.render()
    except InvalidInputError as error:
        raise click.ClickException(str(error)) from error
    sys.stdout.buffer.write(output.encode())
    sys.stdout.buffer.flush()
    for label in outcome.injected:
        click.echo(f"injected {label}", err=True)
    for line in outcome.skipped:
        click.echo(f"not injected {line}", err=True)
    for line in outcome.warnings:
        click.echo(f"warning {line}", err=True)


def _has_native_sidecars(session: Session) -> bool:
    from mesh.ctl.checks.versions import has_native_sidecars, parse_version
    from mesh.ctl.cluster import ClusterError

    try:
        return has_native_sidecars(parse_version(session.cluster().get("/version")))
    except ClusterError as error:
        raise click.ClickException(str(error)) from error


def read_source(source: str, timeout_seconds: float) -> str:
    """The text of a file, of an http(s) URL, or of standard input for ``-``. Raises ClickException."""
    if source == "-":
        return _decode(sys.stdin.buffer.read(), "standard input")
    if urlsplit(source).scheme in {"http", "https"}:
        return _decode(fetch(source, timeout_seconds), source)
    return _read_file(Path(source))


def _read_file(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{path}: {error}") from error
    return _decode(content, str(path))


def _decode(content: bytes, place: str) -> str:
    """Read bytes as they are: no ending of a line may change in what is passed through."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{place}: {error}") from error


def fetch(url: str, timeout_seconds: float, whole_seconds: float = WHOLE_SECONDS) -> bytes:
    """Read *url*, each step within *timeout_seconds* and all within *whole_seconds*. Raises ClickException.

    What ends before its time is refused: half a manifest is a manifest, too.
    """
    from http.client import HTTPException
    from urllib.request import build_opener

    from mesh.ctl.redirects import SameSafety

    content = bytearray()
    end = time.monotonic() + whole_seconds
    try:
        with build_opener(SameSafety).open(url, timeout=timeout_seconds) as answer:
            while chunk := answer.read1(_CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise click.ClickException(f"{url}: longer than {MAX_BYTES} bytes")
                if time.monotonic() > end:
                    raise click.ClickException(f"{url}: not whole within {whole_seconds:g} s")
            missing = int(answer.headers.get("Content-Length") or 0) - len(content)
            if missing > 0:
                raise click.ClickException(f"{url}: ended {missing} bytes before its end")
    except (OSError, ValueError, HTTPException) as error:
        raise click.ClickException(f"{url}: {error}") from error
    return bytes(content)
