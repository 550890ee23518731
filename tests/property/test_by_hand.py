"""`meshctl inject` and the webhook: one result, whatever the template, its kind and its format (contract 5.manual)."""

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import event, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from mesh.admission.inject import Injection, inject
from mesh.admission.settings import InjectionSettings
from mesh.api.errors import InvalidInputError
from mesh.ctl.manifest import TEMPLATE_PATHS, Outcome, inject_manifest, parse_manifest
from tests.property.test_inject import pods, settings

OWNERS = {"Deployment": ("ReplicaSet", "web-5d9c"), "CronJob": ("Job", "web-29123456")}


def workload(kind: str, pod: dict[str, Any]) -> dict[str, Any]:
    """The manifest of *kind* whose pods are as *pod*."""
    part = copy.deepcopy(pod)
    if kind == "Pod":
        return {"kind": kind, **part}
    for step in reversed(TEMPLATE_PATHS[kind]):
        part = {step: part}
    return {"kind": kind, "metadata": {"name": "web"}, **part}


def as_pod(kind: str, document: dict[str, Any]) -> dict[str, Any]:
    """The pod that the controller of *kind* makes, as the webhook gets it."""
    part: Any = document
    for step in TEMPLATE_PATHS[kind]:
        part = part[step]
    pod: dict[str, Any] = {"metadata": copy.deepcopy(part.get("metadata", {})), "spec": copy.deepcopy(part["spec"])}
    if kind == "Pod":
        return pod
    owner = OWNERS.get(kind, (kind, "web"))
    pod["metadata"]["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "controller": True}]
    if kind == "Deployment":
        pod["metadata"].setdefault("labels", {})["pod-template-hash"] = "5d9c"
    return pod


def ask_webhook(pod: dict[str, Any], chosen: InjectionSettings) -> tuple[list[str], Injection | None]:
    """Why the pod is refused, or what becomes of it."""
    try:
        return [], inject(pod, "shop", chosen)
    except InvalidInputError as error:
        return [str(problem) for problem in error.problems], None


@pytest.mark.spec("5.manual", "5.webhook")
@examples(max_examples=100)
@given(pods, settings, st.sampled_from(sorted(TEMPLATE_PATHS)), st.sampled_from(["JSON", "YAML", "flow YAML", "List"]))
def test_by_hand_is_as_by_webhook(pod: dict[str, Any], chosen: InjectionSettings, kind: str, form: str) -> None:
    """The same pod, or the same reasons; what was injected by hand the webhook leaves as it is."""
    pod = copy.deepcopy(pod)
    if kind != "Pod":
        pod["metadata"].pop("ownerReferences", None)
        pod["metadata"].get("labels", {}).pop("pod-template-hash", None)
    document = workload(kind, pod)
    given_text = json.dumps({"kind": "List", "items": [document]} if form == "List" else document)
    if "YAML" in form:
        given_text = yaml.safe_dump(document, default_flow_style=form == "flow YAML", sort_keys=False)
    manifest = parse_manifest(given_text, "test")
    reasons: list[str] = []
    outcome = Outcome()
    try:
        outcome = inject_manifest(manifest, chosen, "shop", {})
    except InvalidInputError as error:
        reasons = [str(problem).partition(": ")[2] for problem in error.problems]
    event("refused" if reasons else "injected")
    told, by_webhook = ask_webhook(as_pod(kind, document), chosen)
    assert reasons == told
    if by_webhook is None:
        return
    printed = (yaml.safe_load if "YAML" in form else json.loads)(manifest.render())
    by_hand = as_pod(kind, printed["items"][0] if form == "List" else printed)
    again = inject(by_hand, "shop", chosen)
    assert (again.changed, again.pod) == (False, by_hand)
    if kind == "CronJob":
        by_hand["metadata"]["labels"].pop("nsm.nginx.com/cronjob", None)
        by_webhook.pod["metadata"]["labels"].pop("nsm.nginx.com/job", None)
    assert by_hand == by_webhook.pod
    assert [line.partition(": ")[2] for line in outcome.warnings] == list(by_webhook.warnings)
