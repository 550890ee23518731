"""Who names which routes: what a policy names that is not there, and who still names what is about to go."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mesh.admission.verdict import Surroundings
from mesh.api.errors import quote


@dataclass(frozen=True, slots=True)
class Reference:
    """A policy's mention of a route object of its own namespace; no ``matches`` means all of a group's."""

    place: str
    kind: str
    name: str
    matches: tuple[str, ...] = ()


def missing_routes(namespace: str, references: Sequence[Reference], around: Surroundings) -> Iterator[str]:
    """Warn of route objects, and of matches in them, that are not there: no request fits those."""
    for reference in references:
        known = around.policies(reference.kind)
        if known is None:
            continue
        found = next((one for one in known if (one.namespace, one.name) == (namespace, reference.name)), None)
        if found is None:
            yield f"{reference.place}: there is no {reference.kind} {namespace}/{reference.name} yet; nothing fits it"
            continue
        matches = {match.name for match in getattr(found.spec, "matches", ())}
        for name in reference.matches:
            if matches and name not in matches:
                yield f"{reference.place}.matches: {reference.kind} {reference.name} has no match {quote(name)}"
