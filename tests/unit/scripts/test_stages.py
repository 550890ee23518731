"""A test run counts what happened, ends what takes too long, and says it in its last line."""

import sys
from pathlib import Path

import pytest

from scripts import stages
from scripts.stages import Stage, Tally

SUITE = """
def test_good(): pass
def test_bad(): assert False
import pytest
@pytest.mark.skip(reason="no")
def test_left_out(): pass
@pytest.fixture
def broken(): raise ValueError
def test_error(broken): pass
"""


async def test_a_pytest_run_is_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Errors of fixtures count as failures; the last line is what CI reads."""
    (tmp_path / "test_some.py").write_text(SUITE)
    report = tmp_path / "report.xml"
    command = stages.python("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", str(tmp_path))
    tally = Tally()
    assert not await stages.run(Stage("some", command, 60, report), tally)
    assert (tally.passed, tally.failed, tally.skipped) == (1, 2, 1)
    assert tally.summary().splitlines()[-1] == "1 passed, 2 failed"
    assert "test_bad" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("program", "limit", "failed", "said"),
    [
        ("pass", 20, 0, "one: ok in "),
        ("import sys; sys.exit(3)", 20, 1, "one: failed (exit status 3) in "),
        ("import time\nwhile True: time.sleep(1)", 0.5, 1, "one: out of time in "),
    ],
)
async def test_other_commands_count_when_they_fail(program: str, limit: float, failed: int, said: str) -> None:
    tally = Tally()
    ok = await stages.run(Stage("one", (sys.executable, "-c", program), limit), tally)
    assert (ok, tally.passed, tally.failed) == (failed == 0, 0, failed)
    assert tally.lines[0].startswith(said)


async def test_a_pytest_that_dies_before_its_report_counts_as_failed(tmp_path: Path) -> None:
    """An old report of the same name must not be taken for the new one."""
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="5" failures="0" errors="0" skipped="0"/></testsuites>')
    tally = Tally()
    await stages.run(Stage("gone", (sys.executable, "-c", "raise SystemExit(4)"), 20, report), tally)
    assert (tally.passed, tally.failed) == (0, 1)
