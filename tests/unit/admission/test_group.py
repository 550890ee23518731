"""Which pods share a configuration (design 7; contract 6.groups)."""

from typing import Any

import pytest

from mesh.admission.group import PodFacts, pod_facts, sidecar_group
from mesh.admission.owner import Owner, pod_owner

BASE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 8080, "name": "http"}]}]},
}


def group(pod: dict[str, Any], namespace: str = "shop", account: str = "web", owner: str = "web") -> str:
    return sidecar_group(namespace, account, "Deployment", owner, pod_facts(pod))


def changed(**parts: Any) -> dict[str, Any]:
    labels, annotations, ports = (parts.get(key) for key in ("labels", "annotations", "ports"))
    return {
        "metadata": {"labels": labels or {"app": "web"}, "annotations": annotations or {}},
        "spec": {"containers": [{"name": "app", "ports": ports or [{"containerPort": 8080, "name": "http"}]}]},
    }


@pytest.mark.spec("6.groups")
def test_the_name_of_a_group_never_changes() -> None:
    """Running sidecars keep their subject over upgrades of the controller."""
    assert group(BASE) == "8d3b2586cdbf7773"


@pytest.mark.spec("6.groups")
@pytest.mark.parametrize(
    "labels",
    [
        {"pod-template-hash": "x"},
        {"controller-revision-hash": "x"},
        {"statefulset.kubernetes.io/pod-name": "web-0", "apps.kubernetes.io/pod-index": "0"},
        {"job-name": "x", "batch.kubernetes.io/job-name": "x", "controller-uid": "1"},
        {"injector.nsm.nginx.com/status": "injected", "spiffe.io/spiffeid": "true", "nsm.nginx.com/deployment": "web"},
    ],
)
def test_generated_labels_do_not_part_replicas(labels: dict[str, str]) -> None:
    """The replicas of a workload are one group, before and after injection."""
    assert group(changed(labels={"app": "web"} | labels)) == group(BASE)


@pytest.mark.spec("6.groups")
@pytest.mark.parametrize(
    "other",
    [
        changed(labels={"app": "web", "tier": "x"}),
        changed(ports=[{"containerPort": 8081, "name": "http"}]),
        changed(ports=[{"containerPort": 8080, "name": "grpc"}]),
        changed(ports=[{"containerPort": 8080, "name": "http", "protocol": "UDP"}]),
        changed(annotations={"config.nsm.nginx.com/mtls-mode": "off"}),
        changed(annotations={"config.nsm.nginx.com/client-max-body-size": "1k"}),
    ],
)
def test_what_the_mesh_reads_parts_groups(other: dict[str, Any]) -> None:
    """Pods that could need different configurations never share one."""
    assert group(other) != group(BASE)


@pytest.mark.spec("6.groups")
def test_place_account_and_owner_part_groups() -> None:
    """Also where the words run together alike."""
    names = [group(BASE), group(BASE, namespace="shopweb"), group(BASE, account="w"), group(BASE, owner="eb")]
    assert len(set(names)) == len(names)
    assert sidecar_group("a", "bc", "", "", PodFacts()) != sidecar_group("ab", "c", "", "", PodFacts())


@pytest.mark.spec("6.groups")
def test_what_the_mesh_does_not_read_does_not_part() -> None:
    """Images, other annotations and the sidecar itself make no new group."""
    other = changed(annotations={"example.org/x": "1", "config.nsm.nginx.com/default-egress-allowed": "true"})
    other["spec"]["containers"].append({"name": "nginx-mesh-sidecar", "ports": [{"containerPort": 8887}]})
    assert group(other) == group(BASE)


@pytest.mark.spec("5.labels")
def test_the_jobs_of_a_cron_job_are_one_family() -> None:
    """Each run is a Job of its own with a name of its own."""
    reference = {"kind": "Job", "name": "backup-29123456", "controller": True}
    owner = pod_owner({"ownerReferences": [reference]})
    assert owner == Owner("Job", "backup-29123456")
    assert owner.family == Owner("CronJob", "backup")
    assert Owner("Job", "backup").family == Owner("Job", "backup")


def test_an_owner_that_does_not_control_is_none() -> None:
    """A pod that is merely garbage-collected with something stands on its own."""
    assert pod_owner({"ownerReferences": [{"kind": "ConfigMap", "name": "x"}]}) == Owner()
