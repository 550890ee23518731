"""What became of each policy: for its status conditions, and for whoever checks policies before they are deployed."""

from dataclasses import dataclass
from typing import NamedTuple


class PolicyKey(NamedTuple):
    """The object that asks for something."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """Whether a policy is applied as written (contract 7.conditions).

    ``reason`` is a word for programs, that of the finding which refuses it, or ``Valid``; ``message`` is for people.
    ``groups`` are the sidecar groups whose documents carry it. ``generation`` is that of the object that was read.
    """

    accepted: bool
    reason: str
    message: str
    groups: frozenset[str] = frozenset()
    generation: int = 0
