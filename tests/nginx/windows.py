"""Times of requests in windows of two kinds that take turns, and how one kind compares with the other. Pure."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.nginx.open_loop import Request

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Window:
    """A stretch of time, in seconds since 1970; *is_quiet*: nothing but the requests happened in it."""

    is_quiet: bool
    start: float
    end: float


def turns(pairs: int) -> Iterator[bool]:
    """Whether each window is a quiet one: quiet, other, other, quiet, and so on, so that drift hits both kinds alike."""
    for number in range(2 * pairs):
        yield number % 4 in {0, 3}


def percentiles(seconds: Sequence[float]) -> tuple[float, ...]:
    """PERCENTILES in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return tuple(cuts[percentile - 1] * 1000 for percentile in PERCENTILES)


def within(requests: Iterable[Request], window: Window) -> list[float]:
    """How long the requests took that were sent in *window*."""
    return [request.seconds for request in requests if window.start <= request.sent < window.end]


@dataclass(frozen=True)
class Comparison:
    """Median percentiles of each kind of window, in milliseconds, and the median ratio of neighbours."""

    quiet: tuple[float, ...]
    other: tuple[float, ...]
    ratio: tuple[float, ...]
    spread: tuple[float, float]
    """Smallest and largest ratio of the last percentile."""

    def __str__(self) -> str:
        rows = [("quiet, ms", self.quiet), ("changes, ms", self.other), ("ratio", self.ratio)]
        named = "".join(f"{f'p{percentile}':>8}" for percentile in PERCENTILES)
        lines = [f"  {name:12}" + "".join(f"{value:8.2f}" for value in values) for name, values in rows]
        lines[-1] += f"   p{PERCENTILES[-1]} of a pair: {self.spread[0]:.2f} to {self.spread[1]:.2f}"
        return "\n".join([f"  {'':12}{named}", *lines])


def compare(requests: Sequence[Request], windows: Sequence[Window]) -> Comparison:
    """Each window with its neighbour of the other kind."""
    found = [(window.is_quiet, percentiles(within(requests, window))) for window in windows]
    pairs = [dict(found[number : number + 2]) for number in range(0, len(found), 2)]
    ratios = [tuple(other / quiet for other, quiet in zip(pair[False], pair[True], strict=True)) for pair in pairs]
    return Comparison(
        _medians(pair[True] for pair in pairs),
        _medians(pair[False] for pair in pairs),
        _medians(ratios),
        (min(ratio[-1] for ratio in ratios), max(ratio[-1] for ratio in ratios)),
    )


def _medians(rows: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(statistics.median(column) for column in zip(*rows, strict=True))
