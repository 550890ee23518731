"""What makes one list of rows another: places, and the rows that come there. Both sides of a delta count the same way."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mesh.model.document_fields import invalid

Row = TypeVar("Row", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Edit(Generic[Row]):
    """Instead of ``removed`` rows at ``at``, counted in the list before, stand ``rows``."""

    at: int
    removed: int
    rows: tuple[Row, ...]


def edits_between(before: Sequence[Row], after: Sequence[Row]) -> list[Edit[Row]]:
    """Give the edits that make *after* of *before*, in order of place.

    Few where rows came, went or changed and the others kept their order, as in canonical documents; one for everything
    between the first and the last difference where they did not.
    """
    if before == after:
        return []
    start, end = 0, min(len(before), len(after))
    while start < end and before[start] == after[start]:
        start += 1
    tail = 0
    while tail < end - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old, new = before[start : len(before) - tail], after[start : len(after) - tail]
    return _in_order(old, new, start) or [Edit(start, len(old), tuple(new))]


def apply_edits(place: str, before: Sequence[Row], edits: Sequence[Edit[Row]]) -> tuple[Row, ...]:
    """Make the edits. Raises InvalidInputError, naming *place*, for one that is out of order or reach."""
    rows: list[Row] = []
    done = 0
    for edit in edits:
        if not done <= edit.at <= edit.at + edit.removed <= len(before):
            raise invalid(place, f"{edit.removed} rows at {edit.at}", f"places from {done} to {len(before)}")
        rows += [*before[done : edit.at], *edit.rows]
        done = edit.at + edit.removed
    return (*rows, *before[done:])


def _in_order(old: Sequence[Row], new: Sequence[Row], start: int) -> list[Edit[Row]]:
    """Walk both lists side by side; nothing when what they share is not in the same order in both."""
    kept = set(old) & set(new)
    edits: list[Edit[Row]] = []
    here = there = 0
    while here < len(old) or there < len(new):
        at, arrived = here, there
        while here < len(old) and old[here] not in kept:
            here += 1
        while there < len(new) and new[there] not in kept:
            there += 1
        if (here, there) != (at, arrived):
            edits.append(Edit(start + at, here - at, tuple(new[arrived:there])))
        if here < len(old) and there < len(new) and old[here] == new[there]:
            here, there = here + 1, there + 1
        elif here < len(old) or there < len(new):
            return []
    return edits
