"""Names of objects that policies refer to: the alphabets that Kubernetes gives to namespaces, Services and the rest."""

import re
from collections.abc import Iterator
from typing import Final

from mesh.api.errors import Problem, quote

LABEL_TAKES: Final = "a name of at most 63 lower-case letters, digits and hyphens"
SUBDOMAIN_TAKES: Final = "a name of at most 253 lower-case letters, digits, hyphens and dots"

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_label(text: str) -> bool:
    """Whether it can be the name of a namespace or a Service (RFC 1123 label)."""
    return _LABEL.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """Whether it can be the name of any other object (RFC 1123 subdomain)."""
    return _SUBDOMAIN.fullmatch(text) is not None


def label_problems(place: str, text: str) -> Iterator[Problem]:
    """A check of ``schema.member`` for names of namespaces and Services."""
    if not is_label(text):
        yield Problem(place, quote(text), LABEL_TAKES)


def subdomain_problems(place: str, text: str) -> Iterator[Problem]:
    """A check of ``schema.member`` for names of objects other than namespaces and Services."""
    if not is_subdomain(text):
        yield Problem(place, quote(text), SUBDOMAIN_TAKES)


def namespace_problems(place: str, text: str) -> Iterator[Problem]:
    """A check of ``schema.member`` for a namespace; an empty one counts as left out, as Kubernetes has it."""
    if text:
        yield from label_problems(place, text)
