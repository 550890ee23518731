"""Durations and sizes as NSM writes them in annotations, MeshConfig and stack settings: text in, numbers out."""

import re
from typing import Final

from mesh.api.errors import InvalidInputError, Problem, quote

CA_TTL_PATTERN: Final = r"^(2[4-9]|[3-9][0-9]|[1-9][0-9]{2,5})h$"
CA_TTL_TAKES: Final = "hours from 24h to 999999h"
SVID_TTL_PATTERN: Final = r"^[1-9][0-9]{0,5}(h|m)$"
SVID_TTL_TAKES: Final = "minutes or hours from 1 to 999999, such as 30m or 1h"
SIZE_PATTERN: Final = r"^[0-9]{1,15}[kKmMgG]?$"
SIZE_TAKES: Final = "a number of bytes, also with k, m or g, such as 64k or 10m; 0 for no limit"
TIMEOUT_TAKES: Final = "milliseconds, seconds or minutes from 1ms to 1440m, such as 500ms, 2s or 1m"

_DURATION = re.compile(r"([0-9]{1,9})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_TIMEOUT = re.compile(r"([1-9][0-9]{0,7})(ms|s|m)")
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000}
_LONGEST_TIMEOUT = 1440 * _MILLISECONDS["m"]
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")
_FLAGS = {"true": True, "false": False}
_BODY_SIZE = re.compile(r"([0-9]{1,15})([kKmMgG]?)")
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_body_size(place: str, text: str) -> int:
    """Read a size such as ``0``, ``64k``, ``10m``, ``1G`` into bytes; 0 means no limit (contract 5.annotations).

    Raises InvalidInputError naming *place*.
    """
    match = _BODY_SIZE.fullmatch(text)
    if not match:
        raise InvalidInputError([Problem(place, quote(text), SIZE_TAKES)])
    number, unit = match.groups()
    return int(number) * _FACTORS[unit.lower()]


def parse_duration(place: str, text: str) -> int:
    """Read a duration of one unit, such as ``30s``, ``15m`` or ``720h``, into seconds.

    Raises InvalidInputError naming *place*.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise InvalidInputError([Problem(place, quote(text), "seconds, minutes or hours such as 30s, 15m, 1h")])
    number, unit = match.groups()
    return int(number) * _SECONDS[unit]


def parse_timeout(place: str, text: str) -> int:
    """Read a time-out of one unit, such as ``500ms``, ``2s`` or ``1m``, into milliseconds, at least 1.

    Raises InvalidInputError naming *place*.
    """
    match = _TIMEOUT.fullmatch(text)
    milliseconds = int(match[1]) * _MILLISECONDS[match[2]] if match else 0
    if not 0 < milliseconds <= _LONGEST_TIMEOUT:
        raise InvalidInputError([Problem(place, quote(text), TIMEOUT_TAKES)])
    return milliseconds


def parse_count(place: str, text: str, highest: int) -> int:
    """Read a whole number from 0 to *highest*, below 100,000. Raises InvalidInputError naming *place*."""
    if not (_NUMBER.fullmatch(text) and int(text) <= highest):
        raise InvalidInputError([Problem(place, quote(text), f"a whole number from 0 to {highest}")])
    return int(text)


def parse_flag(place: str, text: str) -> bool:
    """Read ``true`` or ``false``. Raises InvalidInputError naming *place*."""
    if text not in _FLAGS:
        raise InvalidInputError([Problem(place, quote(text), "true or false")])
    return _FLAGS[text]


def parse_ports(place: str, text: str) -> tuple[int, ...]:
    """Read a list of ports such as ``8080, 9000``: sorted, each once; an empty text is an empty list (contract 5.ports).

    Raises InvalidInputError naming *place* and each wrong item.
    """
    text = text.strip(" ")
    items = [item.strip(" ") for item in text.split(",")] if text else []
    wrong = [item for item in items if not _is_port(item)]
    if wrong:
        takes = "ports from 1 to 65535, separated by commas"
        raise InvalidInputError(Problem(place, f"{quote(item)} in {quote(text)}", takes) for item in wrong)
    return tuple(sorted({int(item) for item in items}))


def go_duration(seconds: int) -> str:
    """Seconds as Go prints them (5400 is ``1h30m0s``), so that a server's echo is no difference."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _is_port(text: str) -> bool:
    # str.isdigit takes digits of every script; int() would then read them.
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535
