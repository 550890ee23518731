"""What is wrong with the annotations and labels of a Namespace, whether it is in the mesh or not (contract 5.object-annotations)."""

from collections.abc import Iterator

from mesh.compiler.finding import Finding
from mesh.model.namespace_annotations import read_egress_scope
from mesh.model.snapshot import NamespaceView
from mesh.model.unread import find_unread_annotations, find_unread_labels


def namespace_findings(view: NamespaceView) -> Iterator[Finding]:
    """A label that was meant to bring a namespace into the mesh, and does not, leaves it outside: all are looked at."""
    for problem in read_egress_scope(view.annotations)[1]:
        yield Finding("Namespace", "", view.name, "InvalidAnnotation", f"{problem}; it names no namespace")
    for text in (*find_unread_annotations("Namespace", view.annotations), *find_unread_labels(view.labels)):
        yield Finding("Namespace", "", view.name, "AnnotationWithoutEffect", text)
