"""The display: honest estimates that follow the pace, and plain lines that do not flood a log."""

import io
import time

import pytest

from embedded.tools.progress import LINK_SHARE, PLAIN_SECONDS, Board, Row, duration


def running(*, seconds: float, expected: int, done: int, took: float, before: int = 0) -> Row:
    row = Row("kube", seconds, expected, before)
    row.start_share = row.share
    row.started, row.done = 1000.0 - took, done
    return row


def test_before_anything_moved_the_measured_time_is_the_estimate() -> None:
    assert running(seconds=240, expected=100, done=0, took=3).left(1000.0) == 240


def test_the_estimate_follows_the_pace() -> None:
    """Half of the packages in 100 s, and linking still to come: as much again for each share."""
    row = running(seconds=60, expected=100, done=50, took=100)
    share = (1 - LINK_SHARE) / 2
    assert row.left(1000.0) == pytest.approx(100 / share * (1 - share))


def test_a_resumed_build_counts_what_was_done_before_but_not_its_time() -> None:
    """80 of 100 packages were there at the start; the 10 since then set the pace."""
    row = running(seconds=60, expected=100, before=80, done=90, took=10)
    share = (1 - LINK_SHARE) * 0.9
    assert row.left(1000.0) == pytest.approx(10 / ((1 - LINK_SHARE) * 0.1) * (1 - share))


def test_more_packages_than_expected_never_pass_the_link_step() -> None:
    assert running(seconds=60, expected=100, done=130, took=10).share == 1 - LINK_SHARE


def test_the_total_counts_each_second_of_the_machine_once() -> None:
    """Two builds side by side at half speed each are as fast as one after the other: nothing is counted twice."""
    board = Board(io.StringIO())
    board.rows = [running(seconds=100, expected=100, done=50, took=2 * 42.5) for _ in range(2)]
    board.rows.append(Row("waits", 60))
    assert board._total(1000.0) == "0 of 3 done, about 2:55 left in all"  # 2 x 57.5 + 60


def test_before_anything_moved_the_total_is_the_measured_sum() -> None:
    board = Board(io.StringIO())
    board.rows = [running(seconds=100, expected=100, done=0, took=5), Row("waits", 60)]
    assert board._total(1000.0) == "0 of 2 done, about 2:40 left in all"


def test_plain_output_is_rate_limited_and_ends_with_the_time_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a terminal: one line at the start, none before 15 s are over, one at the end, no control characters."""
    now = 5000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    output = io.StringIO()
    board = Board(output)
    row = board.add("kube", 240, 2550)
    board.start(row, "compiles")
    for _ in range(10):
        now += PLAIN_SECONDS / 11
        board._say(row)
    assert len(output.getvalue().splitlines()) == 1
    now += PLAIN_SECONDS
    board._say(row)
    board.finish(row, "kubelet v1.36.3")
    first, second, last = output.getvalue().splitlines()
    assert first == (
        "kube: compiles, 0 of about 2550 packages, 0:00 so far, about 4:00 left; 0 of 1 done, about 4:00 left in all"
    )
    assert second.startswith("kube: compiles")
    assert last == "kube: kubelet v1.36.3 in 0:28"
    assert "\x1b" not in output.getvalue()


class Terminal(io.StringIO):
    """A screen, as far as Board knows."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_redrawn_in_place() -> None:
    """Each drawing goes up over the lines of the one before; finished lines are printed above and stay."""
    screen = Terminal()
    board = Board(screen)
    rows = [board.add("kube", 240, 2550), board.add("spire", 360, 2400)]
    for row in rows:
        board.start(row, "compiles")
    board._draw()
    board.finish(rows[0], "kubelet v1.36.3")
    text = screen.getvalue()
    assert "\x1b[3F\x1b[J" in text  # two running rows and the total
    assert text.index("\x1b[3F") < text.index("kube: kubelet v1.36.3 in")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3601, "60:01")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
