"""A finding as `meshctl analyze` reports it."""

from dataclasses import dataclass

from mesh.ctl.analysis.codes import Code


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object was read: a file or URL and the line of its document, 0 for the cluster."""

    source: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """One finding about one object."""

    code: Code
    kind: str
    namespace: str
    name: str
    message: str
    place: Place

    @property
    def subject(self) -> str:
        """The object, for people."""
        return f"{self.kind} {self.namespace}/{self.name}"
