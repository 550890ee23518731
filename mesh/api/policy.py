"""A traffic policy as read from its object: what every kind shares (contract 7.kinds).

Webhook, controller and command line read policies through the ``parse_`` function of each kind, so what was admitted can
always be applied. Whatever may be left out in a manifest, namespaces above all, is filled in there and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mesh.api import crd, names
from mesh.api.dns_names import label_problems, subdomain_problems
from mesh.api.errors import InvalidInputError, Problem, quote

Spec_co = TypeVar("Spec_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Policy(Generic[Spec_co]):
    """An object of one of the policy kinds. ``annotations`` holds those of the mesh alone; ``created`` is RFC 3339."""

    kind: str
    namespace: str
    name: str
    spec: Spec_co
    created: str = ""
    generation: int = 0
    uid: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def age(self) -> tuple[str, str, str]:
        """Sorts policies that want the same thing: the first one, the oldest, has it."""
        return self.created, self.namespace, self.name


def parse_policy(kind: crd.Kind, manifest: Mapping[str, Any], *, strict: bool = False) -> Policy[Any]:
    """Read what all kinds share, and the spec by its declaration; the rules of the kind are its own parser's business.

    ``strict`` refuses fields that are not declared, for manifests that no API server has pruned. Raises
    InvalidInputError with every problem.
    """
    problems: list[Problem] = []
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping):
        problems.append(Problem("metadata", "nothing" if metadata is None else quote(metadata), "an object"))
        metadata = {}
    name, namespace, created, uid = (
        _text(metadata, key, problems) for key in ("name", "namespace", "creationTimestamp", "uid")
    )
    if name or not metadata.get("generateName"):
        problems.extend(subdomain_problems("metadata.name", name))
    problems.extend(label_problems("metadata.namespace", namespace))
    generation = metadata.get("generation") or 0
    if not isinstance(generation, int):
        problems.append(Problem("metadata.generation", quote(generation), "a whole number"))
    annotations = _annotations(metadata.get("annotations"), problems)
    try:
        spec = crd.parse_spec(kind, manifest, strict=strict)
    except InvalidInputError as error:
        problems.extend(error.problems)
        spec = None
    if problems:
        raise InvalidInputError(problems)
    return Policy(kind.kind, namespace, name, spec, created, generation, uid, annotations)


def _text(metadata: Mapping[str, Any], key: str, problems: list[Problem]) -> str:
    value = metadata.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    problems.append(Problem(f"metadata.{key}", quote(value), "a string"))
    return ""


def _annotations(value: object, problems: list[Problem]) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        problems.append(Problem("metadata.annotations", quote(value), "an object"))
        return {}
    ours = {str(key): item for key, item in value.items() if names.GROUP_NSM in str(key)}
    problems.extend(
        Problem(f"annotation {key}", quote(item), "a string") for key, item in ours.items() if not isinstance(item, str)
    )
    return ours
