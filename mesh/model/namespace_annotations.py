"""What the mesh's annotations on Namespaces say (contract 6.scope)."""

import re
from collections.abc import Mapping
from typing import Final

from mesh.api import names
from mesh.api.errors import Problem, quote

EVERY_NAMESPACE: Final = "*"
SCOPE_TAKES: Final = "names of namespaces, separated by commas, or * for all"
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def read_egress_scope(annotations: Mapping[str, str]) -> tuple[frozenset[str] | None, tuple[Problem, ...]]:
    """The namespaces that callers get to know beside their own, None for no limit, and what is wrong with the list.

    What is no name can name nothing, so a wrong item makes the scope narrower and never wider. An empty list is the own namespace alone.
    """
    text = annotations.get(names.ANNOTATION_EGRESS_SCOPE)
    if text is None:
        return None, ()
    items = [item.strip(" ") for item in text.split(",")] if text.strip(" ") else []
    place = f"annotation {names.ANNOTATION_EGRESS_SCOPE}"
    wrong = [item for item in items if item != EVERY_NAMESPACE and not _NAME.fullmatch(item)]
    problems = tuple(Problem(place, f"{quote(item)} in {quote(text)}", SCOPE_TAKES) for item in wrong)
    return frozenset(items) - frozenset(wrong), problems
