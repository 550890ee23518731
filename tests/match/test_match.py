"""Matches of route groups: what fits, what does not, and what no pattern can do to a worker (contract 7.match)."""

import re

import pytest

from tests.match.matcher import FITS, FITS_NOT, GIVEN_UP, Matcher
from tests.nginx.documents import Document, Match, escaped

pytestmark = pytest.mark.spec("7.match")
# Far more often than a pattern is searched before it becomes machine code.
OFTEN = 40


def fits(matcher: Matcher, pattern: str | bytes, path: bytes) -> bool:
    """Whether a path fits a pattern, the first time and every time."""
    document = Document()
    document.matches(Match(escaped(pattern)))
    assert matcher.read(document.render()) == ""
    [result] = {matcher.match(0, path) for _ in range(OFTEN)}
    assert result in (FITS, FITS_NOT)
    return result == FITS


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/shop", b"/the/shop/cart"),
        ("^/shop/", b"/shop/"),
        ("^/shop", b"/shopping"),
        (r"^/v1\.0/", b"/v1.0/x"),
        ("^/shop/*$", b"/shop///"),
        ("^/shops?$", b"/shop"),
        ("^/ab{0,2}c", b"/ac"),
        (r"^/a\E*$", b"/"),
        (r"^/a\Q\E{0}$", b"/"),
        ("^/a(?#none)?$", b"/"),
        ("^/shop/[0-9]+$", b"/shop/42"),
        ("^/a|^/b", b"/b"),
        ("^(/a|/b)", b"/b"),
        ("(?i)^/SHOP", b"/shop"),
        ("^$", b""),
        (b"\xff\xfe", b"/\xff\xfe"),
        ("ü", "/grün".encode()),
        (" ", b"/a b"),
        ("%", b"/100%"),
        ("^-", b"-"),
        ("-", b"/a-b"),
        (r"^/\Qa.b\E", b"/a.b"),
        (r"^/\x41", b"/A"),
    ],
)
def test_patterns_that_fit(matcher: Matcher, pattern: str | bytes, path: bytes) -> None:
    """They are searched in the bytes of the path, anywhere in it."""
    assert fits(matcher, pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/Shop", b"/shop"),
        ("^/shop/", b"/a/shop/"),
        ("^/shop/", b"/shop"),
        (r"^/v1\.0/", b"/v1x0/"),
        ("^/shop+$", b"/sho"),
        ("^/shop$", b"/shop/cart"),
        ("^/ab{2}c", b"/abc"),
        ("^/[^/]+/x$", b"/a/b/x"),
    ],
)
def test_patterns_that_do_not(matcher: Matcher, pattern: str, path: bytes) -> None:
    """Case counts, and anchors do."""
    assert not fits(matcher, pattern, path)


def test_the_bytes_before_the_search_are_what_the_pattern_says(matcher: Matcher) -> None:
    """A shortcut for texts that begin otherwise agrees with Python's own search on patterns that both understand."""
    beginnings = (
        "^/a",
        "^/ab",
        "^/a*",
        "^/a?b",
        "^/a+b",
        "^/a{2}",
        r"^/a\.b",
        r"^/a\/b",
        r"^/a\d",
        "^/a.",
        "^a*?b",
        "^",
    )
    endings = ("", "$", "|/b", "(x|y)", "[b-d]", "b*")
    paths = [
        b"",
        *(bytes(text, "ascii") for text in ("/", "/a", "/ab", "/aa", "/aab", "/a.b", "/a/b", "/a1", "/b", "/ax", "b")),
    ]
    patterns = [beginning + ending for beginning in beginnings for ending in endings]
    document = Document()
    numbers = document.matches(*(Match(escaped(pattern)) for pattern in patterns))
    assert matcher.read(document.render()) == ""
    for number, pattern in zip(numbers, patterns, strict=True):
        for path in paths:
            expected = FITS if re.search(pattern.encode(), path) else FITS_NOT
            assert matcher.match(number, path) == expected, (pattern, path)


def test_all_criteria_must_fit(matcher: Matcher) -> None:
    """Path, method and every header."""
    document = Document()
    document.matches(Match("^/shop", "GET,HEAD", (("x-tenant", "^(red|blue)$"), ("x-any", "-"))), Match())
    assert matcher.read(document.render()) == ""
    headers = {"x-tenant": "red", "x-any": ""}
    assert matcher.match(0, b"/shop", "GET", headers) == FITS
    assert matcher.match(0, b"/shop", "HEAD", headers) == FITS
    assert matcher.match(0, b"/shop", "POST", headers) == FITS_NOT
    assert matcher.match(0, b"/shop", "get", headers) == FITS_NOT
    assert matcher.match(0, b"/other", "GET", headers) == FITS_NOT
    assert matcher.match(0, b"/shop", "GET", {**headers, "x-tenant": "green"}) == FITS_NOT
    assert matcher.match(0, b"/shop", "GET", {"x-tenant": "red"}) == FITS_NOT
    assert matcher.match(1, b"/anything", "BREW") == FITS


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^(a+)+$", b"a" * 8000 + b"?"),
        ("(x+x+)+y", b"x" * 8000 + b"?y"),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", b"a" * 8000),
        (r"^(\w+\s?)*$", b"a" * 8000 + b"?"),
        ("(.*)*(.*)*(.*)*!", b"a" * 8000 + b"\n!"),
        ("^(?:.?){400}b", b"a" * 8000 + b"b"),
        # Some thousand steps from each of many places.
        ("(?:a?){12}[bc]d", b"a" * 30_000 + b"d"),
    ],
)
def test_a_search_without_end_is_given_up(matcher: Matcher, pattern: str, text: bytes) -> None:
    """Interpreted or as machine code; where another criterion does not fit, the match does not."""
    document = Document()
    document.matches(Match(escaped(pattern)))
    document.matches(Match(escaped(pattern), headers=(("x-other", "-"),)))
    assert matcher.read(document.render()) == ""
    assert {matcher.match(0, text) for _ in range(OFTEN)} == {GIVEN_UP}
    assert matcher.match(1, text) == FITS_NOT


def test_a_deep_search_ends_the_same_with_and_without_machine_code(matcher: Matcher) -> None:
    """What the small stack of machine code cannot hold is interpreted."""
    document = Document()
    document.matches(Match(escaped("^(?:a|b)*$")))
    assert matcher.read(document.render()) == ""
    assert {matcher.match(0, b"ab" * 2000) for _ in range(OFTEN)} == {FITS}


def test_a_pattern_is_compiled_once(matcher: Matcher) -> None:
    """The same text in several matches; machine code comes with use, and its size is known."""
    document = Document()
    document.matches(Match("^/a/[0-9]+$"), Match("^/b"), Match("^/a/[0-9]+$", "GET"))
    assert matcher.read(document.render()) == ""
    assert matcher.is_one(0, 2)
    assert not matcher.is_one(0, 1)
    before = matcher.size(0)
    assert 0 < before < 1024
    for _ in range(OFTEN):
        matcher.match(0, b"/a/7")
    assert matcher.size(2) == matcher.size(0) >= before


@pytest.mark.spec("7.unsearchable")
@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["match\t0\t(\t-"], 'state:4: path: got "(", takes a PCRE2 pattern (at 1: missing closing parenthesis)'),
        (["match\t0\t-\t-", "header\t0\tx-a\t["], 'state:5: value: got "[", takes a PCRE2 pattern (at 1: '),
        (["match\t0\t(*UTF)a\t-"], 'state:4: path: got "(*UTF)a", takes a PCRE2 pattern (at '),
        (["match\t0\t^" + "a" * 1024 + "\t-"], "takes at most 1024 bytes"),
    ],
)
def test_a_pattern_that_cannot_be_compiled(matcher: Matcher, lines: list[str], told: str) -> None:
    """It alone is told, as often as it is written; its matches are judged as those whose search is given up, others as ever."""
    document = Document()
    again = lines[0].rpartition("\t")[0].replace("\t0\t", "\t2\t", 1)
    for line in [*lines, "match\t1\t^/good\t-", f"{again}\tPOST"]:
        document.line(line)
    assert matcher.read(document.render()) == ""
    assert told in matcher.wrong()[0]
    assert len(matcher.wrong()) == (1 if len(lines) > 1 else 2)
    assert matcher.match(0, b"a" * 2000, headers={"x-a": "["}) == GIVEN_UP
    assert matcher.match(1, b"/good") == FITS
    assert matcher.match(2, b"/good") == FITS_NOT


@pytest.mark.spec("7.unsearchable")
def test_not_every_pattern_of_a_thousand_is_told(matcher: Matcher) -> None:
    """The first sixteen are, so that a status stays short."""
    document = Document()
    document.matches(*(Match(escaped(f"({number}")) for number in range(1000)))
    assert matcher.read(document.render()) == ""
    assert len(matcher.wrong()) == 16
    assert matcher.match(999) == GIVEN_UP


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["match\t0\t%4\t-"], 'state:4: path: got "%4", takes a pattern with %XX'),
        (["match\t0\ta%GG\t-"], 'state:4: path: got "a%GG", takes a pattern with %XX'),
        (["match\t0\ta b\t-"], 'state:4: path: got "a b", takes a pattern with %XX'),
        (["match\t0\t\t-"], 'state:4: path: got "", takes a pattern with %XX'),
        (["match\t0\t-\tGET,"], 'state:4: methods: got "GET,", takes methods separated by commas, or -'),
        (["match\t0\t-\tG ET"], 'state:4: methods: got "G ET", takes methods'),
        (["match\t0\t-"], 'state:4: line: got "match", takes more fields'),
        (["match\t1\t-\t-"], 'state:4: match: got "1", takes 0..0'),
        (["header\t0\tx-a\t-"], 'state:4: match: got "0", takes the number of a match line above'),
        (["match\t0\t-\t-", "header\t1\tx-a\t-"], 'state:5: match: got "1", takes 0..0'),
        (
            ["match\t0\t-\t-", "header\t0\tX-A\t-"],
            'state:5: header: got "X-A", takes the name of a header in lower case',
        ),
        (["match\t0\t-\t-", "header\t0\tx:a\t-"], 'state:5: header: got "x:a", takes the name'),
        (["policy\t0\tsplits\tshop/a"], 'state:4: policy kind: got "splits", takes split, target, limit, breaker'),
        (["policy\t0\tsplit\tshop"], 'state:4: policy name: got "shop", takes <namespace>/<name>'),
        (["policy\t1\tsplit\tshop/a"], 'state:4: policy: got "1", takes 0..0'),
    ],
)
def test_what_a_line_must_be(matcher: Matcher, lines: list[str], error: str) -> None:
    """The document is refused, and the error names line, field, what was got and what it takes."""
    document = Document()
    for line in lines:
        document.line(line)
    assert error in matcher.read(document.render())


def test_a_newer_agent_may_add_fields(matcher: Matcher) -> None:
    """Further fields are ignored."""
    document = Document().line("policy\t0\tlimit\tshop/a\tmore").line("match\t0\t^/a\tGET\tmore")
    document.line("header\t0\tx-a\t-\tmore")
    assert matcher.read(document.render()) == ""
    assert matcher.match(0, b"/a", "GET", {"x-a": "1"}) == FITS
