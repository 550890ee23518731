"""When is an object ready, and what does the waitFor annotation take?"""

from typing import Any

import pytest

from embedded.plugins.kubernetes import options, pods, readiness, wait_for
from embedded.plugins.kubernetes.cluster import Cluster

NOWHERE = Cluster(options.Options())


def item(api_version: str, kind: str, spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "n", "namespace": "s", "generation": 2},
        "spec": spec,
        "status": status,
    }


DONE = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        (DONE, True),
        ({**DONE, "observedGeneration": 1}, False),
        ({**DONE, "availableReplicas": 1}, False),
        ({**DONE, "replicas": 3}, False),
        ({**DONE, "updatedReplicas": 1}, False),
    ],
)
def test_deployments(status: dict[str, Any], ready: bool) -> None:
    """The newest generation is seen, all pods are new and available, no old one is left."""
    assert (readiness.missing(item("apps/v1", "Deployment", {"replicas": 2}, status), NOWHERE) is None) is ready


def test_a_deployment_that_makes_no_progress_fails_at_once() -> None:
    condition = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": "no progress",
    }
    with pytest.raises(readiness.Failed, match="no progress"):
        readiness.missing(
            item("apps/v1", "Deployment", {"replicas": 2}, {"observedGeneration": 2, "conditions": [condition]}),
            NOWHERE,
        )


@pytest.mark.parametrize(
    ("spec", "status", "ready"),
    [
        ({"replicas": 2}, {**DONE, "currentRevision": "a", "updateRevision": "a"}, True),
        ({"replicas": 2}, {**DONE, "currentRevision": "a", "updateRevision": "b"}, False),
        ({"replicas": 2, "updateStrategy": {"type": "OnDelete"}}, {**DONE, "updateRevision": "b"}, True),
        ({"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}, {**DONE, "updatedReplicas": 1}, True),
        ({"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}, {**DONE, "updatedReplicas": 0}, False),
        ({"replicas": 0}, {"observedGeneration": 2}, True),
        ({"replicas": 3}, DONE, False),
    ],
)
def test_stateful_sets(spec: dict[str, Any], status: dict[str, Any], ready: bool) -> None:
    assert (readiness.missing(item("apps/v1", "StatefulSet", spec, status), NOWHERE) is None) is ready


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "status", "ready"),
    [
        ("apps/v1", "DaemonSet", {}, {"observedGeneration": 2, "desiredNumberScheduled": 0}, True),
        (
            "apps/v1",
            "DaemonSet",
            {},
            {"observedGeneration": 2, "desiredNumberScheduled": 1, "numberAvailable": 0},
            False,
        ),
        ("batch/v1", "Job", {"completions": 1}, {"conditions": [{"type": "Complete", "status": "True"}]}, True),
        ("batch/v1", "Job", {"completions": 1}, {}, False),
        ("v1", "Pod", {}, {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, True),
        ("v1", "Pod", {}, {"phase": "Succeeded"}, True),
        ("v1", "Pod", {}, {"phase": "Pending"}, False),
        ("v1", "PersistentVolumeClaim", {}, {"phase": "Bound"}, True),
        ("v1", "PersistentVolumeClaim", {}, {"phase": "Pending"}, False),
        ("v1", "PersistentVolume", {}, {"phase": "Available"}, True),
        ("v1", "Service", {"type": "ExternalName"}, {}, True),
        ("v1", "Service", {"clusterIP": "None", "selector": {"a": "b"}}, {}, True),
        ("v1", "Service", {"type": "LoadBalancer"}, {}, False),
        ("v1", "Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "198.18.0.1"}]}}, True),
        ("networking.k8s.io/v1", "Ingress", {}, {}, False),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}, {"conditions": None}, False),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            {},
            {"conditions": [{"type": "Established", "status": "True"}]},
            True,
        ),
        ("example.com/v1", "Deployment", {}, {}, True),
        ("v1", "ConfigMap", {}, {}, True),
    ],
)
def test_other_kinds(api_version: str, kind: str, spec: dict[str, Any], status: dict[str, Any], ready: bool) -> None:
    assert (readiness.missing(item(api_version, kind, spec, status), NOWHERE) is None) is ready


def test_the_words_of_the_kubelet_and_the_scheduler_are_passed_on() -> None:
    waiting = {"name": "web", "ready": False, "state": {"waiting": {"reason": "ErrImagePull", "message": "denied"}}}
    pod = item("v1", "Pod", {}, {"containerStatuses": [waiting]})
    assert pods.reasons(pod, NOWHERE) == ["pod n: container web: ErrImagePull: denied"]
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no nodes"}
    assert pods.reasons(item("v1", "Pod", {}, {"conditions": [unscheduled]}), NOWHERE) == [
        "pod n: not scheduled: Unschedulable: no nodes"
    ]


LIVE = item(
    "v1",
    "Pod",
    {"containers": [{"image": "a"}, {"image": "b"}]},
    {
        "phase": "Running",
        "ready": True,
        "count": 3,
        "a.b": {"c": "d"},
        "conditions": [{"type": "Ready", "status": "False"}],
    },
)


@pytest.mark.parametrize(
    ("annotation", "fulfilled"),
    [
        ("jsonpath={.status.phase}=Running", True),
        ("jsonpath={.status.phase}=Pending", False),
        ("jsonpath={$.status.phase}", True),
        ("jsonpath={.status.none}", False),
        ("jsonpath={.status.ready}=true", True),
        ("jsonpath={.status.count}=3", True),
        ("jsonpath={.spec.containers[1].image}=b", True),
        ("jsonpath={.spec.containers[-1].image}=b", True),
        ("jsonpath={.spec.containers[*].image}=a", True),
        ("jsonpath={.status['a.b'].c}=d", True),
        ("jsonpath={.status.a\\.b.c}=d", True),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].status}=False', True),
        ("condition=Ready", False),
        ("condition=Ready=False", True),
        ("condition=Absent", False),
        ('["condition=Ready=False", "jsonpath={.status.phase}=Running"]', True),
        ('["condition=Ready=False", "jsonpath={.status.phase}=Pending"]', False),
    ],
)
def test_wait_for(annotation: str, fulfilled: bool) -> None:
    missing = [why for expectation in wait_for.parse(annotation) if (why := expectation.missing(LIVE))]
    assert (missing == []) is fulfilled, missing


@pytest.mark.parametrize(
    "annotation",
    [
        "",
        "[]",
        "phase=Running",
        "jsonpath=.status.phase",
        "jsonpath={.status.phase}=",
        "jsonpath={}",
        "jsonpath={.a[?(@.b>1)]}",
    ],
)
def test_wait_for_refuses_what_it_does_not_understand(annotation: str) -> None:
    with pytest.raises(ValueError, match=r"pulumi\.com/waitFor"):
        wait_for.parse(annotation)


def test_wait_for_does_not_trust_an_old_status() -> None:
    stale = {**LIVE, "status": {**LIVE["status"], "observedGeneration": 1}}
    [expectation] = wait_for.parse("jsonpath={.status.phase}=Running")
    assert expectation.missing(stale) is not None
