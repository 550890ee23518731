"""Show what is being made, how far it is, how long it took and how long it will take.

A terminal gets one line per running tool, redrawn in place; anything else (CI, a log) gets plain lines, at most one per
tool every 15 s. Estimates start from the measured times in the lock and follow this machine's real pace.
"""

import asyncio
import shutil
import time
from dataclasses import dataclass, field
from typing import TextIO

REDRAW_SECONDS = 0.5
PLAIN_SECONDS = 15.0
LINK_SHARE = 0.15  # of a Go build's time, after the last package is compiled


@dataclass(slots=True)
class Row:
    """One unit of work; ``seconds`` is its expected time alone on the machine that the lock was measured on."""

    name: str
    seconds: float
    expected: int = 0
    done: int = 0
    status: str = "waits for its turn"
    started: float | None = None
    finished: float | None = None
    start_share: float = 0.0
    printed: float = 0.0

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1."""
        if self.finished is not None:
            return 1.0
        return (1 - LINK_SHARE) * min(1.0, self.done / self.expected) if self.expected else 0.0

    @property
    def moved(self) -> bool:
        """Whether enough is done in this run to know its pace."""
        return self.started is not None and self.share - self.start_share >= 0.05

    def left(self, now: float) -> float:
        """Seconds that this row still needs at the pace seen so far."""
        if self.started is None or not self.moved:
            return self.seconds * (1 - self.share)
        return (now - self.started) / (self.share - self.start_share) * (1 - self.share)


@dataclass(slots=True)
class Board:
    """All rows of one run. Rows are changed by their owners; `run` draws until it is cancelled."""

    output: TextIO
    rows: list[Row] = field(default_factory=list)
    _lines: int = 0

    def add(self, name: str, seconds: float, expected: int = 0, done: int = 0) -> Row:
        """A new row, not yet started; *done* of *expected* steps were finished by earlier runs."""
        row = Row(name, seconds, expected, done)
        row.start_share = row.share
        self.rows.append(row)
        return row

    def start(self, row: Row, status: str) -> None:
        """The work of *row* begins now."""
        row.started, row.status = time.monotonic(), status
        self._say(row)

    def finish(self, row: Row, result: str) -> None:
        """*row* is done; its line stays on the screen with the time it took."""
        row.finished = time.monotonic()
        took = row.finished - (row.started if row.started is not None else row.finished)
        self.say(f"{row.name}: {result} in {duration(took)}")

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._clear()
        print(text, file=self.output, flush=True)
        self._draw()

    async def run(self) -> None:
        """Keep the picture fresh."""
        while True:
            await asyncio.sleep(REDRAW_SECONDS)
            if self.output.isatty():
                self._clear()
                self._draw()
            else:
                for row in self.rows:
                    if row.started is not None and row.finished is None:
                        self._say(row)

    def _say(self, row: Row) -> None:
        now = time.monotonic()
        if not self.output.isatty() and now - row.printed >= PLAIN_SECONDS:
            row.printed = now
            print(f"{self._line(row, now)}; {self._total(now)}", file=self.output, flush=True)

    def _line(self, row: Row, now: float) -> str:
        took = now - row.started if row.started is not None else 0.0
        steps = f", {min(row.done, row.expected)} of about {row.expected} packages" if row.expected else ""
        return f"{row.name}: {row.status}{steps}, {duration(took)} so far, about {duration(row.left(now))} left"

    def _total(self, now: float) -> str:
        """What is left of everything: the measured times, corrected by the pace of the rows that have come some way.

        Rows that run side by side share the machine, so that each takes as many times longer as there are of them.
        """
        running = [row for row in self.rows if row.started is not None and row.finished is None]
        paces = [row.left(now) / (row.seconds * (1 - row.share)) for row in running if row.moved]
        pace = sum(paces) / len(paces) / len(running) if paces else 1.0
        left = sum(row.seconds * (1 - row.share) for row in self.rows if row.finished is None)
        finished = sum(row.finished is not None for row in self.rows)
        return f"{finished} of {len(self.rows)} done, about {duration(left * pace)} left in all"

    def _draw(self) -> None:
        if not self.output.isatty():
            return
        now = time.monotonic()
        running = [row for row in self.rows if row.started is not None and row.finished is None]
        lines = [self._line(row, now) for row in running]
        if any(row.finished is None for row in self.rows):
            lines.append(self._total(now))
        width = shutil.get_terminal_size().columns - 1
        self.output.writelines(f"{line[:width]}\n" for line in lines)
        self.output.flush()
        self._lines = len(lines)

    def _clear(self) -> None:
        if self.output.isatty() and self._lines:
            self.output.write(f"\x1b[{self._lines}F\x1b[J")
            self._lines = 0


def duration(seconds: float) -> str:
    """Minutes and seconds, such as 4:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
