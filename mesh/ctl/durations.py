"""Durations as nginx-meshctl takes them: ``5s``, ``1m30s``, ``1.5h``, ``500ms``; a bare number is seconds."""

import re
from typing import Final

import click

_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def parse_duration(text: str) -> float:
    """Return *text* in seconds. Raises ValueError."""
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _WHOLE.fullmatch(text):
        raise ValueError(f'got "{text}", takes a duration such as 5s, 1m30s or 500ms')
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text))


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION: Final = _Duration()
