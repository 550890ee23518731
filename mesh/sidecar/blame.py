"""Which object a refused line of the document `state` comes from (docs/reference/nginx-state.md). Pure."""

import re
from collections.abc import Sequence
from typing import Final

_REFUSED: Final = re.compile(r"state:([1-9][0-9]*): ")
_KINDS: Final = {"split": "TrafficSplit", "target": "TrafficTarget", "limit": "RateLimit", "breaker": "CircuitBreaker"}
# Where a line names its policy, and where its upstream.
_POLICY_FIELD: Final = {"policy": 1, "split": 2, "target": 1, "limit": 2, "breaker": 2}
_UPSTREAM_FIELD: Final = {"upstream": 1, "endpoint": 1, "request": 1, "route": 3, "guard": 1, "headless": 3}
_PARTS: Final = {"split_match": "split", "share": "split"} | {
    f"{kind}_{part}": kind for kind in ("target", "limit") for part in ("match", "source", "port", "tcp")
}


def name_objects(document: str, refusals: str) -> str:
    """Give *refusals* (``<file>[:<line>]: <what is wrong>`` each) with the object whose line of *document* is meant.

    What cannot be found is left as it is.
    """
    rows = [line.split("\t") for line in document.splitlines()]
    return "\n".join(_named(rows, refusal) for refusal in refusals.splitlines())


def _named(rows: Sequence[Sequence[str]], refusal: str) -> str:
    found = _REFUSED.match(refusal)
    subject = _subject(rows, int(found[1]) - 1) if found and int(found[1]) <= len(rows) else ""
    return f"{refusal} ({subject})" if subject else refusal


def _subject(rows: Sequence[Sequence[str]], index: int) -> str:
    kind = rows[index][0]
    if kind in {"match", "header"}:
        return _user(rows, _field(rows[index], 1))
    if kind in _PARTS:
        return _subject(rows, max((i for i in range(index) if rows[i][0] == _PARTS[kind]), default=0))
    for name, field in (("policy", _POLICY_FIELD), ("upstream", _UPSTREAM_FIELD)):
        if kind in field:
            number = _field(rows[index], field[kind])
            return next((_words(row) for row in rows if row[0] == name and _field(row, 1) == number), "")
    return ""


def _user(rows: Sequence[Sequence[str]], match: str) -> str:
    """The first policy that has a match among its rules."""
    for index, row in enumerate(rows):
        if row[0] in _PARTS and row[0].endswith("_match") and _field(row, 1) == match:
            return _subject(rows, index)
    return ""


def _words(row: Sequence[str]) -> str:
    if row[0] == "upstream":
        return f"Service {_field(row, 2)}"
    return f"{_KINDS.get(_field(row, 2), 'policy')} {_field(row, 3)}"


def _field(row: Sequence[str], number: int) -> str:
    return row[number] if number < len(row) else ""
