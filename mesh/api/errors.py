"""What is wrong with an input: where, what was got, what is taken, what to do. Collected, then raised once."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one field.

    ``place`` is a path such as ``spec.mtls.mode`` or ``annotation config.nsm.nginx.com/mtls-mode``; ``got`` is the
    offending value as text (never a secret); ``takes`` says which values are accepted; ``remedy`` is optional.
    """

    place: str
    got: str
    takes: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.place}: got {self.got}, takes {self.takes}"
        return f"{text}; {self.remedy}" if self.remedy else text


class InvalidInputError(ValueError):
    """Raised by every ``parse_`` function of this project, with all problems of the document at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def quote(value: object) -> str:
    """Show a value in an error message: text in double quotes, anything else as it prints; long values are cut."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
