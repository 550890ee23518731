"""Does a request fit a match of a route group (contract 7.match)?"""

from collections.abc import Iterable

from mesh.decide.regex import is_found
from mesh.decide.request import Request
from mesh.model.policy import HttpMatch


def fits(match: HttpMatch, request: Request) -> bool | None:
    """Whether *request* meets every criterion; None when a search was given up and nothing else speaks against it."""
    if match.methods and request.method not in match.methods:
        return False
    found: list[bool | None] = [is_found(match.path, request.path)] if match.path else []
    for name, pattern in match.headers:
        value = request.header(name)
        found.append(value is not None and (not pattern or is_found(pattern, value)))
    if False in found:
        return False
    return None if None in found else True


def first_fit(matches: Iterable[HttpMatch], request: Request, *, unknown: bool = False) -> int | None:
    """Return the position of the first match that *request* fits; *unknown* is what a search that was given up means."""
    for position, match in enumerate(matches):
        is_fit = fits(match, request)
        if unknown if is_fit is None else is_fit:
            return position
    return None
