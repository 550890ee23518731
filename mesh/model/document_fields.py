"""Reading single values of a document from the bus: each gives the value or raises InvalidInputError with its place."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from mesh.api.errors import InvalidInputError, Problem, quote

Choice = TypeVar("Choice", bound=StrEnum)
LARGE: Final = (1 << 31) - 1


def read_object(place: str, value: object) -> Mapping[str, Any]:
    """Take an object."""
    if not isinstance(value, dict):
        raise invalid(place, value, "an object")
    return value


def read_rows(key: str, parent: Mapping[str, Any]) -> list[Any]:
    """Take the list under *key* of an object, empty when it is absent."""
    return read_list(key, parent.get(key, []))


def read_list(place: str, value: object) -> list[Any]:
    """Take a list."""
    if not isinstance(value, list):
        raise invalid(place, value, "a list")
    return value


def read_row(place: str, value: object, length: int) -> list[Any]:
    """Take a list that has at least *length* items."""
    if not isinstance(value, list) or len(value) < length:
        raise invalid(place, value, f"a list of at least {length} items")
    return value


def read_text(place: str, value: object) -> str:
    """Take printable ASCII."""
    # Names, addresses and modes end up in NGINX's tab-separated state: a control character would forge a line there.
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise invalid(place, value, "printable ASCII text")
    return value


def read_boolean(place: str, value: object) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise invalid(place, value, "true or false")
    return value


def read_port(place: str, value: object) -> int:
    """Take a port."""
    return read_number(place, value, 1, 65535)


def read_number(place: str, value: object, lowest: int, highest: int) -> int:
    """Take a whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise invalid(place, value, f"a whole number from {lowest} to {highest}")
    return value


def read_choice(place: str, value: object, choices: type[Choice]) -> Choice:
    """Take one of the words."""
    try:
        return choices(read_text(place, value))
    except ValueError as error:
        raise invalid(place, value, ", ".join(choices)) from error


def invalid(place: str, got: object, takes: str) -> InvalidInputError:
    """Make the error for one value."""
    return InvalidInputError([Problem(place, quote(got), takes)])
