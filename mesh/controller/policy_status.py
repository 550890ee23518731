"""The status conditions of policies, from what the compiler made of them and what sidecars report (contract 7.conditions).

Pure: the time is an argument. ``Accepted`` says whether a policy is applied as written; ``Programmed`` how many of the
sidecars whose documents carry it serve the newest one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mesh.compiler.outcome import PolicyKey, PolicyOutcome

ACCEPTED: Final = "Accepted"
PROGRAMMED: Final = "Programmed"
_MESSAGE_LIMIT: Final = 1000

Status = dict[str, Any]
# Sidecars of a group that serve its newest document, and all of them.
Counts = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Observed:
    """What the API server has of a policy: its generation, and the status that was written last."""

    generation: int
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Due:
    """A status to be written. Those are urgent that change what somebody wrote or reads of the policy itself."""

    key: PolicyKey
    status: Status
    is_urgent: bool


def due(
    outcomes: Mapping[PolicyKey, PolicyOutcome],
    groups: Mapping[str, Counts],
    observed: Mapping[PolicyKey, Observed],
    now: str,
) -> list[Due]:
    """Give the statuses that differ from what the API server has, the urgent ones first.

    A policy that the compiler has not seen, or not in its newest generation, is left for the next time.
    """
    counts: dict[frozenset[str], Counts] = {}
    found = []
    for key, outcome in outcomes.items():
        seen = observed.get(key)
        if seen is None or outcome.generation < seen.generation:
            continue
        if outcome.groups not in counts:
            counts[outcome.groups] = _sum(outcome.groups, groups)
        status = status_of(outcome, counts[outcome.groups], seen.status, now)
        if status != _ours(seen.status):
            found.append(Due(key, status, _accepted(status) != _accepted(seen.status)))
    return sorted(found, key=lambda row: (not row.is_urgent, row.key))


def status_of(outcome: PolicyOutcome, counts: Counts, before: Mapping[str, Any], now: str) -> Status:
    """The status of one policy; a condition whose status is that of *before* keeps the time of its last transition."""
    synced, total = counts
    programmed = "NotAccepted" if not outcome.accepted else "Synced" if synced == total else "Pending"
    facts = (
        (ACCEPTED, outcome.accepted, outcome.reason, outcome.message or "applied as written"),
        (PROGRAMMED, programmed == "Synced", programmed, f"{synced} of {total} sidecars"),
    )
    rows = {row.get("type"): row for row in before.get("conditions") or ()}
    return {
        "conditions": [_condition(*row, outcome.generation, rows.get(row[0]), now) for row in facts],
        "observedGeneration": outcome.generation,
    }


def _condition(
    kind: str, holds: bool, reason: str, message: str, generation: int, before: Mapping[str, Any] | None, now: str
) -> Status:
    status = "True" if holds else "False"
    is_same = before is not None and before.get("status") == status
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message if len(message) <= _MESSAGE_LIMIT else message[: _MESSAGE_LIMIT - 3] + "...",
        "lastTransitionTime": before.get("lastTransitionTime", now) if before and is_same else now,
        "observedGeneration": generation,
    }


def _ours(status: Mapping[str, Any]) -> Status:
    """The part of a status that is written here, in the order in which it is."""
    rows = {row.get("type"): row for row in status.get("conditions") or ()}
    return {
        "conditions": [rows[kind] for kind in (ACCEPTED, PROGRAMMED) if kind in rows],
        "observedGeneration": status.get("observedGeneration"),
    }


def _accepted(status: Mapping[str, Any]) -> Sequence[Any]:
    return [
        {name: value for name, value in row.items() if name != "lastTransitionTime"}
        for row in status.get("conditions") or ()
        if row.get("type") == ACCEPTED
    ]


def _sum(groups: Iterable[str], counts: Mapping[str, Counts]) -> Counts:
    rows = [counts[group] for group in groups if group in counts]
    return sum(row[0] for row in rows), sum(row[1] for row in rows)
