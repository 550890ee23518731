"""``meshctl check``: is everything well, and if not, what to do (contract 10.check)."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any, Final

import click

from mesh.ctl.checks.finding import Finding, Level
from mesh.ctl.durations import DURATION
from mesh.ctl.session import Session

SCHEMA: Final = "nginx-mesh/check/v1"
_MARKS: Final = {Level.OK: ("√", "green"), Level.WARNING: ("‼", "yellow"), Level.FAILURE: ("×", "red")}
_RETRY_SECONDS = 2.0


@click.command("check")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option(
    "--wait", "wait_seconds", type=DURATION, default="0s", help="Try again until all is well, for at most this long."
)
@click.pass_obj
def command(session: Session, output: str, wait_seconds: float) -> None:
    """Check the mesh; exit status 1 when a line fails. A failing line says the cause and the repair."""
    from mesh.ctl.checks.run import run_checks

    cluster = session.cluster()
    end = time.monotonic() + wait_seconds
    while True:
        findings = list(run_checks(cluster, session.namespace, datetime.now(UTC)))
        if all(finding.level is Level.OK for finding in findings) or time.monotonic() >= end:
            break
        time.sleep(min(_RETRY_SECONDS, max(0.0, end - time.monotonic())))
    if output == "json":
        click.echo(json.dumps(as_document(findings), indent=2, ensure_ascii=False))
    else:
        click.echo(as_table(findings))
    sys.exit(1 if _failed(findings) else 0)


def as_document(findings: list[Finding]) -> dict[str, Any]:
    """Return the findings in the schema that scripts read; fields are only ever added to it."""
    rows = [
        {
            "category": finding.category,
            "subject": finding.subject,
            "level": str(finding.level),
            "cause": finding.cause,
            "repair": finding.repair,
        }
        for finding in findings
    ]
    return {"schema": SCHEMA, "ok": not _failed(findings), "findings": rows}


def as_table(findings: list[Finding]) -> str:
    """Return the findings for people, one line each, grouped by category."""
    lines: list[str] = []
    category = ""
    for finding in findings:
        if finding.category != category:
            category = finding.category
            lines += [*([""] if lines else []), category]
        mark, colour = _MARKS[finding.level]
        lines.append(f"  {click.style(mark, fg=colour)} {finding.subject}")
        if finding.level is not Level.OK:
            lines += [f"      cause:  {finding.cause}", f"      repair: {finding.repair}"]
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    summary = f"{counts[Level.OK]} passed, {counts[Level.WARNING]} warnings, {counts[Level.FAILURE]} failed"
    return "\n".join([*lines, "", summary])


def _failed(findings: list[Finding]) -> bool:
    return any(finding.level is Level.FAILURE for finding in findings)
