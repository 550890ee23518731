"""Durations and sizes of annotations, MeshConfig and stack settings."""

import re

import pytest

from mesh.api import quantities
from mesh.api.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "expected"), [("0", 0), ("64k", 65536), ("10m", 10485760), ("1G", 1 << 30), ("7", 7), ("2K", 2048)]
)
def test_a_size_is_read_in_bytes(text: str, expected: int) -> None:
    assert quantities.parse_body_size("here", text) == expected
    assert re.fullmatch(quantities.SIZE_PATTERN, text)


@pytest.mark.parametrize("text", ["", "k", "1.5m", "-1", "10 m", "1mb", "1m\n", "٣"])
def test_a_bad_size_names_its_place(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        quantities.parse_body_size("the place", text)
    assert [problem.place for problem in caught.value.problems] == ["the place"]


@pytest.mark.parametrize(("text", "expected"), [("1h", 3600), ("720h", 2592000), ("90m", 5400), ("0s", 0), ("15s", 15)])
def test_a_duration_is_read_in_seconds(text: str, expected: int) -> None:
    assert quantities.parse_duration("here", text) == expected


@pytest.mark.parametrize("text", ["", "1", "h", "1h30m", "1.5h", "-1h", "1d", "1h "])
def test_a_bad_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        quantities.parse_duration("here", text)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0s"), (59, "59s"), (60, "1m0s"), (3600, "1h0m0s"), (5400, "1h30m0s"), (90061, "25h1m1s")],
)
def test_a_duration_is_written_as_go_prints_it(seconds: int, expected: str) -> None:
    assert quantities.go_duration(seconds) == expected


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("23h", False), ("24h", True), ("29h", True), ("30h", True), ("99h", True), ("100h", True), ("720h", True),
        ("999999h", True), ("1000000h", False), ("024h", False), ("24", False), ("1440m", False), ("x24h", False),
        ("24hx", False), ("1h", False), ("9h", False),
    ],
)  # fmt: skip
def test_the_life_of_an_authority_is_24_to_999999_hours(text: str, accepted: bool) -> None:
    """NSM's own pattern is not anchored as a whole and lets ``x24h`` and ``9h`` pass; this one must not."""
    assert bool(re.search(quantities.CA_TTL_PATTERN, text)) is accepted


@pytest.mark.spec("6.requests")
@pytest.mark.parametrize(
    ("text", "expected"), [("1ms", 1), ("500ms", 500), ("2s", 2000), ("1m", 60_000), ("1440m", 86_400_000)]
)
def test_a_time_out_is_read_in_milliseconds(text: str, expected: int) -> None:
    assert quantities.parse_timeout("here", text) == expected


@pytest.mark.spec("6.requests")
@pytest.mark.parametrize(
    "text", ["", "0", "0s", "5", "1.5s", "-1s", "1 s", "1s ", "1h", "1M", "01s", "1441m", "99999999m", "٣s"]
)
def test_a_bad_time_out_names_its_place_and_what_it_takes(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"the place: got .* takes milliseconds, seconds or minutes"):
        quantities.parse_timeout("the place", text)


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("7", 7), ("10", 10)])
def test_a_count_is_a_whole_number(text: str, expected: int) -> None:
    assert quantities.parse_count("here", text, 10) == expected


@pytest.mark.parametrize("text", ["", "11", "-1", "1.0", "1e0", "+1", "01", " 1", "٣", "1" * 9])
def test_a_bad_count_says_the_highest(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"the place: got .* takes a whole number from 0 to 10"):
        quantities.parse_count("the place", text, 10)


@pytest.mark.spec("5.ports")
@pytest.mark.parametrize(
    ("text", "expected"), [("", ()), (" ", ()), ("80", (80,)), ("9000, 80,80", (80, 9000)), ("1,65535", (1, 65535))]
)
def test_a_list_of_ports_is_sorted_and_holds_each_once(text: str, expected: tuple[int, ...]) -> None:
    assert quantities.parse_ports("here", text) == expected


@pytest.mark.spec("5.ports")
@pytest.mark.parametrize("item", ["0", "65536", "x", "1e3", "٨٠", "-1", "8 0", "123456"])
def test_each_wrong_port_of_a_list_is_named(item: str) -> None:
    """With the whole list, so that the place of the fault is seen."""
    with pytest.raises(InvalidInputError) as caught:
        quantities.parse_ports("the place", f"80,{item},,443")
    assert [problem.got for problem in caught.value.problems] == [
        f'"{item}" in "80,{item},,443"',
        f'"" in "80,{item},,443"',
    ]
