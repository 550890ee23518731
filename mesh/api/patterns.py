"""Regular expressions of route groups: PCRE2 over bytes, as NGINX matches them (contract 7.routes).

A pattern that passes here compiles in the sidecar. How long one may run is the sidecar's business: it stops at a limit
of steps, so that no pattern needs to be refused for the time that it might take.
"""

import re
from collections.abc import Iterator
from typing import Final

import pcre2
from pcre2 import _cy as library

from mesh.api.errors import Problem, quote

ANY: Final = "*"
LONGEST_BYTES: Final = 1024
PATTERN_TAKES: Final = f'a regular expression (PCRE) of at most {LONGEST_BYTES} bytes, or "*" alone for anything'


# Groups that a subroutine call returns, and searches within groups: this library is newer than that of sidecars, which
# would refuse the whole configuration for a pattern that they cannot compile.
_NEWER: Final = re.compile(r"\(\?(?:R|[+-]?[0-9]+|&\w+|P>\w+)\(|\(\*(?:scs|scan_substring):")
# pcre2.compile() reads \u and \x as JavaScript does, and takes (*UTF); sidecars do neither.
_NEVER_UTF: Final = 0x00001000
_ALT_BSUX: Final = 0x00000002


def compile_pattern(pattern: bytes) -> pcre2.Pattern:
    """Compile *pattern* as sidecars do. Raises pcre2.PatternError."""
    return pcre2.Pattern(library.compile(pattern, _NEVER_UTF, _ALT_BSUX), pattern, 0, jit=False, callout=None)


def pattern_problems(place: str, text: str) -> Iterator[Problem]:
    """A check of ``schema.member``: why *text* is no pattern of the dialect."""
    if text in {"", ANY}:
        return
    try:
        pattern = text.encode()
    except UnicodeEncodeError:
        yield Problem(place, "text that is no Unicode", PATTERN_TAKES)
        return
    if len(pattern) > LONGEST_BYTES:
        yield Problem(place, f"{quote(text)} of {len(pattern)} bytes", PATTERN_TAKES)
        return
    # Verbs in front of a pattern change the engine: (*UTF) would make a path that is no UTF-8 an error.
    if text.startswith("(*") and text[2:3].isupper():
        yield Problem(place, quote(text), PATTERN_TAKES, "leave out the verb at its start")
        return
    if _NEWER.search(text):
        yield Problem(place, quote(text), PATTERN_TAKES, "leave out what PCRE2 has had since version 10.45")
        return
    try:
        compile_pattern(pattern)
    except pcre2.PatternError as error:
        yield Problem(place, quote(text), PATTERN_TAKES, str(error))
