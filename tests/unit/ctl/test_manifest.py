"""meshctl inject on text: formats, comments and order, kinds, refusals."""

import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh.admission.inject import inject as admission_inject
from mesh.admission.owner import Owner
from mesh.admission.settings import InjectionSettings
from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.api.mtls import MtlsMode
from mesh.ctl.manifest import TEMPLATE_PATHS, Outcome, inject_manifest, parse_manifest

MANIFESTS = Path(__file__).parent / "manifests"
SETTINGS = InjectionSettings(
    sidecar_image="registry/nginx-mesh-sidecar:1", init_image="registry/nginx-mesh-init:1", version="1"
)
POD_SPEC: dict[str, Any] = {"containers": [{"name": "app", "image": "app"}]}

LAUGHS = (
    "kind: Pod\nx:\n- &a0 [1]\n"
    + "".join(f"- &a{number + 1} [{', '.join([f'*a{number}'] * 10)}]\n" for number in range(9))
    + "spec: {containers: [{name: a}]}\n"
)


def workload(kind: str, **metadata: Any) -> dict[str, Any]:
    """A minimal workload of *kind*."""
    part: dict[str, Any] = {"metadata": {"labels": {"app": "a"}}, "spec": POD_SPEC}
    for step in reversed(TEMPLATE_PATHS[kind]):
        part = {step: part}
    if kind == "Pod":
        return {"kind": kind, "metadata": {"name": "a", **metadata}, "spec": POD_SPEC}
    return {"kind": kind, "metadata": {"name": "a", **metadata}, **part}


def inject(text: str, annotations: dict[str, str] | None = None, namespace: str = "default") -> tuple[str, Outcome]:
    manifest = parse_manifest(text, "test")
    outcome = inject_manifest(manifest, SETTINGS, namespace, annotations or {})
    return manifest.render(), outcome


def template(document: dict[str, Any]) -> dict[str, Any]:
    for step in TEMPLATE_PATHS[document["kind"]]:
        document = document[step]
    return document


@pytest.mark.spec("5.manual")
def test_what_a_person_wrote_stays() -> None:
    """Order, comments and quoting stay: of all lines only the rewritten probe is taken away."""
    given = (MANIFESTS / "shop.yaml").read_text(encoding="utf-8")
    removed = [line[2:] for line in difflib.ndiff(given.splitlines(), inject(given)[0].splitlines()) if line[0] == "-"]
    assert removed == ["          httpGet: {path: /live, port: http}"]


@pytest.mark.spec("5.manual")
def test_the_result_is_the_webhooks() -> None:
    """What is printed is the pod that the webhook would have made of the same template."""
    given = yaml.safe_load_all((MANIFESTS / "shop.yaml").read_text(encoding="utf-8"))
    printed = yaml.safe_load_all(inject((MANIFESTS / "shop.yaml").read_text(encoding="utf-8"))[0])
    for before, after in zip(given, printed, strict=True):
        if before["kind"] in TEMPLATE_PATHS:
            owner = Owner(before["kind"], before["metadata"]["name"])
            namespace = before["metadata"].get("namespace", "default")
            assert template(after) == admission_inject(template(before), namespace, SETTINGS, owner).pod
        else:
            assert after == before


@pytest.mark.spec("5.kinds")
@pytest.mark.parametrize("kind", sorted(TEMPLATE_PATHS))
def test_each_kind_is_injected_in_its_template(kind: str) -> None:
    text, outcome = inject(json.dumps(workload(kind)))
    containers = template(json.loads(text))["spec"]["initContainers"]
    assert [container["name"] for container in containers] == [names.INIT, names.SIDECAR]
    assert outcome.injected == [f"{kind}/a"]


@pytest.mark.spec("5.kinds")
def test_other_kinds_keep_every_byte() -> None:
    """A document that is not a workload comes out as it went in, odd spelling and all; so does an empty one."""
    text = "%YAML 1.2\n---\n# nothing here\n--- # note\nkind:   ConfigMap\ndata: {b: 'x',   a: [{p: 1}]}\n---\n\n--- {kind: Service}\n"
    assert inject(text)[0] == text


@pytest.mark.spec("5.manual")
def test_json_stays_json_and_lists_are_walked() -> None:
    given = {"kind": "List", "items": [workload("Deployment"), {"kind": "Service"}, workload("Pod")]}
    text, outcome = inject(json.dumps(given))
    assert json.loads(text)["items"][1] == {"kind": "Service"}
    assert outcome.injected == ["Deployment/a", "Pod/a"]


@pytest.mark.spec("5.once")
def test_injecting_twice_is_injecting_once() -> None:
    once, _ = inject((MANIFESTS / "shop.yaml").read_text(encoding="utf-8"))
    twice, outcome = inject(once)
    assert twice == once
    assert outcome.injected == []


def test_an_alias_does_not_carry_additions_elsewhere() -> None:
    """Labels shared by alias between selector and template: the selector must stay as it was."""
    text, _ = inject((MANIFESTS / "aliases.yaml").read_text(encoding="utf-8"))
    document = yaml.safe_load(text)
    assert document["spec"]["selector"]["matchLabels"] == {"app": "shop"}
    assert document["spec"]["template"]["metadata"]["labels"]["app"] == "shop"
    probes = document["spec"]["template"]["spec"]["containers"][0]
    assert probes["livenessProbe"]["httpGet"]["path"].endswith("/liveness")
    assert probes["readinessProbe"]["httpGet"]["path"].endswith("/readiness")


@pytest.mark.spec("5.never")
@pytest.mark.parametrize("namespace", [*names.SYSTEM_NAMESPACES, "nginx-mesh"])
def test_system_namespaces_and_the_mesh_are_left_alone(namespace: str) -> None:
    given = json.dumps(workload("Deployment", namespace=namespace))
    text, outcome = inject(given)
    assert text == given
    assert "never injected" in outcome.skipped[0]


@pytest.mark.spec("5.labels")
def test_a_disabled_pod_is_left_alone() -> None:
    document = workload("Deployment")
    template(document)["metadata"]["labels"][names.LABEL_AUTO_INJECT] = names.AUTO_INJECT_DISABLED
    text, outcome = inject(json.dumps(document))
    assert json.loads(text) == document
    assert names.LABEL_AUTO_INJECT in outcome.skipped[0]


def test_ports_from_the_command_line_become_annotations() -> None:
    ports = {names.ANNOTATION_IGNORE_INCOMING_PORTS: "9000"}
    text, _ = inject(json.dumps(workload("Deployment")), ports)
    pod = template(json.loads(text))
    assert pod["metadata"]["annotations"][names.ANNOTATION_IGNORE_INCOMING_PORTS] == "9000"
    assert "--ignore-incoming-ports=9000" in pod["spec"]["initContainers"][0]["args"]


def test_an_annotation_that_says_otherwise_is_refused() -> None:
    document = workload("Deployment")
    template(document)["metadata"]["annotations"] = {names.ANNOTATION_IGNORE_INCOMING_PORTS: "1"}
    with pytest.raises(InvalidInputError, match="drop one of the two"):
        inject(json.dumps(document), {names.ANNOTATION_IGNORE_INCOMING_PORTS: "2"})


@pytest.mark.spec("5.refused")
def test_problems_of_all_workloads_are_told_at_once() -> None:
    bad = {"containers": [{"name": "app", "ports": [{"containerPort": 1, "protocol": "SCTP"}]}]}
    documents = [workload("Pod"), workload("Deployment")]
    documents[0]["spec"] = bad
    template(documents[1])["spec"] = bad
    with pytest.raises(InvalidInputError) as caught:
        inject("\n---\n".join(yaml.safe_dump(document) for document in documents))
    assert [problem.place.partition(":")[0] for problem in caught.value.problems] == ["Pod/a", "Deployment/a"]


@pytest.mark.parametrize("text", ["{", "a: [", "a: b: c", "kind: Deployment\nspec: 5"])
def test_broken_text_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        inject(text)
    assert caught.value.problems[0].place


@pytest.mark.parametrize("offset", ["", "  "])
def test_list_indentation_follows_the_author(offset: str) -> None:
    text = f"kind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n{offset}  - name: app\n{offset}    image: app\n"
    assert f"\n{offset}  - name: app\n" in inject(text)[0]


@pytest.mark.parametrize("lead", ["", "---\n", "# of the shop\n---\n"])
def test_each_broken_document_is_named_by_number_and_line(lead: str) -> None:
    """Documents count from 1 as people count, lines as their editor does; one broken document hides no other."""
    with pytest.raises(InvalidInputError) as caught:
        parse_manifest(lead + "kind: A\n---\nfoo: [\n---\nkind: B\n---\na: b: c\n", "test")
    lines = lead.count("\n")
    places = [problem.place for problem in caught.value.problems]
    assert places == [f"test, document 2, line {lines + 4}", f"test, document 4, line {lines + 7}"]


@pytest.mark.spec("5.kinds")
def test_a_workload_on_the_marker_line_is_injected() -> None:
    """YAML lets a document begin there; it must not slip through, and its neighbours keep every byte."""
    text, outcome = inject(
        "kind: A\n--- # note\nkind: B\n--- {kind: Pod, spec: {containers: [{name: a}]}}\n---\nkind: C\n"
    )
    assert outcome.injected == ["Pod/"]
    assert text.startswith("kind: A\n--- # note\nkind: B\n---\n{")
    assert text.endswith("\n---\nkind: C\n")
    assert [document["kind"] for document in yaml.safe_load_all(text)] == ["A", "B", "Pod", "C"]


@pytest.mark.spec("5.kinds")
@pytest.mark.parametrize(
    ("group", "kind"), [("batch.volcano.sh/v1alpha1", "Job"), ("apps.example.org/v1", "Deployment")]
)
def test_kinds_of_other_groups_pass(group: str, kind: str) -> None:
    """A Job of another API group has its pods elsewhere, and is nobody's business here."""
    text = json.dumps({"apiVersion": group, "kind": kind, "spec": {"tasks": []}})
    assert inject(text)[0] == text


@pytest.mark.spec("5.manual")
@pytest.mark.parametrize("kind", sorted(set(TEMPLATE_PATHS) - {"Pod"}))
@pytest.mark.parametrize("native", [True, False])
def test_a_template_injected_by_hand_gives_the_webhooks_pod(kind: str, native: bool) -> None:
    """The pod that a controller makes of the printed template is the one that the webhook makes of the pod.

    Only the parent's label differs for a CronJob: the webhook sees the pod's Job, not what made that.
    """
    chosen = dataclasses.replace(SETTINGS, native_sidecar=native)
    manifest = parse_manifest(json.dumps(workload(kind)), "test")
    inject_manifest(manifest, chosen, "default", {})
    by_hand = as_pod(kind, template(manifest.parts[0].value))
    by_webhook = admission_inject(as_pod(kind, template(workload(kind))), "default", chosen).pod
    if kind == "CronJob":
        assert by_hand["metadata"]["labels"].pop("nsm.nginx.com/cronjob") == "a"
        assert by_webhook["metadata"]["labels"].pop("nsm.nginx.com/job") == "a-29123456"
    assert by_hand == by_webhook


def as_pod(kind: str, made_of: dict[str, Any]) -> dict[str, Any]:
    """The pod that the controller of *kind* makes of a template, as far as injection reads it."""
    pod: dict[str, Any] = json.loads(json.dumps(made_of))
    owner = {"Deployment": ("ReplicaSet", "a-5d9c"), "CronJob": ("Job", "a-29123456")}.get(kind, (kind, "a"))
    pod["metadata"]["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "controller": True}]
    if kind == "Deployment":
        pod["metadata"]["labels"]["pod-template-hash"] = "5d9c"
    return pod


@pytest.mark.spec("5.manual")
@pytest.mark.parametrize("name", [[], {}, 7])
def test_rows_whose_names_are_no_text_stay(name: Any) -> None:
    """Such a list is nobody's to merge by name; the API server says what is wrong with it."""
    pod = {
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "app", "image": [{"name": name}]}]},
    }
    injected, _ = inject(json.dumps(pod))
    assert {"name": "app", "image": [{"name": name}]}.items() <= yaml.safe_load(injected)["spec"]["containers"][
        0
    ].items()


@pytest.mark.spec("5.kinds")
def test_lists_in_lists_are_walked() -> None:
    """Also typed ones, as `kubectl get --raw` gives them."""
    inner = {"kind": "List", "items": [workload("Pod"), {"kind": "ConfigMapList", "items": [{"kind": "ConfigMap"}]}]}
    given = {"kind": "List", "items": [{"kind": "DeploymentList", "items": [workload("Deployment")]}, inner]}
    for text in (json.dumps(given), yaml.safe_dump(given)):
        assert inject(text)[1].injected == ["Deployment/a", "Pod/a"]


@pytest.mark.spec("5.manual")
def test_json_documents_between_markers_stay_json() -> None:
    """As programs write them; JSON that is only YAML's, with words unquoted, is YAML."""
    text, outcome = inject(
        f"{json.dumps(workload('Pod'))}\n---\n{{kind: Service}}\n---\n{json.dumps(workload('Job'))}\n"
    )
    assert outcome.injected == ["Pod/a", "Job/a"]
    first, service, second = text.split("\n---\n")
    assert (json.loads(first)["kind"], service, json.loads(second)["kind"]) == ("Pod", "{kind: Service}", "Job")
    assert inject("{kind: Pod, spec: {containers: [{name: a}]}}")[1].injected == ["Pod/"]


@pytest.mark.spec("5.refused", "5.manual")
@pytest.mark.parametrize("word", ["off", "Off", "no", "N", "yes", "true", "80", "1e3", "~"])
def test_words_that_kubernetes_takes_for_something_else_must_be_quoted(word: str) -> None:
    """`mtls-mode: off` without quotes is false to Kubernetes: it is refused here, with what to do, not there."""
    text = f"kind: Pod\nmetadata:\n  annotations:\n    {names.ANNOTATION_MTLS_MODE}: %s\nspec:\n  containers:\n  - name: a\n"
    with pytest.raises(InvalidInputError) as caught:
        inject(text % word)
    [problem] = caught.value.problems
    assert problem.place == f"Pod/: annotation {names.ANNOTATION_MTLS_MODE}"
    assert problem.takes == "text"
    assert "in quotes" in problem.remedy
    for quoted in ('"off"', "'off'", "!!str off", "&mode 'off'"):
        assert inject(text % quoted)[1].injected == ["Pod/"]


@pytest.mark.spec("5.manual")
def test_what_kubernetes_takes_is_taken() -> None:
    """YAML 1.1, which Kubernetes reads: yes is true, and a date is a text."""
    text = "kind: Pod\nmetadata: {labels: {since: 2024-01-01}}\nspec:\n  hostNetwork: no\n  shareProcessNamespace: yes\n  containers: [{name: a}]\n"
    printed, outcome = inject(text)
    assert outcome.injected == ["Pod/"]
    assert "hostNetwork: no\n  shareProcessNamespace: yes\n" in printed
    assert "since: 2024-01-01" in printed
    with pytest.raises(InvalidInputError, match="hostNetwork"):
        inject(text.replace("hostNetwork: no", "hostNetwork: &net on"))


@pytest.mark.spec("5.manual")
@pytest.mark.parametrize("word", ["y", "no", "on", "true", "null", "123", "1e3"])
def test_names_that_are_words_of_yaml_stay_names(word: str) -> None:
    """A container and a Deployment may be called so; what injection writes of them is text."""
    text = f"kind: Deployment\nmetadata:\n  name: '{word}'\nspec:\n  template:\n    spec:\n      containers:\n      - name: '{word}'\n"
    lines = [line.strip() for line in inject(text)[0].splitlines()]
    for key in (names.ANNOTATION_DEFAULT_CONTAINER, "nsm.nginx.com/deployment"):
        [line] = [line for line in lines if line.startswith(f"{key}: ")]
        assert line.removeprefix(f"{key}: ").strip("'\"") == word
        assert line[-1] in "'\""


@pytest.mark.spec("5.manual")
def test_anchors_and_merged_keys_stay_and_mean_what_they_meant() -> None:
    """What two workloads share through an anchor is still there; each gets its own sidecar and nothing else changes."""
    given = (MANIFESTS / "merged.yaml").read_text(encoding="utf-8")
    printed, outcome = inject(given)
    assert outcome.injected == ["Deployment/one", "Deployment/two"]
    for before, after in zip(yaml.safe_load_all(given), yaml.safe_load_all(printed), strict=True):
        if before["kind"] == "Deployment":
            owner = Owner("Deployment", before["metadata"]["name"])
            assert template(after) == admission_inject(template(before), "default", SETTINGS, owner).pod
            assert before["metadata"] == after["metadata"]
            assert before["spec"]["selector"] == after["spec"]["selector"]
    for line in given.splitlines():
        assert line.partition("#")[2] in printed


@pytest.mark.parametrize(
    "text",
    [
        "&list\nkind: List\nitems:\n- *list\n",
        '{"kind": "Pod", "spec": ' + '{"a":' * 5000 + "1" + "}" * 5001,
        "kind: Pod\nspec: " + "[" * 5000 + "]" * 5000,
        LAUGHS,
    ],
    ids=["list in itself", "deep JSON", "deep YAML", "a billion containers"],
)
def test_documents_without_end_are_refused(text: str) -> None:
    """No document makes the command fail in another way than by a refusal that names it."""
    with pytest.raises(InvalidInputError) as caught:
        inject(text)
    assert caught.value.problems


@pytest.mark.spec("5.kinds")
def test_a_workload_without_a_name_is_injected() -> None:
    """generateName: the parent is not known yet, so no label names it; a pod's is its own."""
    for kind in ("Pod", "Deployment"):
        document = workload(kind)
        document["metadata"] = {"generateName": "a-"}
        text, outcome = inject(json.dumps(document))
        assert outcome.injected == [f"{kind}/a-*"]
        labels = template(json.loads(text))["metadata"]["labels"]
        assert not [label for label in labels if label.startswith(names.LABEL_PARENT_PREFIX)]


@pytest.mark.spec("5.refused")
def test_every_fault_of_a_manifest_is_told_at_once() -> None:
    """Of types, annotations, ports, probes, mode and users."""
    document = workload("Pod")
    document["metadata"]["annotations"] = {
        names.ANNOTATION_IGNORE_INCOMING_PORTS: 80,
        names.ANNOTATION_IGNORE_OUTGOING_PORTS: "80,,81",
        names.ANNOTATION_MTLS_MODE: "off",
    }
    container = {
        "name": "app",
        "ports": [{"containerPort": 7, "protocol": "SCTP"}],
        "livenessProbe": {"httpGet": {"port": "none"}},
        "readinessProbe": {"httpGet": {"port": "nor"}},
        "securityContext": {"runAsUser": 2102},
    }
    document["spec"] = {"containers": [container], "hostNetwork": True}
    manifest = parse_manifest(json.dumps(document), "test")
    with pytest.raises(InvalidInputError) as caught:
        inject_manifest(manifest, dataclasses.replace(SETTINGS, mtls_mode=MtlsMode.STRICT), "default", {})
    places = [
        problem.place.partition(": ")[2].removeprefix("annotation config.nsm.nginx.com/")
        for problem in caught.value.problems
    ]
    assert sorted(places) == [
        "container app, livenessProbe.httpGet.port",
        "container app, ports",
        "container app, readinessProbe.httpGet.port",
        "container app, securityContext.runAsUser",
        "ignore-incoming-ports",
        "ignore-outgoing-ports",
        "mtls-mode",
        "spec.hostNetwork",
    ]
