"""One declaration per structure: a frozen dataclass whose members carry the rules that its Python types cannot say.

From it come the OpenAPI schema that the API server enforces (``open_api``) and the parser that everything of ours uses
(``parse``), so that what was admitted can always be read. Types that may be used: str, int, float, bool, StrEnum,
IntOrString, nested declarations, ``tuple[X, ...]`` for lists, ``Mapping[str, str]``, and ``X | None`` for what may be
left out. Stack settings are declared the same way.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

from mesh.api.errors import InvalidInputError, Problem, quote

_RULE = "rule"
_FIRST_WORDS = re.compile(r"_([a-z0-9])")
IntOrString = int | str
Value = typing.TypeVar("Value")


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What a member takes beyond its type. ``takes`` words it for a reader; units belong there.

    ``check`` is what a parser asks beyond what an OpenAPI schema can say: place and value (of a list: each item) in,
    problems out. It sees values of the right type only.
    """

    description: str
    name: str = ""
    takes: str = ""
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    choices: tuple[str, ...] = ()
    map_key: str = ""
    atomic: bool = False
    date_time: bool = False
    secret: bool = False
    check: Callable[[str, Any], Iterable[Problem]] | None = None


def member(description: str, *, default: Any = dataclasses.MISSING, **rule: Any) -> Any:
    """Declare a member; one without a default is required. *rule* are the fields of ``Rule``."""
    described = Rule(description, **rule)
    return dataclasses.field(default=default, kw_only=True, repr=not described.secret, metadata={_RULE: described})


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A declared member as the generators see it; ``type`` has lost its ``| None``."""

    attribute: str
    name: str
    type: Any
    rule: Rule
    required: bool
    default: Any


def members(declaration: type) -> tuple[Member, ...]:
    """The members of a declaration in the order in which they were written."""
    hints = typing.get_type_hints(declaration)
    found = []
    for field in dataclasses.fields(declaration):
        rule: Rule = field.metadata[_RULE]
        name = rule.name or _FIRST_WORDS.sub(lambda match: match[1].upper(), field.name)
        required = field.default is dataclasses.MISSING
        found.append(Member(field.name, name, _without_none(hints[field.name]), rule, required, field.default))
    return tuple(found)


def is_declaration(type_: Any) -> bool:
    """Whether *type_* is a structure declared with ``member``."""
    return isinstance(type_, type) and dataclasses.is_dataclass(type_)


def choices_of(member_: Member) -> tuple[str, ...]:
    """The values of an enumeration, in the order in which they were written; empty for anything else."""
    return choices_of_type(member_.type) or member_.rule.choices


def choices_of_type(type_: Any) -> tuple[str, ...]:
    """The values of a StrEnum; empty for any other type."""
    is_enumeration = isinstance(type_, type) and issubclass(type_, StrEnum)
    return tuple(item.value for item in type_) if is_enumeration else ()


# --- OpenAPI ------------------------------------------------------------------------------------------------------


def open_api(declaration: type, description: str = "") -> dict[str, Any]:
    """The structural schema (OpenAPI v3 of apiextensions.k8s.io/v1) of a declaration."""
    schema: dict[str, Any] = {"type": "object"}
    if description:
        schema["description"] = description
    declared = members(declaration)
    if declared:
        schema["properties"] = {one.name: _member_schema(one) for one in declared}
    required = sorted(one.name for one in declared if one.required)
    if required:
        schema["required"] = required
    return schema


def _member_schema(one: Member) -> dict[str, Any]:
    schema = {"description": one.rule.description, **_type_schema(one.type, one.rule)}
    if one.rule.map_key:
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [one.rule.map_key]}
    if one.rule.atomic:
        schema["x-kubernetes-map-type"] = "atomic"
    return schema


def _type_schema(type_: Any, rule: Rule) -> dict[str, Any]:
    if is_declaration(type_):
        return open_api(type_)
    origin = typing.get_origin(type_)
    if origin is tuple:
        return {"type": "array", "items": _type_schema(typing.get_args(type_)[0], rule)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if type_ == IntOrString:
        return {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True} | _limits(rule)
    if choices := choices_of_type(type_):
        return {"type": "string", "enum": list(choices)}
    if type_ is str:
        date_time = {"format": "date-time"} if rule.date_time else {}
        return {"type": "string"} | date_time | _limits(rule)
    return {bool: {"type": "boolean"}, int: {"type": "integer"}, float: {"type": "number"}}[type_] | _limits(rule)


def _limits(rule: Rule) -> dict[str, Any]:
    limits: dict[str, Any] = {
        "pattern": rule.pattern or None,
        "enum": list(rule.choices) or None,
        "minimum": rule.minimum,
        "maximum": rule.maximum,
        "minLength": rule.min_length,
    }
    return {key: value for key, value in limits.items() if value is not None}


# --- Parsing ------------------------------------------------------------------------------------------------------


def parse(declaration: type[Value], value: object, place: str, *, strict: bool = False) -> Value:
    """Read *value* (decoded JSON) as *declaration*.

    ``strict`` refuses members that are not declared; otherwise they are left out, as the API server prunes them.
    Raises InvalidInputError with every problem found.
    """
    problems: list[Problem] = []
    parsed = _parse_structure(declaration, value, place, problems, strict=strict)
    if problems:
        raise InvalidInputError(problems)
    return typing.cast("Value", parsed)


def _parse_structure(declaration: type, value: object, place: str, problems: list[Problem], *, strict: bool) -> Any:
    if not isinstance(value, Mapping):
        problems.append(Problem(place, quote(value), "an object"))
        return None
    declared = members(declaration)
    if strict:
        problems.extend(_unknown(value, declared, place))
    arguments: dict[str, Any] = {}
    before = len(problems)
    for one in declared:
        at = f"{place}.{one.name}" if place else one.name
        given = value.get(one.name)
        if given is not None:
            arguments[one.attribute] = _parse_value(one.type, one.rule, given, at, problems, strict=strict)
        elif one.required:
            problems.append(Problem(at, "nothing", takes_of(one.type, one.rule)))
    return declaration(**arguments) if len(problems) == before else None


def _parse_value(type_: Any, rule: Rule, value: object, place: str, problems: list[Problem], *, strict: bool) -> Any:
    if is_declaration(type_):
        return _parse_structure(type_, value, place, problems, strict=strict)
    if typing.get_origin(type_) is tuple and isinstance(value, list | tuple):
        inner = typing.get_args(type_)[0]
        found = [
            _parse_value(inner, rule, item, f"{place}[{index}]", problems, strict=strict)
            for index, item in enumerate(value)
        ]
        return tuple(found)
    if typing.get_origin(type_) is Mapping and isinstance(value, Mapping):
        problems.extend(
            Problem(f"{place}.{key}", quote(item), "a string")
            for key, item in value.items()
            if not isinstance(item, str)
        )
        known = {key: item for key, item in value.items() if isinstance(item, str)}
        problems.extend(rule.check(place, known) if rule.check else ())
        return known
    if not _is_of_type(type_, value) or not _is_within(rule, value):
        problems.append(Problem(place, "[secret]" if rule.secret else quote(value), takes_of(type_, rule)))
        return None
    problems.extend(rule.check(place, value) if rule.check else ())
    return type_(value) if type_ is float or choices_of_type(type_) else value


def _is_of_type(type_: Any, value: object) -> bool:
    if isinstance(value, bool):
        return type_ is bool
    if type_ == IntOrString:
        return isinstance(value, int | str)
    if not isinstance(type_, type):
        return False
    if choices := choices_of_type(type_):
        return isinstance(value, str) and value in choices
    if type_ is float:
        return isinstance(value, int | float)
    return isinstance(value, type_)


def _is_within(rule: Rule, value: object) -> bool:
    if isinstance(value, str):
        return (
            (not rule.pattern or _matches(rule.pattern, value))
            and (not rule.choices or value in rule.choices)
            and len(value) >= (rule.min_length or 0)
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (rule.minimum is None or value >= rule.minimum) and (rule.maximum is None or value <= rule.maximum)
    return True


def _matches(pattern: str, value: str) -> bool:
    """Search as the API server does: Go's ``$`` is the end of the text, Python's also stands before a last newline."""
    return re.search(pattern.replace("$", r"\Z"), value) is not None


def takes_of(type_: Any, rule: Rule) -> str:
    """Word what a member takes, from its rule or from its type."""
    if rule.takes:
        return rule.takes
    if choices := choices_of_type(type_) or rule.choices:
        return "one of " + ", ".join(choices)
    if type_ in {int, float} and (rule.minimum is not None or rule.maximum is not None):
        number = "a whole number" if type_ is int else "a number"
        return (
            f"{number} from {rule.minimum} to {rule.maximum}"
            if rule.maximum is not None
            else (f"{number} of at least {rule.minimum}")
        )
    if is_declaration(type_) or typing.get_origin(type_) is Mapping:
        return "an object"
    if typing.get_origin(type_) is tuple:
        return "a list"
    if type_ is str:
        return "a string that is not empty" if rule.min_length else "a string"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(type_, "a whole number or a string")


def _unknown(value: Mapping[str, object], declared: tuple[Member, ...], place: str) -> list[Problem]:
    known = [one.name for one in declared]
    problems = []
    for key in value:
        if key not in known:
            near = closest(str(key), known)
            remedy = f"did you mean {near}?" if near else ""
            problems.append(
                Problem(f"{place}.{key}" if place else str(key), "an unknown key", ", ".join(known), remedy)
            )
    return problems


def closest(word: str, known: typing.Iterable[str]) -> str:
    """The known name that a misspelt *word* was probably meant to be, or nothing."""
    best = min(known, key=lambda name: _distance(word.lower(), name.lower()), default="")
    return best if best and _distance(word.lower(), best.lower()) <= max(2, len(word) // 3) else ""


def _distance(left: str, right: str) -> int:
    """Levenshtein's edit distance."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def _without_none(type_: Any) -> Any:
    if isinstance(type_, types.UnionType) and types.NoneType in typing.get_args(type_):
        rest = [item for item in typing.get_args(type_) if item is not types.NoneType]
        return rest[0] if len(rest) == 1 else IntOrString
    return type_
