"""Run the stages of a test run: each a child process with a time limit, its result counted, none left behind."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from embedded.tools import child, paths
from embedded.tools.progress import duration
from scripts import junit

MOST_UNSTABLE: Final = 3
SECOND_RUN_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A command, how long it may take, and where pytest reports (empty for other commands).

    ``again``: tests of it that fail may run once more, alone (`give_a_second_run`).
    """

    name: str
    command: tuple[str, ...]
    limit_seconds: float
    report: Path | None = None
    variables: Callable[[], Mapping[str, str]] = dict
    again: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed test of a stage; ``complete`` when the stage's report names all that failed."""

    stage: Stage
    test: junit.FailedTest
    complete: bool

    def __str__(self) -> str:
        return f"{self.test.node}: {self.test.message}"


@dataclass(slots=True)
class Tally:
    """Results of all stages so far; a failed command that is not pytest counts as one failure."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    lines: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    unstable: list[Failure] = field(default_factory=list)

    def add(self, stage: Stage, status: int | None, seconds: float) -> None:
        """Count *stage*; *status* is None when it ran out of time."""
        outcome = junit.read(stage.report) if stage.report else junit.Outcome()
        failed = outcome.failed or int(status != 0)
        self.passed, self.failed, self.skipped = (
            self.passed + outcome.passed,
            self.failed + failed,
            self.skipped + outcome.skipped,
        )
        verdict = "ok" if not failed else "out of time" if status is None else f"failed (exit status {status})"
        tests = f", {outcome.passed} passed, {failed} failed, {outcome.skipped} skipped" if stage.report else ""
        self.lines.append(f"{stage.name}: {verdict} in {duration(seconds)}{tests}")
        # Reports are complete only if pytest came to its end.
        complete = status == 1 and failed == len(outcome.failures)
        self.failures += [Failure(stage, failure, complete) for failure in outcome.failures]

    def forgive(self, failure: Failure) -> None:
        """Count a failed test as passed, because it passed alone; the summary names it."""
        self.failures.remove(failure)
        self.unstable.append(failure)
        self.passed, self.failed = self.passed + 1, self.failed - 1

    def summary(self) -> str:
        """A line per stage and per failed test; the last line is the one that CI reads."""
        named = [f"FAILED {failure}" for failure in self.failures]
        unstable = [f"UNSTABLE, passed when run again alone: {failure}" for failure in self.unstable]
        skipped = [f"{self.skipped} skipped"] if self.skipped else []
        return "\n".join([*self.lines, *named, *unstable, *skipped, f"{self.passed} passed, {self.failed} failed"])


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


async def give_a_second_run(tally: Tally, of: Collection[Stage]) -> None:
    """Run the failed tests *of* stages that allow it once more, alone, when they are few.

    Two lanes of real programs share two cores: a test that met its time limit there and keeps its sentence alone is named in
    the summary, and does not fail the run. More than MOST_UNSTABLE failures are no accident.
    """
    failures = [failure for failure in tally.failures if failure.stage in of]
    if len(tally.failures) + len(tally.unstable) > MOST_UNSTABLE:
        return
    for failure in failures:
        if not (failure.stage.again and failure.complete):
            continue
        alone = replace(
            failure.stage,
            name=f"again {failure.test.node}",
            command=(*failure.stage.again, failure.test.node),
            report=None,
            limit_seconds=SECOND_RUN_SECONDS,
            again=(),
        )
        if await run(alone, Tally()):
            tally.forgive(failure)


def python(*arguments: str) -> tuple[str, ...]:
    """A command of this interpreter."""
    return (sys.executable, *arguments)
