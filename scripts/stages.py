"""Run the stages of a test run: each a child process with a time limit, its result counted, none left behind."""

import asyncio
import contextlib
import os
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from embedded.tools import child, paths
from embedded.tools.progress import duration


@dataclass(frozen=True, slots=True)
class Stage:
    """A command, how long it may take, and where pytest reports (empty for other commands)."""

    name: str
    command: tuple[str, ...]
    limit_seconds: float
    report: Path | None = None
    variables: Callable[[], Mapping[str, str]] = dict


@dataclass(slots=True)
class Tally:
    """Results of all stages so far; a failed command that is not pytest counts as one failure."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, stage: Stage, status: int | None, seconds: float) -> None:
        """Count *stage*; *status* is None when it ran out of time."""
        passed, failed, skipped = counts(stage.report) if stage.report else (0, 0, 0)
        if status != 0 and not failed:
            failed = 1
        self.passed, self.failed, self.skipped = self.passed + passed, self.failed + failed, self.skipped + skipped
        verdict = "ok" if not failed else "out of time" if status is None else f"failed (exit status {status})"
        tests = f", {passed} passed, {failed} failed, {skipped} skipped" if stage.report else ""
        self.lines.append(f"{stage.name}: {verdict} in {duration(seconds)}{tests}")

    def summary(self) -> str:
        """A line per stage; the last line is the one that CI reads."""
        skipped = [f"{self.skipped} skipped"] if self.skipped else []
        return "\n".join([*self.lines, *skipped, f"{self.passed} passed, {self.failed} failed"])


async def run(stage: Stage, tally: Tally, prefix: str = "") -> bool:
    """Run one stage, echo its output, count it; whether it succeeded."""
    print(f"== {stage.name}", flush=True)
    started = time.monotonic()
    if stage.report:
        stage.report.parent.mkdir(parents=True, exist_ok=True)
        stage.report.unlink(missing_ok=True)
    status: int | None = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(stage.limit_seconds):
            status = await child.run(
                list(stage.command),
                cwd=paths.ROOT,
                environment={**os.environ, "PYTHONUNBUFFERED": "1", **stage.variables()},
                line=lambda text: print(prefix + text, flush=True),
            )
    tally.add(stage, status, time.monotonic() - started)
    print(f"== {tally.lines[-1]}", flush=True)
    return status == 0


def counts(report: Path) -> tuple[int, int, int]:
    """Passed, failed (with errors) and skipped tests of a JUnit file; none where pytest did not come to write it."""
    if not report.exists():
        return 0, 0, 0
    suites = ET.parse(report).getroot().iter("testsuite")
    passed = failed = skipped = 0
    for suite in suites:
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        left_out = int(suite.get("skipped", 0))
        passed += int(suite.get("tests", 0)) - bad - left_out
        failed += bad
        skipped += left_out
    return passed, failed, skipped


def python(*arguments: str) -> tuple[str, ...]:
    """A command of this interpreter."""
    return (sys.executable, *arguments)
