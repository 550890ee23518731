"""Read what pytest wrote of a run (JUnit XML): how many tests passed, and which failed."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FailedTest:
    """A test that failed or whose fixture did: the node id that pytest takes, and the first line of why."""

    node: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counts of a run; a test whose teardown failed, too, counts twice in ``failed``, as in pytest's own words."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[FailedTest, ...] = ()


def read(report: Path) -> Outcome:
    """Read *report*; nothing passed or failed where pytest did not come to write it."""
    if not report.exists():
        return Outcome()
    root = ET.parse(report).getroot()
    passed = failed = skipped = 0
    for suite in root.iter("testsuite"):
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        left_out = int(suite.get("skipped", 0))
        passed += int(suite.get("tests", 0)) - bad - left_out
        failed += bad
        skipped += left_out
    return Outcome(passed, failed, skipped, tuple(_failures(root)))


def _failures(root: ET.Element) -> list[FailedTest]:
    found: list[FailedTest] = []
    for case in root.iter("testcase"):
        for fault in (*case.findall("failure"), *case.findall("error")):
            message = (fault.get("message") or "").strip().partition("\n")[0]
            found.append(FailedTest(_node(case), message[:200]))
    return found


def _node(case: ET.Element) -> str:
    """``tests.nginx.test_http`` and ``test_one[a]`` as ``tests/nginx/test_http.py::test_one[a]``; tests are functions here."""
    return f"{(case.get('classname') or '').replace('.', '/')}.py::{case.get('name')}"
