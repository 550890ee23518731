"""What the mesh's annotations on Services say (contract 6.balancing, 6.requests)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from mesh.api import names, quantities
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.mesh_config import LbMethod

MOST_RETRIES: Final = 10

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class ServiceAnnotations:
    """A Service's own settings, as far as it has any. ``request_timeout_ms`` is 0 for none."""

    lb_method: LbMethod | None = None
    request_timeout_ms: int = 0
    retries: int = 0
    retry_non_idempotent: bool = False


def read_service_annotations(annotations: Mapping[str, str]) -> tuple[ServiceAnnotations, tuple[Problem, ...]]:
    """Read all of them. Nothing refuses a Service for its annotations, so a wrong one is told and counts as absent."""
    problems: list[Problem] = []

    def read(name: str, parse: Callable[[str, str], _Value], absent: _Value) -> _Value:
        text = annotations.get(name)
        if text is None:
            return absent
        try:
            return parse(f"annotation {name}", text)
        except InvalidInputError as error:
            problems.extend(error.problems)
            return absent

    settings = ServiceAnnotations(
        read(names.ANNOTATION_LB_METHOD, _lb_method, None),
        read(names.ANNOTATION_REQUEST_TIMEOUT, quantities.parse_timeout, 0),
        read(names.ANNOTATION_RETRIES, _retries, 0),
        read(names.ANNOTATION_RETRY_NON_IDEMPOTENT, quantities.parse_flag, False),
    )
    return settings, tuple(problems)


def _lb_method(place: str, text: str) -> LbMethod:
    try:
        return LbMethod(text)
    except ValueError as error:
        raise InvalidInputError([Problem(place, quote(text), ", ".join(LbMethod))]) from error


def _retries(place: str, text: str) -> int:
    return quantities.parse_count(place, text, MOST_RETRIES)
