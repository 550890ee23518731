"""Admission: the configurations, the roots in them, and an injection tried for real."""

import base64
from collections.abc import Iterator
from typing import Any, Final

from mesh.api import names
from mesh.ctl.checks.cluster import ready_endpoints
from mesh.ctl.checks.finding import Category, Finding
from mesh.ctl.checks.spire import bundle_pem, split_pem
from mesh.ctl.cluster import ClusterError, NotFoundError, Reader, core, grouped, selected

_CATEGORY = Category("webhooks")
_CONFIGURATIONS: Final = (
    ("mutatingwebhookconfigurations", names.MUTATING_WEBHOOK),
    ("validatingwebhookconfigurations", names.VALIDATING_WEBHOOK),
)
_TRIAL_NAMESPACE = "default"


def findings(reader: Reader, namespace: str) -> Iterator[Finding]:
    """Check that the API server can call the webhooks and believes their certificate."""
    yield _service(reader, namespace)
    for resource, name in _CONFIGURATIONS:
        yield _configuration(reader, namespace, resource, name)
    yield _trial(reader, namespace)


def _service(reader: Reader, namespace: str) -> Finding:
    subject = f"service/{names.WEBHOOK_SERVICE} has ready endpoints"
    labels = {"kubernetes.io/service-name": names.WEBHOOK_SERVICE}
    if ready_endpoints(reader.get(selected(grouped("discovery.k8s.io/v1", "endpointslices", namespace), labels))):
        return _CATEGORY.ok(subject)
    repair = f"kubectl -n {namespace} logs deployment/{names.CONTROLLER} --tail=50"
    return _CATEGORY.failure(subject, "no controller is ready, so pods that ask for a sidecar are refused", repair)


def _configuration(reader: Reader, namespace: str, resource: str, name: str) -> Finding:
    subject = f"{name.partition('.')[0]} trusts the mesh's roots"
    try:
        found = reader.get(grouped("admissionregistration.k8s.io/v1", resource, name=name))
        roots = set(split_pem(bundle_pem(reader, namespace)))
    except NotFoundError as error:
        return _CATEGORY.failure(subject, str(error), "pulumi up")
    stale = [webhook["name"] for webhook in found.get("webhooks") or [] if roots - _roots(webhook)]
    if not roots or stale:
        cause = f"the CA bundle of {', '.join(stale) or 'the mesh'} is empty or old: the controller writes it"
        return _CATEGORY.failure(
            subject, cause, f"kubectl -n {namespace} rollout restart deployment/{names.CONTROLLER}"
        )
    return _CATEGORY.ok(subject)


def _roots(webhook: dict[str, Any]) -> set[str]:
    encoded = (webhook.get("clientConfig") or {}).get("caBundle") or ""
    return set(split_pem(base64.b64decode(encoded).decode("ascii", "replace")))


def _trial(reader: Reader, namespace: str) -> Finding:
    """Let the API server admit a labelled pod without storing it; it must come back with a sidecar."""
    subject = "a labelled pod is given its sidecar (dry run)"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "mesh-check-", "labels": {names.LABEL_AUTO_INJECT: names.AUTO_INJECT_ENABLED}},
        "spec": {"containers": [{"name": "trial", "image": "trial"}], "automountServiceAccountToken": False},
    }
    logs = f"kubectl -n {namespace} logs deployment/{names.CONTROLLER} --tail=50"
    try:
        admitted = reader.create_dry_run(core("pods", _TRIAL_NAMESPACE), pod)
    except ClusterError as error:
        return _CATEGORY.failure(subject, str(error), logs)
    spec = admitted.get("spec") or {}
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    if any(container["name"] == names.SIDECAR for container in containers):
        return _CATEGORY.ok(subject)
    return _CATEGORY.failure(subject, "the pod was admitted as it was: no injecting webhook applies to it", "pulumi up")
