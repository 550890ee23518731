"""What is said of policies, and when it is said again (contract 7.conditions)."""

from typing import Any

import pytest

from mesh.compiler.outcome import PolicyKey, PolicyOutcome
from mesh.controller import policy_status
from mesh.controller.policy_status import Observed

KEY = PolicyKey("TrafficSplit", "shop", "canary")
EARLY, LATE = "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"
GOOD = PolicyOutcome(True, "Valid", "applied as written", frozenset({"g1", "g2"}), 3)
BAD = PolicyOutcome(False, "SplitCycle", "it leads back to itself", frozenset(), 3)


def rows(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["type"]: row for row in status["conditions"]}


@pytest.mark.spec("7.conditions")
def test_a_policy_says_that_it_is_accepted_and_where_it_is_in_force() -> None:
    """n of m: the sidecars of the groups that carry it, whatever the others do."""
    groups = {"g1": (1, 2), "g2": (3, 3), "other": (0, 9)}
    [row] = policy_status.due({KEY: GOOD}, groups, {KEY: Observed(3, {})}, EARLY)
    assert row.status["observedGeneration"] == 3
    found = rows(row.status)
    assert found["Accepted"] == {
        "type": "Accepted", "status": "True", "reason": "Valid", "message": "applied as written",
        "lastTransitionTime": EARLY, "observedGeneration": 3,
    }  # fmt: skip
    assert (found["Programmed"]["status"], found["Programmed"]["message"]) == ("False", "4 of 5 sidecars")
    status = policy_status.status_of(GOOD, (5, 5), {}, EARLY)
    assert rows(status)["Programmed"]["status"] == "True"


@pytest.mark.spec("7.conditions")
def test_a_refused_policy_says_why_and_is_nowhere_in_force() -> None:
    """Also where no sidecar would have carried it."""
    found = rows(policy_status.status_of(BAD, (0, 0), {}, EARLY))
    assert (found["Accepted"]["status"], found["Accepted"]["reason"]) == ("False", "SplitCycle")
    assert (found["Programmed"]["status"], found["Programmed"]["reason"]) == ("False", "NotAccepted")


@pytest.mark.spec("7.conditions")
def test_nothing_is_written_where_nothing_changes_and_times_are_those_of_transitions() -> None:
    """The same status an hour later is no write; progress keeps the time of the condition that it does not turn."""
    before = policy_status.status_of(GOOD, (0, 5), {}, EARLY)
    assert not policy_status.due({KEY: GOOD}, {"g1": (0, 5)}, {KEY: Observed(3, before)}, LATE)
    [row] = policy_status.due({KEY: GOOD}, {"g1": (4, 5)}, {KEY: Observed(3, before)}, LATE)
    assert rows(row.status)["Programmed"]["lastTransitionTime"] == EARLY
    [row] = policy_status.due({KEY: GOOD}, {"g1": (5, 5)}, {KEY: Observed(3, before)}, LATE)
    assert rows(row.status)["Programmed"]["lastTransitionTime"] == LATE
    assert rows(row.status)["Accepted"]["lastTransitionTime"] == EARLY


@pytest.mark.spec("7.conditions")
def test_what_others_write_into_the_status_is_left_alone() -> None:
    """A condition of somebody else's is no difference."""
    before = policy_status.status_of(GOOD, (5, 5), {}, EARLY)
    theirs = {**before, "conditions": [{"type": "Theirs", "status": "True"}, *before["conditions"]]}
    assert not policy_status.due({KEY: GOOD}, {"g1": (5, 5)}, {KEY: Observed(3, theirs)}, LATE)


@pytest.mark.spec("7.conditions")
def test_a_verdict_about_an_older_generation_is_not_written() -> None:
    """The compiler sees the new one in a moment; nor is anything said of what does not exist."""
    assert not policy_status.due({KEY: GOOD}, {}, {KEY: Observed(4, {})}, EARLY)
    assert not policy_status.due({KEY: GOOD}, {}, {}, EARLY)


@pytest.mark.spec("7.conditions")
def test_verdicts_are_written_before_progress() -> None:
    """Who has just written a policy waits for that, not for the counts of three hundred others."""
    others = {PolicyKey("RateLimit", "shop", f"limit-{number}"): GOOD for number in range(3)}
    before = Observed(3, policy_status.status_of(GOOD, (0, 5), {}, EARLY))
    observed = {KEY: Observed(3, {}), **dict.fromkeys(others, before)}
    found = policy_status.due({**others, KEY: BAD}, {"g1": (4, 5)}, observed, LATE)
    assert [row.key.name for row in found] == ["canary", "limit-0", "limit-1", "limit-2"]
