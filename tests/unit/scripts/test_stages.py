"""A test run counts what happened, ends what takes too long, and says it in its last line."""

import sys
from pathlib import Path

import pytest

from scripts import stages
from scripts.junit import FailedTest
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


UNSTABLE = """
from pathlib import Path
def test_wrong(): assert False, "never right"
def test_once():
    seen = Path(__file__).with_name("seen")
    had = seen.exists()
    seen.touch()
    assert had, "too slow"
"""


async def _run_and_again(folder: Path, *, again: bool = True) -> Tally:
    (folder / "test_some.py").write_text(UNSTABLE)
    command = stages.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder))
    report = folder / "report.xml"
    here = f"import os, sys; os.chdir({str(folder)!r}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    in_folder = stages.python("-c", here, *command[1:])
    stage = Stage("some", (*in_folder, f"--junitxml={report}"), 60, report, again=in_folder if again else ())
    tally = Tally()
    await stages.run(stage, tally)
    await stages.give_a_second_run(tally, [stage])
    return tally


async def test_a_failed_test_that_passes_alone_is_named_and_does_not_fail_the_run(tmp_path: Path) -> None:
    tally = await _run_and_again(tmp_path)
    assert (tally.passed, tally.failed) == (1, 1)
    *_, failed, unstable, last = tally.summary().splitlines()
    assert failed.startswith("FAILED test_some.py::test_wrong: AssertionError: never right")
    assert unstable.startswith(
        "UNSTABLE, passed when run again alone: test_some.py::test_once: AssertionError: too slow"
    )
    assert last == "1 passed, 1 failed"


async def test_a_stage_that_allows_no_second_run_gets_none(tmp_path: Path) -> None:
    tally = await _run_and_again(tmp_path, again=False)
    assert (tally.passed, tally.failed, tally.unstable) == (0, 2, [])


async def test_many_failures_are_no_accident() -> None:
    stage = Stage("some", stages.python("-c", "raise SystemExit(1)"), 20, again=stages.python("-c", "pass"))
    tally = Tally(failed=4)
    tally.failures = [stages.Failure(stage, FailedTest(f"t.py::test_{n}", "no"), complete=True) for n in range(4)]
    await stages.give_a_second_run(tally, [stage])
    assert (tally.failed, tally.unstable) == (4, [])
