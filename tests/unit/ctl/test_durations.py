"""Durations on meshctl's command line."""

import pytest

from mesh.ctl.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("1m30s", 90), ("1.5h", 5400), ("500ms", 0.5), ("7", 7), ("0s", 0), ("2m", 120)]
)
def test_durations_are_read_as_nginx_meshctl_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "5 s", "-1s", "5d", "1s2", "٣s"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="takes a duration such as 5s"):
        parse_duration(text)
