"""meshctl check: a healthy mesh passes every line; each fault is one failed line with its cause and its repair."""

from datetime import timedelta
from typing import Any

import pytest

from mesh.api import names
from mesh.ctl.checks.finding import Finding, Level
from mesh.ctl.checks.run import run_checks
from mesh.ctl.cluster import ClusterError
from tests.unit.ctl import healthy_mesh
from tests.unit.ctl.healthy_mesh import FakeCluster, config_map, healthy, proxy, webhook_path

APPS = f"/apis/apps/v1/namespaces/{healthy_mesh.NAMESPACE}"
STATUS = proxy(names.CONTROLLER, 8082, "status")
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{healthy_mesh.NAMESPACE}/leases/{names.LEADER_LEASE}"
IDS = f"/apis/{names.GROUP_SPIRE}/v1alpha1/clusterspiffeids"
MESH_CONFIG = f"/apis/nsm.nginx.com/v1alpha2/namespaces/{healthy_mesh.NAMESPACE}/meshconfigs/{names.MESH_CONFIG_NAME}"


def check(cluster: FakeCluster) -> list[Finding]:
    return list(run_checks(cluster, healthy_mesh.NAMESPACE, healthy_mesh.NOW))


def bad(cluster: FakeCluster) -> list[Finding]:
    return [finding for finding in check(cluster) if finding.level is not Level.OK]


@pytest.mark.spec("10.check")
def test_a_healthy_mesh_passes_every_line() -> None:
    findings = check(healthy())
    assert [finding for finding in findings if finding.level is not Level.OK] == []
    assert {finding.category for finding in findings} == {
        "cluster",
        "spire",
        "nats",
        "controller",
        "webhooks",
        "sidecars",
    }


def _waiting_pod() -> dict[str, Any]:
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    labels = {"app": names.SPIRE_AGENT}
    return {
        "metadata": {"name": "spire-agent-x", "namespace": healthy_mesh.NAMESPACE, "labels": labels},
        "status": {"containerStatuses": [{"name": "spire-agent", "state": state}]},
    }


def transparent(reason: str) -> dict[str, Any]:
    condition = {"type": "Transparent", "reason": reason, "message": "this is why"}
    return healthy_mesh.mesh_config() | {"status": {"conditions": [condition]}}


FAULTS: list[tuple[str, dict[str, Any], str, str, str]] = [
    # fault, answers that differ, category, part of the cause, part of the repair
    ("old cluster", {"/version": {"major": "1", "minor": "27+"}}, "cluster", "needs 1.28", "upgrade"),
    ("no native sidecars", {"/version": {"major": "1", "minor": "28"}}, "cluster", "Jobs", "1.29"),
    (
        "node away",
        {"/api/v1/nodes": {"items": [healthy_mesh.node("n1", "Unknown")]}},
        "cluster",
        "n1",
        "describe nodes",
    ),
    (
        "no DNS",
        {
            "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices": healthy_mesh.slices(
                "kube-dns", ready=False
            )
        },
        "cluster",
        "no ready endpoint",
        "k8s-app=kube-dns",
    ),
    (
        "no definitions",
        {"/apis/apiextensions.k8s.io/v1/customresourcedefinitions": {"items": []}},
        "cluster",
        "meshconfigs.nsm.nginx.com",
        "pulumi up",
    ),
    ("no server", {f"{APPS}/statefulsets/spire-server": None}, "spire", "no StatefulSet", "pulumi up"),
    (
        "agent waits",
        {
            f"{APPS}/daemonsets/spire-agent": healthy_mesh.workload("spire-agent", 1, 0),
            f"/api/v1/namespaces/{healthy_mesh.NAMESPACE}/pods": {"items": [_waiting_pod()]},
        },
        "spire",
        "ImagePullBackOff (no such image)",
        "logs daemonset/spire-agent",
    ),
    (
        "bundle expired",
        {
            config_map(names.SPIRE_BUNDLE_CONFIGMAP): {
                "data": {
                    names.SPIRE_BUNDLE_KEY: (expired := healthy_mesh.root_pem(healthy_mesh.NOW - timedelta(seconds=1)))
                }
            },
            webhook_path("mutatingwebhookconfigurations", names.MUTATING_WEBHOOK): healthy_mesh.webhook(expired),
            webhook_path("validatingwebhookconfigurations", names.VALIDATING_WEBHOOK): healthy_mesh.webhook(expired),
        },
        "spire",
        "every root has expired",
        "rollout restart",
    ),
    ("nothing registered", {IDS: {"items": []}}, "spire", "no ClusterSPIFFEID", "pulumi up"),
    (
        "entries fail",
        {
            IDS: {
                "items": [
                    {
                        "metadata": {"name": "ids", "labels": {names.LABEL_PART_OF: names.PART_OF}},
                        "status": {"stats": {"entryFailures": 3}},
                    }
                ]
            }
        },
        "spire",
        "ids (3)",
        "get clusterspiffeids",
    ),
    (
        "bus unhealthy",
        {proxy(names.NATS_SERVER, 8222, "healthz"): {"status": "unavailable"}},
        "nats",
        "unavailable",
        "logs deployment/nats-server",
    ),
    (
        "scaled to nothing",
        {f"{APPS}/deployments/nats-server": healthy_mesh.workload("nats-server", 0, 0)},
        "nats",
        "scaled to 0",
        "--replicas=1",
    ),
    (
        "lease is old",
        {
            LEASE: {
                "spec": {
                    "holderIdentity": "c-0",
                    "renewTime": "2026-11-21T11:59:00.000000Z",
                    "leaseDurationSeconds": 15,
                }
            }
        },
        "controller",
        "not renewed the Lease for 60 s",
        "rollout restart deployment/nginx-mesh-controller",
    ),
    ("nobody leads", {LEASE: {"spec": {}}}, "controller", "nobody holds", "rollout restart"),
    (
        "MeshConfig is wrong",
        {MESH_CONFIG: healthy_mesh.mesh_config(mtls={"mode": "maybe"})},
        "controller",
        "maybe",
        "edit meshconfig",
    ),
    (
        "proxies are transparent",
        {MESH_CONFIG: transparent("Acknowledged")},
        "controller",
        "why",
        '"transparent":"false"',
    ),
    ("removal has stopped", {MESH_CONFIG: transparent("OpeningStopped")}, "controller", "why", "remove.md"),
    ("no settings", {config_map(names.MESHCONFIG_CONFIGMAP): {"data": {}}}, "controller", "meshconfig.json", "restart"),
    (
        "controller off the bus",
        {STATUS: healthy_mesh.status() | {"bus_connected": False, "missing": "refused"}},
        "controller",
        "refused",
        "logs",
    ),
    (
        "no webhook endpoint",
        {
            f"/apis/discovery.k8s.io/v1/namespaces/{healthy_mesh.NAMESPACE}/endpointslices": healthy_mesh.slices(
                names.WEBHOOK_SERVICE, ready=False
            )
        },
        "webhooks",
        "no controller is ready",
        "logs deployment/nginx-mesh-controller",
    ),
    (
        "old root in a webhook",
        {
            webhook_path("mutatingwebhookconfigurations", names.MUTATING_WEBHOOK): healthy_mesh.webhook(
                healthy_mesh.root_pem()
            )
        },
        "webhooks",
        "CA bundle of w is empty or old",
        "rollout restart deployment/nginx-mesh-controller",
    ),
    (
        "webhook refuses",
        {"dry-run /api/v1/namespaces/default/pods": ClusterError("x509: unknown authority")},
        "webhooks",
        "x509",
        "logs deployment/nginx-mesh-controller",
    ),
    ("webhook does nothing", {"dry-run /api/v1/namespaces/default/pods": None}, "webhooks", "as it was", "pulumi up"),
    (
        "pod from before the mesh",
        {
            "/api/v1/pods": {
                "items": [
                    healthy_mesh.injected_pod("web-0"),
                    {"metadata": {"name": "old", "namespace": "shop"}, "spec": {"containers": []}, "status": {}},
                ]
            }
        },
        "sidecars",
        "shop/old",
        "kubectl -n shop rollout restart",
    ),
    (
        "sidecar is not ready",
        {"/api/v1/pods": {"items": [healthy_mesh.injected_pod("web-0", ready=False)]}},
        "sidecars",
        "shop/web-0",
        "kubectl -n shop logs web-0 -c nginx-mesh-sidecar",
    ),
    (
        "sidecar is silent",
        {STATUS: healthy_mesh.status() | {"sidecars": []}},
        "sidecars",
        "no report from shop/web-0",
        "logs web-0",
    ),
    ("sidecar is behind", {STATUS: healthy_mesh.status(state="stale")}, "sidecars", "on their way", "--wait"),
    (
        "configuration refused",
        {STATUS: healthy_mesh.status(state="refused", refused="line 3")},
        "sidecars",
        "line 3",
        "logs web-0",
    ),
    ("certificate expired", {STATUS: healthy_mesh.status(svid_not_after=1)}, "sidecars", "expired", "logs web-0"),
]


@pytest.mark.spec("10.check")
@pytest.mark.parametrize(
    ("changes", "category", "cause", "repair"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_each_fault_is_one_line_with_cause_and_repair(
    changes: dict[str, Any], category: str, cause: str, repair: str
) -> None:
    cluster = healthy()
    for path, answer in changes.items():
        if answer is None:
            cluster.answers.pop(path)
        else:
            cluster.answers[path] = answer
    [finding] = bad(cluster)
    assert finding.category == category
    assert cause in finding.cause
    assert repair in finding.repair


def test_an_empty_bundle_fails_where_it_is_made_and_where_it_is_used() -> None:
    cluster = healthy()
    cluster.answers[config_map(names.SPIRE_BUNDLE_CONFIGMAP)] = {}
    findings = bad(cluster)
    assert [finding.category for finding in findings] == ["spire", "webhooks", "webhooks"]
    assert "the SPIRE server fills it" in findings[0].cause


def test_a_silent_api_server_is_one_line() -> None:
    cluster = healthy()
    cluster.answers["/version"] = ClusterError("timed out")
    [finding] = check(cluster)
    assert finding.level is Level.FAILURE
    assert "--kubeconfig" in finding.repair


@pytest.mark.spec("10.afterlife")
def test_without_a_mesh_the_cluster_is_checked_and_what_a_removed_one_left() -> None:
    """Pods that still have a sidecar are named, with the command that takes it from them."""
    cluster = healthy()
    cluster.answers.pop(f"/api/v1/namespaces/{healthy_mesh.NAMESPACE}")
    [left] = [finding for finding in check(cluster) if finding.category == "sidecars"]
    assert left.level is Level.WARNING
    assert "shop/web-0" in left.cause
    assert "kubectl -n shop rollout restart" in left.repair
    cluster.answers["/api/v1/pods"] = {"items": []}
    findings = check(cluster)
    assert {finding.category for finding in findings if finding.level is not Level.OK} == {"cluster"}
    assert [finding.cause for finding in findings if finding.level is Level.FAILURE] == ["there is no mesh here"]


@pytest.mark.parametrize("hide", sorted(healthy().answers))
def test_a_category_that_cannot_be_read_does_not_hide_the_others(hide: str) -> None:
    """Whatever the user may not read, every category is reported and nothing crashes."""
    cluster = healthy()
    cluster.answers[hide] = ClusterError("forbidden")
    findings = check(cluster)
    assert any(finding.level is Level.FAILURE and "forbidden" in finding.cause for finding in findings)
    if hide not in {"/version", f"/api/v1/namespaces/{healthy_mesh.NAMESPACE}"}:
        assert len({finding.category for finding in findings}) == 6
