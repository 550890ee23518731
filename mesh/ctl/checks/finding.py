"""One line of `meshctl check`."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check ended, best first."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: ``cause`` says what is wrong and ``repair`` is the command or the edit that helps."""

    category: str
    subject: str
    level: Level = Level.OK
    cause: str = ""
    repair: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    """Makes the findings of one category, so that a check names only what differs."""

    name: str

    def ok(self, subject: str) -> Finding:
        """The check called *subject* passed."""
        return Finding(self.name, subject)

    def warning(self, subject: str, cause: str, repair: str) -> Finding:
        """The mesh works, but somebody should look."""
        return Finding(self.name, subject, Level.WARNING, cause, repair)

    def failure(self, subject: str, cause: str, repair: str) -> Finding:
        """Something does not work."""
        return Finding(self.name, subject, Level.FAILURE, cause, repair)
