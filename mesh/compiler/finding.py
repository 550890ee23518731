"""What the compiler has to tell people: something was accepted, but cannot be done as written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One message about one object; ``reason`` is a word for programs, as Kubernetes events have it."""

    kind: str
    namespace: str
    name: str
    reason: str
    message: str
