"""Status conditions in Kubernetes' own form, shared by every kind that reports what became of it (contract 7.status)."""

from dataclasses import dataclass
from typing import Final

from mesh.api.schema import member


@dataclass(frozen=True, slots=True)
class Condition:
    """One aspect of an object's state, such as Accepted or Programmed."""

    type: str = member("The aspect, such as Accepted or Programmed.", min_length=1)
    status: str = member("Whether it holds.", choices=("True", "False", "Unknown"))
    reason: str = member("Why, in one word for programs.")
    message: str = member("Why, for people.")
    last_transition_time: str = member("When the status last changed.", date_time=True)
    observed_generation: int | None = member(
        "The generation of the object that this is about.", default=None, minimum=0
    )


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """What became of a traffic policy."""

    conditions: tuple[Condition, ...] = member("The aspects of its state.", default=(), map_key="type")
    observed_generation: int | None = member(
        "The generation of the policy that this is about.", default=None, minimum=0
    )


def _of(condition: str, member_name: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].{member_name}'


# What `kubectl get` shows of a policy beside its own members, and, with `-o wide`, why. No column may be about the items of
# a list: the API server shows the first one alone.
STATE_COLUMNS: Final = (
    ("Accepted", "string", _of("Accepted", "status")),
    ("Programmed", "string", _of("Programmed", "status")),
)
WIDE_STATE_COLUMNS: Final = (
    ("Serving", "string", _of("Programmed", "message")),
    ("Why", "string", _of("Accepted", "message")),
)
