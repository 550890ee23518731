"""Patterns of policies: PCRE2 on bytes, searched, case-sensitive, in bounded time (contract 7.searches).

The data plane compiles the same patterns with the same library.
"""

from functools import lru_cache
from typing import Final

import pcre2

from mesh.api.patterns import LONGEST_BYTES, compile_pattern

MATCH_LIMIT: Final = 10_000
"""Steps of one search from one place of the text; the data plane gives up as soon."""
MATCH_LIMIT_ALL: Final = 10_000_000
"""Steps from all places of the text together: PCRE2 counts from each of them anew."""


class InvalidPatternError(ValueError):
    """The pattern cannot be used; the message says why and where."""


def is_found(pattern: str, text: bytes) -> bool | None:
    """Search for *pattern* in *text*. None: not known, the search took more steps than it may.

    Raises InvalidPatternError.
    """
    try:
        return _compiled(pattern, _steps(pattern, text)).search(text) is not None
    except pcre2.LibraryError:
        return None


def _steps(pattern: str, text: bytes) -> int:
    """One that is anchored at its beginning is searched from there alone."""
    if pattern.startswith("^") and "|" not in pattern:
        return MATCH_LIMIT
    return min(MATCH_LIMIT, MATCH_LIMIT_ALL // (len(text) + 1))


@lru_cache(maxsize=4096)
def _compiled(pattern: str, steps: int = MATCH_LIMIT) -> pcre2.Pattern:
    text = pattern.encode()
    if len(text) > LONGEST_BYTES:
        raise InvalidPatternError(f"has {len(text)} bytes, takes at most {LONGEST_BYTES}")
    try:
        compile_pattern(text)  # where it is wrong is told in the pattern as it was written
        return compile_pattern(b"(*LIMIT_MATCH=%d)" % steps + text)
    except pcre2.PatternError as error:
        raise InvalidPatternError(str(error)) from error
