"""Wrong annotations on Services and Namespaces, refused and told of (contract 5.object-annotations)."""

from typing import Any

import pytest

from mesh.admission.validate_annotations import judge_annotations
from mesh.admission.verdict import Verdict
from mesh.api import names
from mesh.compiler.assemble import Compiler
from mesh.compiler.finding import Finding
from mesh.model.snapshot import NamespaceView, Snapshot

SCOPE = "names of namespaces, separated by commas, or * for all"
COUNT = "a whole number from 0 to 10"
TIME = "milliseconds, seconds or minutes from 1ms to 1440m, such as 500ms, 2s or 1m"
FLAG = "true or false"
DIGITS = ("٨٠", "８０", "८०", "⁸⁰")
NO_NUMBERS = ("", "65536", "80,,81", "1e3", "-1", "+1", "01", "1 ", "0x1", "none", *DIGITS)
REFUSED = [
    *(("Service", names.ANNOTATION_RETRIES, text, COUNT) for text in (*NO_NUMBERS, "11")),
    *(("Service", names.ANNOTATION_REQUEST_TIMEOUT, text, TIME) for text in (*NO_NUMBERS, "0", "0s", "1441m", "1.5s", "٨s")),
    *(("Service", names.ANNOTATION_RETRY_NON_IDEMPOTENT, text, FLAG) for text in ("", "0", "1", "True", "yes", *DIGITS)),
    *(("Service", names.ANNOTATION_LB_METHOD, text, "least_conn") for text in ("", "0", "fair", "Least_Time", "random  two")),
    *(("Namespace", names.ANNOTATION_EGRESS_SCOPE, text, SCOPE)
      for text in ("cart,,shop", ",", "cart,", "Cart", "cart shop", "cart;shop", "shop/cart", "**", "a.b", "-a", "x" * 64, "1e3,Ä", *DIGITS)),
]  # fmt: skip
TAKEN = [
    ("Service", {names.ANNOTATION_RETRIES: "0", names.ANNOTATION_REQUEST_TIMEOUT: "1500ms"}),
    ("Service", {names.ANNOTATION_LB_METHOD: "random two", names.ANNOTATION_RETRY_NON_IDEMPOTENT: "true"}),
    *(("Namespace", {names.ANNOTATION_EGRESS_SCOPE: text}) for text in ("", "*", "cart", " cart , shop-2 ", "0", "cart,*")),
    ("Service", {"config.example.com/retries": "x"}),
    ("Namespace", {}),
]  # fmt: skip


def thing(annotations: dict[str, str] | None, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "annotations": annotations, **more}}


@pytest.mark.spec("5.object-annotations")
@pytest.mark.parametrize(("kind", "name", "text", "takes"), REFUSED)
def test_what_an_annotation_does_not_take_is_refused_by_name(kind: str, name: str, text: str, takes: str) -> None:
    """Annotation, value, and what it takes."""
    verdict = judge_annotations(kind, thing({name: text}), None)
    assert verdict.problems
    for problem in verdict.problems:
        assert problem.place == f"annotation {name}"
        assert text in problem.got
        assert takes in problem.takes


@pytest.mark.spec("5.object-annotations")
@pytest.mark.parametrize(("kind", "annotations"), TAKEN)
def test_what_is_taken_passes_without_a_word(kind: str, annotations: dict[str, str]) -> None:
    assert judge_annotations(kind, thing(annotations), None) == Verdict()


@pytest.mark.spec("5.object-annotations")
def test_every_fault_is_told_at_once() -> None:
    wrong = {names.ANNOTATION_RETRIES: "x", names.ANNOTATION_LB_METHOD: "x", names.ANNOTATION_REQUEST_TIMEOUT: "x"}
    assert len(judge_annotations("Service", thing(wrong), None).problems) == 3
    scope = judge_annotations("Namespace", thing({names.ANNOTATION_EGRESS_SCOPE: "A,b,C"}), None)
    assert [problem.got for problem in scope.problems] == ['"A" in "A,b,C"', '"C" in "A,b,C"']


@pytest.mark.spec("5.object-annotations")
def test_an_object_that_was_wrong_before_stays_changeable() -> None:
    """By its controllers, for instance; only who touches an annotation or a label of it is told."""
    wrong = thing({names.ANNOTATION_RETRIES: "x"})
    assert judge_annotations("Service", wrong | {"spec": {"ports": []}}, wrong) == Verdict()
    assert judge_annotations("Service", thing({names.ANNOTATION_RETRIES: "x", "other": "y"}), wrong) == Verdict()
    assert judge_annotations("Service", thing({names.ANNOTATION_RETRIES: "y"}), wrong).problems
    assert judge_annotations("Service", thing(None), wrong) == Verdict()


@pytest.mark.spec("5.object-annotations", "5.unread")
@pytest.mark.parametrize(
    ("kind", "manifest", "told"),
    [
        ("Service", thing({"config.nsm.nginx.com/lbmethod": "x"}), "did you mean config.nsm.nginx.com/lb-method?"),
        ("Namespace", thing({names.ANNOTATION_MTLS_MODE: "strict"}), "is read on a Pod, not on a Namespace"),
        ("Namespace", thing({names.LABEL_AUTO_INJECT: "enabled"}), "is a label, and no annotation"),
        ("Namespace", thing(None, labels={names.LABEL_AUTO_INJECT: "Enabled"}), "it counts as absent"),
        ("Namespace", thing({}, labels={"injector.nsm.nginx.com/autoinject": "enabled"}), "did you mean"),
    ],
)
def test_what_nobody_reads_is_warned_about(kind: str, manifest: dict[str, Any], told: str) -> None:
    """It refuses nothing."""
    verdict = judge_annotations(kind, manifest, None)
    assert not verdict.problems
    [warning] = verdict.warnings
    assert told in warning


@pytest.mark.spec("5.object-annotations")
def test_what_is_there_already_is_told_by_an_event_at_the_namespace() -> None:
    """Also at one that is not in the mesh: the label that should have brought it there may be the fault."""
    views = (
        NamespaceView("a", {names.LABEL_AUTO_INJECT: "enabled"}, {names.ANNOTATION_EGRESS_SCOPE: "Cart,shop"}),
        NamespaceView("b", {names.LABEL_AUTO_INJECT: "yes"}, {"other": "x"}),
        NamespaceView("c", {"kubernetes.io/metadata.name": "c"}, {names.ANNOTATION_EGRESS_SCOPE: "a"}),
    )
    found = Compiler().compile(Snapshot(namespaces={view.name: view for view in views})).findings
    place = f"annotation {names.ANNOTATION_EGRESS_SCOPE}"
    wrong = f'{place}: got "Cart" in "Cart,shop", takes {SCOPE}; it names no namespace'
    label = f'label {names.LABEL_AUTO_INJECT}: got "yes", takes enabled, disabled; it counts as absent'
    assert found == (
        Finding("Namespace", "", "a", "InvalidAnnotation", wrong),
        Finding("Namespace", "", "b", "AnnotationWithoutEffect", label),
    )
