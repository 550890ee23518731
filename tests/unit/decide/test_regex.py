"""Patterns are PCRE2 on bytes and take bounded time."""

import pytest

from mesh.api.patterns import LONGEST_BYTES
from mesh.decide.regex import InvalidPatternError, is_found

pytestmark = pytest.mark.spec("7.searches")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("min", b"/admin/x", True),
        ("^min", b"/admin", False),
        ("ADMIN", b"/admin", False),
        ("(?i)ADMIN", b"/admin", True),
        ("^/a(?!b)", b"/ab", False),
        (r"^/\d+$", b"/12", True),
        (r"^/\x{41}\x42$", b"/AB", True),
        ("^..$", "é".encode(), True),
        ("^/é$", "/é".encode(), True),
        (r"^\w$", b"\xe9", False),
        ("", b"", True),
    ],
)
def test_is_searched_in_bytes_and_case_counts(pattern: str, text: bytes, found: bool) -> None:
    assert is_found(pattern, text) is found


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a|a?)+$", "(.*a){20}$"])
def test_a_catastrophic_pattern_is_given_up(pattern: str) -> None:
    assert is_found(pattern, b"a" * 60 + b"!") is None


def test_places_of_a_long_text_share_the_steps() -> None:
    """PCRE2 counts from each place anew; a short text may take as many steps from each."""
    assert is_found("(?:a?){12}[bc]d", b"a" * 600 + b"d") is False
    assert is_found("(?:a?){12}[bc]d", b"a" * 6000 + b"d") is None


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "at position 1"),
        ("*", "at position 1"),
        ("(*UTF)a", "UTF"),
        (r"\u0041", "position 2"),
        (r"a\Cb", "disabled"),
        ("a" * (LONGEST_BYTES + 1), "takes at most 1024"),
        ("é" * (LONGEST_BYTES // 2 + 1), "has 1026 bytes"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(pattern: str, said: str) -> None:
    with pytest.raises(InvalidPatternError, match=said):
        is_found(pattern, b"")


def test_the_longest_pattern_is_taken() -> None:
    assert is_found("a" * LONGEST_BYTES, b"") is False
