"""The annotation `pulumi.com/waitFor`: `condition=Type[=Status]`, `jsonpath={.path}[=value]`, or a JSON list of them.

Of JSONPath: names, ["quoted names"], [index], [*] and [?(@.name=="text")]; anything else is refused at once.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from embedded.plugins.kubernetes.properties import Object
from embedded.plugins.kubernetes.readiness import conditions

Step = Callable[[Any], Iterator[Any]]

_TOKEN = re.compile(
    r"""\.(?P<name>[A-Za-z0-9_$-]+(?:\\\.[A-Za-z0-9_$-]+)*)
      | \[\s*(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\s*\]
      | \[\s*(?P<index>-?[0-9]+)\s*\]
      | (?P<star>\[\s*\*\s*\]|\.\*)
      | \[\?\(\s*@\.(?P<member>[A-Za-z0-9_.-]+)\s*==\s*(?P<q2>['"])(?P<text>.*?)(?P=q2)\s*\)\]""",
    re.VERBOSE,
)


class Expectation:
    """One parsed expression."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        if expression.startswith("condition="):
            name, separator, status = expression.removeprefix("condition=").partition("=")
            self._condition, self._wanted = name, status if separator else "True"
            self._steps: list[Step] = []
        elif expression.startswith("jsonpath="):
            self._condition = ""
            path, self._wanted = _split(expression.removeprefix("jsonpath="))
            self._steps = _parse(path)
        else:
            raise ValueError(f'pulumi.com/waitFor: got "{expression}", takes "jsonpath=..." or "condition=..."')

    def missing(self, live: Object) -> str | None:
        """What is not so yet; None when the object fulfils it."""
        status = live.get("status")
        observed = status.get("observedGeneration") if isinstance(status, dict) else None
        if isinstance(observed, int) and observed < live["metadata"].get("generation", 0):
            return f"waiting for {self.expression}: the newest generation is not observed yet"
        if self._condition:
            found = str(conditions(live).get(self._condition, {}).get("status", "nothing"))
            return None if found.lower() == self._wanted.lower() else f"waiting for {self.expression}, found {found}"
        values: list[Any] = [live]
        for step in self._steps:
            values = [inner for value in values for inner in step(value)]
        if not values:
            return f"waiting for {self.expression}, found nothing"
        if not self._wanted:
            return None
        found = values[0] if isinstance(values[0], str) else json.dumps(values[0])
        return None if found == self._wanted else f"waiting for {self.expression}, found {found}"


def parse(annotation: str) -> list[Expectation]:
    """The expectations of an annotation; ValueError says what is wrong with it."""
    try:
        given = json.loads(annotation)
    except ValueError:
        given = [annotation]
    expressions = given if isinstance(given, list) else [annotation]
    if not expressions or not all(isinstance(expression, str) for expression in expressions):
        raise ValueError("pulumi.com/waitFor: takes an expression or a JSON list of at least one")
    return [Expectation(expression) for expression in expressions]


def _split(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"\{\s*(.*?)\s*\}(?:=(.*))?", text, re.DOTALL)
    if match is None or match.group(2) == "":
        raise ValueError(
            f'pulumi.com/waitFor: got "jsonpath={text}", takes jsonpath={{.path}} or jsonpath={{.path}}=value'
        )
    return match.group(1).removeprefix("$"), match.group(2) or ""


def _parse(path: str) -> list[Step]:
    steps: list[Step] = []
    place = 0
    while place < len(path):
        match = _TOKEN.match(path, place)
        if match is None:
            raise ValueError(f'pulumi.com/waitFor: "{path[place:]}" of "{path}" is not understood')
        steps.append(_step(match))
        place = match.end()
    if not steps:
        raise ValueError("pulumi.com/waitFor: takes a path such as {.status.phase}")
    return steps


def _step(match: re.Match[str]) -> Step:
    if match["star"]:
        return _children
    if match["index"]:
        return lambda value, index=int(match["index"]): _element(value, index)  # type: ignore[misc]
    if match["member"]:
        return lambda value, name=match["member"], text=match["text"]: _matching(value, name, text)  # type: ignore[misc]
    name = match["quoted"] if match["quoted"] is not None else match["name"].replace("\\.", ".")
    return lambda value, name=name: _member(value, name)  # type: ignore[misc]


def _member(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict) and name in value:
        yield value[name]


def _element(value: Any, index: int) -> Iterator[Any]:
    if isinstance(value, list) and -len(value) <= index < len(value):
        yield value[index]


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _matching(value: Any, name: str, text: str) -> Iterator[Any]:
    for item in value if isinstance(value, list) else []:
        inner = item
        for part in name.split("."):
            inner = inner.get(part) if isinstance(inner, dict) else None
        if inner == text:
            yield item
