"""Waiting in end-to-end tests: for a state that can be seen, with a deadline. Never for time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.2

T = TypeVar("T")


def eventually(check: Callable[[], T], within: float, what: str) -> T:
    """Return the first true value of *check*; AssertionError with its last value when none came in *within* seconds.

    AssertionErrors inside *check* count as "not yet", and the last one is told.
    """
    end = time.monotonic() + within
    last: object = None
    while True:
        try:
            value = check()
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {within} s; last seen: {last}")
        time.sleep(POLL_SECONDS)
