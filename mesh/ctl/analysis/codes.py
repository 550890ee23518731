"""A stable code for every reason that the compiler gives; each has a page docs/analyze/<code>.md (contract 10.analyze).

Codes are never used again for something else. The first two digits are the area: 00 all policies, 01 splits, 02 routes,
03 access, 04 rate limits, 05 circuit breakers, 06 what policies point at, 07 Services and pods.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mesh.compiler import access, book, breakers, limits, routes, splits

PAGES: Final = "docs/analyze"


class Level(StrEnum):
    """How bad a finding is, as SARIF names it: an error is not applied, or lets in or keeps out what it should not."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding."""

    number: str
    reason: str
    level: Level
    title: str

    @property
    def page(self) -> str:
        """Where it is explained, from the root of the repository."""
        return f"{PAGES}/{self.number}.md"


_WARNING, _ERROR = Level.WARNING, Level.ERROR
CODES: Final = (
    Code("NSM0001", book.INVALID, _ERROR, "A policy that no parser takes"),
    Code("NSM0101", splits.BACKEND_MISSING, _WARNING, "A split's backend, or its port, does not exist"),
    Code("NSM0102", splits.BACKEND_EMPTY, _WARNING, "A split's backend has no endpoint"),
    Code("NSM0103", splits.CYCLE, _ERROR, "Splits lead back to where they begin"),
    Code("NSM0104", splits.CONFLICT, _ERROR, "Two splits divide all requests to one Service"),
    Code("NSM0105", splits.NOT_HTTP, _WARNING, "A split with matches on a port that is not HTTP"),
    Code("NSM0201", routes.GROUP_MISSING, _ERROR, "A policy names a route object that does not exist"),
    Code("NSM0202", routes.MATCH_MISSING, _ERROR, "A policy names a match that its route group does not have"),
    Code("NSM0301", access.WITHOUT_SOURCES, _WARNING, "A TrafficTarget without sources allows nobody"),
    Code("NSM0401", limits.UPSERT_FAILED, _ERROR, "Two rate limits for one source and destination"),
    Code("NSM0402", limits.SOURCE_MISSING, _WARNING, "A rate limit's source has no injected pod"),
    Code("NSM0403", limits.DESTINATION_MISSING, _WARNING, "A rate limit's destination has no injected pod"),
    Code("NSM0501", breakers.FALLBACK_INVALID, _ERROR, "A circuit breaker's fallback cannot take over"),
    Code("NSM0502", breakers.NEVER_OPENS, _WARNING, "A circuit breaker that never opens"),
    Code("NSM0503", breakers.CONFLICT, _ERROR, "Two circuit breakers for one Service"),
    Code("NSM0601", book.DESTINATION_MISSING, _ERROR, "The Service that a policy is about does not exist"),
    Code("NSM0701", "ProtocolConflict", _WARNING, "Services disagree about what a pod's port speaks"),
    Code("NSM0702", "InvalidAnnotation", _ERROR, "An annotation that cannot be read"),
    Code("NSM0703", "AnnotationWithoutEffect", _WARNING, "An annotation that can do nothing"),
)
BY_REASON: Final = {code.reason: code for code in CODES}
