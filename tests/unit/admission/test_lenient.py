"""The mesh as lenient as NGINX Service Mesh, where the stack asks for it (contract 5.lenient)."""

import json
from typing import Any

import pytest

from mesh.admission.inject import inject
from mesh.admission.settings import InjectionSettings
from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.api.mtls import MtlsMode
from mesh.ctl.manifest import inject_manifest, parse_manifest

SETTINGS = InjectionSettings("s:1", "i:1", lenient=True)
SCTP = [{"containerPort": 5000, "protocol": "SCTP"}]
TWICE = [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]


def pod(annotations: dict[str, str] | None = None, ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    container = {"name": "app", "image": "app:1", "ports": ports or []}
    return {"metadata": {"annotations": annotations or {}}, "spec": {"containers": [container]}}


def without_group(document: dict[str, Any]) -> str:
    """A pod's spec; annotations make another group, whatever they say."""
    return str(document["spec"]).replace(document["metadata"]["annotations"][names.ANNOTATION_GROUP], "")


@pytest.mark.spec("5.lenient")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (names.ANNOTATION_MTLS_MODE, "lax"),
        (names.ANNOTATION_CLIENT_MAX_BODY_SIZE, "1e3"),
        (names.ANNOTATION_DEFAULT_EGRESS_ALLOWED, "yes"),
        (names.ANNOTATION_NATIVE_SIDECAR, "0"),
    ],
)
def test_a_wrong_value_counts_as_absent_and_is_told(name: str, text: str) -> None:
    """The pod is the one without the annotation, but for the annotation itself."""
    done = inject(pod({name: text}), "shop", SETTINGS)
    [warning] = done.warnings
    assert warning.startswith(f'annotation {name}: got "{text}", takes ')
    assert warning.endswith("; the global setting is used")
    assert without_group(done.pod) == without_group(inject(pod(), "shop", SETTINGS).pod)


@pytest.mark.spec("5.lenient")
@pytest.mark.parametrize(("ports", "told"), [(SCTP, "5000/SCTP"), (TWICE, "80/TCP 2 times")])
def test_a_pod_with_unfit_ports_starts_without_a_sidecar(ports: list[dict[str, Any]], told: str) -> None:
    """As it came, and its author reads why."""
    done = inject(pod(ports=ports), "shop", SETTINGS)
    assert (done.changed, done.pod) == (False, pod(ports=ports))
    [warning] = done.warnings
    assert warning.startswith("this pod gets no sidecar: ")
    assert told in warning
    with pytest.raises(InvalidInputError):
        inject(pod(ports=ports), "shop", InjectionSettings("s:1", "i:1"))


@pytest.mark.spec("5.lenient", "5.refused", "3.modes")
def test_what_was_refused_there_is_refused_here() -> None:
    """Lists of ports, a weaker mode, and what would break the sidecar."""
    strict = InjectionSettings("s:1", "i:1", lenient=True, mtls_mode=MtlsMode.STRICT)
    refused = [
        (pod({names.ANNOTATION_IGNORE_INCOMING_PORTS: "80,,81"}), SETTINGS),
        (pod({names.ANNOTATION_MTLS_MODE: "off"}), strict),
        (pod(ports=[{"containerPort": 8900}]), SETTINGS),
    ]
    for document, settings in refused:
        with pytest.raises(InvalidInputError):
            inject(document, "shop", settings)


@pytest.mark.spec("5.lenient", "5.manual")
def test_meshctl_leaves_an_unfit_workload_as_it_is_and_says_why() -> None:
    """As the webhook does with its pods."""
    given = json.dumps({"kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": pod(ports=SCTP)}})
    manifest = parse_manifest(given, "m.json")
    outcome = inject_manifest(manifest, SETTINGS, "shop", {})
    assert json.loads(manifest.render()) == json.loads(given)
    assert outcome.skipped == ["Deployment/a: unfit"]
    [warning] = outcome.warnings
    assert warning.startswith("Deployment/a: this pod gets no sidecar: ")
