"""The load generator's arithmetic."""

import pytest

from samples.app.load import Record, failure


def record(ends: list[float], failures: list[float]) -> Record:
    return Record(len(ends) + len(failures), [(end, 0.001) for end in ends], [(at, "why") for at in failures])


def test_recovery_is_the_longest_time_from_a_failure_to_the_next_answer() -> None:
    assert record([1.0, 2.0, 5.0], [1.5, 2.1, 2.2]).recovery_seconds() == 5.0 - 2.1


def test_no_failure_is_no_recovery() -> None:
    assert record([1.0], []).summary()["recovery_ms"] == 0.0


def test_a_failure_that_nothing_follows_is_never_recovered() -> None:
    assert record([1.0], [2.0]).summary()["recovery_ms"] is None


def test_the_summary_counts_reasons() -> None:
    summary = record([1.0, 2.0], [3.0, 4.0]).summary()
    assert (summary["sent"], summary["ok"], summary["failed"]) == (4, 2, 2)
    assert summary["reasons"] == {"why": 2}
    assert summary["latency_ms"]["p99"] == 1.0


@pytest.mark.parametrize(
    ("status", "report", "reason"),
    [
        (200, {}, ""),
        (200, {"pod": "a"}, ""),
        (302, {"called": {"status": 200}}, ""),
        (503, {}, "status 503"),
        (200, {"called": {"status": 502}}, "called: status 502"),
        (200, {"called": {"status": 0, "error": "reset"}}, "called: reset"),
    ],
)
def test_an_answer_fails_by_its_status_or_by_that_of_the_call_behind_it(
    status: int, report: dict[str, object], reason: str
) -> None:
    assert failure(status, report) == reason
