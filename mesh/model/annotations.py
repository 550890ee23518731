"""What the mesh's annotations on pods say (contract 5.annotations).

One parser for the injecting webhook, `meshctl inject` and the compiler: what was admitted can be applied.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mesh.api import names, quantities
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.mtls import MtlsMode

_ONLY_WARNED: Final = frozenset(
    {
        names.ANNOTATION_MTLS_MODE,
        names.ANNOTATION_CLIENT_MAX_BODY_SIZE,
        names.ANNOTATION_NATIVE_SIDECAR,
        names.ANNOTATION_DEFAULT_EGRESS_ALLOWED,
    }
)


@dataclass(frozen=True, slots=True)
class PodAnnotations:
    """A pod's own settings; None where the global one counts. ``client_max_body_size`` is in bytes."""

    ignore_incoming_ports: tuple[int, ...] = ()
    ignore_outgoing_ports: tuple[int, ...] = ()
    mtls_mode: MtlsMode | None = None
    client_max_body_size: int | None = None
    native_sidecar: bool | None = None
    default_egress_allowed: bool | None = None


def parse_pod_annotations(annotations: Mapping[str, str]) -> PodAnnotations:
    """Read all of a pod's annotations that are ours. Raises InvalidInputError with every fault at once."""
    problems = tuple(_problems(annotations))
    if problems:
        raise InvalidInputError(problems)
    return PodAnnotations(
        ignored_ports(annotations, names.ANNOTATION_IGNORE_INCOMING_PORTS),
        ignored_ports(annotations, names.ANNOTATION_IGNORE_OUTGOING_PORTS),
        mtls_mode(annotations),
        client_max_body_size(annotations),
        flag(annotations, names.ANNOTATION_NATIVE_SIDECAR),
        flag(annotations, names.ANNOTATION_DEFAULT_EGRESS_ALLOWED),
    )


def parse_lenient(annotations: Mapping[str, str]) -> tuple[PodAnnotations, tuple[Problem, ...]]:
    """Read them as NGINX Service Mesh did: a mode, a size or a flag that it does not take counts as absent, and is told.

    Raises InvalidInputError for wrong lists of ports, which it refused, too.
    """
    told: list[Problem] = []
    left = dict(annotations)
    for name in _ONLY_WARNED & left.keys():
        try:
            parse_pod_annotations({name: left[name]})
        except InvalidInputError as error:
            told.extend(error.problems)
            del left[name]
    return parse_pod_annotations(left), tuple(sorted(told, key=str))


def ignored_ports(annotations: Mapping[str, str], name: str) -> tuple[int, ...]:
    """Read a list of ports such as ``8080, 9000``: sorted, each once; an empty annotation is an empty list.

    Raises InvalidInputError naming each wrong item.
    """
    return quantities.parse_ports(f"annotation {name}", annotations.get(name, ""))


def mtls_mode(annotations: Mapping[str, str]) -> MtlsMode | None:
    """Read the pod's mTLS mode in any case, None if it names none. Raises InvalidInputError."""
    text = annotations.get(names.ANNOTATION_MTLS_MODE)
    if text is None:
        return None
    try:
        return MtlsMode(text.lower())
    except ValueError as error:
        place = f"annotation {names.ANNOTATION_MTLS_MODE}"
        raise InvalidInputError([Problem(place, quote(text), ", ".join(MtlsMode))]) from error


def client_max_body_size(annotations: Mapping[str, str]) -> int | None:
    """Read the pod's limit for request bodies in bytes, None if it names none. Raises InvalidInputError."""
    text = annotations.get(names.ANNOTATION_CLIENT_MAX_BODY_SIZE)
    if text is None:
        return None
    return quantities.parse_body_size(f"annotation {names.ANNOTATION_CLIENT_MAX_BODY_SIZE}", text)


def flag(annotations: Mapping[str, str], name: str) -> bool | None:
    """Read ``true`` or ``false``, None if the annotation is absent. Raises InvalidInputError."""
    text = annotations.get(name)
    return None if text is None else quantities.parse_flag(f"annotation {name}", text)


def effective_mode(global_mode: MtlsMode, own: MtlsMode | None) -> MtlsMode:
    """The mode that counts: the pod's own, unless the mesh is strict (contract 3.modes)."""
    return global_mode if own is None or global_mode is MtlsMode.STRICT else own


def _problems(annotations: Mapping[str, str]) -> Iterator[Problem]:
    for parse in (mtls_mode, client_max_body_size):
        try:
            parse(annotations)
        except InvalidInputError as error:
            yield from error.problems
    for name in (names.ANNOTATION_IGNORE_INCOMING_PORTS, names.ANNOTATION_IGNORE_OUTGOING_PORTS):
        try:
            ignored_ports(annotations, name)
        except InvalidInputError as error:
            yield from error.problems
    for name in (names.ANNOTATION_NATIVE_SIDECAR, names.ANNOTATION_DEFAULT_EGRESS_ALLOWED):
        try:
            flag(annotations, name)
        except InvalidInputError as error:
            yield from error.problems
